//! The macros of [`locals`](https://docs.rs/locals), which re-exports and documents them.
//!
//! To see the expansion of one handler or one derive, set `LOCALS_EXPAND` to the name of the function or
//! the type. The expansion is printed to stderr, and `rustfmt` formats it:
//!
//! ```sh
//! touch src/main.rs
//! LOCALS_EXPAND=me cargo check --quiet 2>&1 | rustfmt --edition 2024
//! ```
//!
//! `touch` makes Cargo compile the app again: Cargo does not track this variable.

// Editors run the macros on half-written code. A panic there would break completion.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use quote::quote;
use syn::parse_macro_input;

mod args;
mod auth_user;
mod check;
mod diagnostics;
mod expand;
mod handler;
mod literals;
mod paths;
mod print;
#[cfg(test)]
mod tests;
mod user_key;

use crate::{
    args::Args,
    diagnostics::Diagnostics,
    handler::{Handler, HandlerAttribute},
    print::print_if_requested,
};

/// Makes an `async fn` a request handler that may read the session.
///
/// Every request reaches it, logged in or not. Beside ordinary extractors it takes these parameters, in
/// any order, each at most once:
///
/// | parameter | value |
/// |---|---|
/// | `Option<Session>` | the session, if there is one |
/// | `Option<User<T>>` | the user, if one is logged in |
/// | `Option<Verified<T, C>>` | the user, if they meet the condition `C` |
/// | `Locals` | reads the session, sets and removes the cookie |
///
/// The attribute stands above or below the route attribute, or above a plain function that is passed to
/// `.to(..)`.
///
/// ```
/// use actix_web::{Responder, get};
/// use locals::{AuthUser, User, with_session};
///
/// # #[derive(AuthUser)]
/// # struct Account { id: i64, email: String }
/// #[get("/")]
/// #[with_session]
/// async fn home(user: Option<User<Account>>) -> impl Responder {
///     match user {
///         Some(user) => format!("Hello, {}", user.email),
///         None => "Hello, stranger".to_owned(),
///     }
/// }
/// ```
///
/// The attribute recognizes the types by name: do not write an alias of another name.
///
/// | argument | effect |
/// |---|---|
/// | `guest_only = "/"` | redirects logged-in users to this path; for login pages |
/// | `cross_origin` | accepts requests from other origins, without their session |
///
/// # `cross_origin`
///
/// A request from another origin that may change something (any method but GET, HEAD and OPTIONS, or a
/// WebSocket) is refused with 403. `#[with_session(cross_origin)]` accepts it, without its session. This
/// is for webhooks, and for identity providers that respond with a POST.
///
/// ```
/// use actix_web::{HttpResponse, post};
/// use locals::{Locals, with_session};
///
/// #[post("/webhook")]
/// #[with_session(cross_origin)]
/// async fn webhook(body: String) -> HttpResponse {
///     HttpResponse::NoContent().finish()
/// }
/// ```
#[proc_macro_attribute]
pub fn with_session(args: TokenStream, item: TokenStream) -> TokenStream {
    expand_handler(args.into(), &item.into(), HandlerAttribute::WithSession).into()
}

/// Makes an `async fn` a request handler for logged-in users. Other requests get the response 401.
///
/// Beside ordinary extractors it takes these parameters, in any order, each at most once:
///
/// | parameter | value |
/// |---|---|
/// | `Session` | the session |
/// | `User<T>` | the user |
/// | `Verified<T, C>` | the user, who meets the condition `C`; other users get 403 |
/// | `Locals` | reads the session, sets and removes the cookie |
///
/// The attribute recognizes the types by name: do not write an alias of another name. The 401 is sent
/// before any other extractor runs, so the body of a request without a session is never read.
///
/// | argument | effect |
/// |---|---|
/// | `redirect = "/login"` | redirects a browser that requests a page to this path, with `?next=` |
/// | `check = Account::is_admin` | 403 for users for whom this `fn(&T) -> bool`, or closure, returns `false` |
/// | `recent = "10m"` | accepts only a login that is not older than this: a number and `s`, `m`, `h` or `d`, such as `1h30m` |
///
/// ```
/// use actix_web::{Responder, get};
/// use locals::{AuthUser, User, require_user};
///
/// # #[derive(AuthUser)]
/// # struct Account { id: i64, email: String }
/// #[get("/me")]
/// #[require_user]
/// async fn me(user: User<Account>) -> impl Responder {
///     user.email.clone()
/// }
/// ```
#[proc_macro_attribute]
pub fn require_user(args: TokenStream, item: TokenStream) -> TokenStream {
    expand_handler(args.into(), &item.into(), HandlerAttribute::RequireUser).into()
}

/// Implements [`AuthUser`](trait.AuthUser.html) for a struct: the app's user, which is a row of a table
/// and has an id.
///
/// | attribute | on | default |
/// |---|---|---|
/// | `#[auth_user(table = "accounts")]` | the struct | `users` |
/// | `#[auth_user(sessions = "staff_sessions")]` | the struct; the table in which `SqlStore` keeps their sessions | `user_sessions` |
/// | `#[auth_user(columns("id", "email"))]` | the struct; the columns that its row is read from, or `columns(all)` | those of the fields |
/// | `#[auth_user(session = Cart)]` | the struct; the type of the session data, see [`SessionData`](trait.SessionData.html) | no session data |
/// | `#[auth_user(id)]` | the field that holds the id | the field named `id` |
/// | `#[auth_user(id = "account_id")]` | the field that holds the id, if its column has another name | the column of the field |
/// | `#[auth_user(credential)]` | any number of fields that sessions are bound to, such as the hash of the password | none |
///
/// The id is an integer (`i64`, `i32`, `i16`, `u64` or `u32`), a `String`, a `Uuid`, or a type of the
/// app's own that contains one of them and derives [`UserKey`](derive@UserKey).
///
/// ```
/// use locals::AuthUser;
///
/// #[derive(sqlx::FromRow, AuthUser)]
/// #[auth_user(table = "accounts")]
/// struct Account {
///     id: i64,
///     email: String,
/// }
/// ```
///
/// # Columns
///
/// `SqlStore` reads only the columns of the table that `sqlx::FromRow` reads. So a migration may add,
/// drop and change the other columns while the app runs, the database role needs no permission to read
/// them, and large columns cost nothing.
///
/// The columns have the names of the fields, changed as `#[sqlx(..)]` says: `rename` and `rename_all`
/// apply, to the column of the id too. Fields that `skip` have no column. Those with `default` are read
/// only if the table has their column. A field with `flatten` may be made of any columns, so all columns
/// are read.
///
/// A `FromRow` that is written by hand may read columns with other names. Then list them, including that
/// of the id, or read all:
///
/// ```
/// use locals::AuthUser;
/// use sqlx::{FromRow, Row, sqlite::SqliteRow};
///
/// #[derive(AuthUser)]
/// #[auth_user(columns("id", "first_name", "last_name"))] // or `columns(all)`
/// struct Account {
///     id: i64,
///     name: String,
/// }
///
/// impl FromRow<'_, SqliteRow> for Account {
///     fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
///         let (first, last): (&str, &str) = (row.try_get("first_name")?, row.try_get("last_name")?);
///         Ok(Self { id: row.try_get("id")?, name: format!("{first} {last}") })
///     }
/// }
/// ```
///
/// # Sessions of several types of user
///
/// If one database has two types of user, their sessions are in two tables. A session of one type is not
/// valid for the other:
///
/// ```
/// use locals::AuthUser;
///
/// #[derive(sqlx::FromRow, AuthUser)]
/// #[auth_user(table = "customers")]
/// struct Customer { id: i64 }
///
/// #[derive(sqlx::FromRow, AuthUser)]
/// #[auth_user(table = "staff", sessions = "staff_sessions")]
/// struct Employee { id: i64 }
/// ```
///
/// # Credentials
///
/// A session is valid only while each field marked `credential` has the value that it had when the
/// session began, whoever changes it: setting a password by hand, in SQL, logs the user out everywhere.
/// Only a digest of the fields is stored. Sessions from before the first field was marked have no digest,
/// and are not valid either. All types of user that sessions are made from must mark the same fields.
#[proc_macro_derive(AuthUser, attributes(auth_user))]
pub fn auth_user(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    print_if_requested(&input.ident, auth_user::derive(&input)).into()
}

/// Implements [`UserKey`](trait.UserKey.html) for a struct with one field, so that the app's users have
/// a type of id that no other id has.
///
/// The field has a type that an id may have: `i64`, `i32`, `i16`, `u64`, `u32`, `String`, `Uuid`, or
/// another type that derives this. Besides the trait, `From<AccountId> for UserId` and
/// `TryFrom<UserId> for AccountId` are implemented. If `sqlx` is to read the id from a row, derive
/// `sqlx::Type` too, with `#[sqlx(transparent)]`.
///
/// ```
/// use locals::{AuthUser, UserKey};
///
/// #[derive(Clone, Copy, UserKey)]
/// struct AccountId(i64);
///
/// #[derive(AuthUser)]
/// struct Account {
///     id: AccountId,
///     email: String,
/// }
/// ```
#[proc_macro_derive(UserKey)]
pub fn user_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    print_if_requested(&input.ident, user_key::derive(&input)).into()
}

/// Expands `#[with_session]` or `#[require_user]`.
fn expand_handler(
    args: TokenStream2,
    item: &TokenStream2,
    attribute: HandlerAttribute,
) -> TokenStream2 {
    let Ok(handler) = syn::parse2::<Handler>(item.clone()) else {
        return reject_item(item, attribute);
    };
    let mut diagnostics = Diagnostics::default();
    let args = Args::parse(args, attribute, &mut diagnostics);
    check::check(&handler, attribute, &mut diagnostics);
    let expansion = if diagnostics.is_empty() {
        expand::expand(&handler, attribute, &args)
    } else {
        expand::expand_with_errors(&handler, diagnostics)
    };
    print_if_requested(&handler.signature.ident, expansion)
}

/// Returns an item that is not a function unchanged, with an error.
fn reject_item(item: &TokenStream2, attribute: HandlerAttribute) -> TokenStream2 {
    let message = format!("`#[{}]` goes above an `async fn`", attribute.name());
    let error = syn::Error::new(proc_macro2::Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}
