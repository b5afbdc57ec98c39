//! The macros of [`locals`](https://docs.rs/locals), which re-exports and documents them.
//!
//! To see the expansion of one handler or of one derive, name the function or the type in
//! `LOCALS_EXPAND`. The expansion goes to stderr, and `rustfmt` formats it:
//!
//! ```sh
//! touch src/main.rs
//! LOCALS_EXPAND=me cargo check --quiet 2>&1 | rustfmt --edition 2024
//! ```
//!
//! Cargo does not know that the expansion depends on this variable: without a change to a file of the
//! app, such as by `touch`, it compiles nothing and prints nothing.

// An editor runs the macros on half-written code, and a panic there takes its help away.
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
mod columns;
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
    handler::{Attribute, Handler},
    print::print_if_requested,
};

/// A handler that anybody may call, and that may see who does.
///
/// Beside ordinary extractors it takes, in any order, each at most once:
///
/// | parameter | what it is |
/// |---|---|
/// | `Option<Session>` | the session, if there is one |
/// | `Option<User<T>>` | the user, if somebody is logged in |
/// | `Option<Verified<T, C>>` | the user, if they meet the condition `C` |
/// | `Locals` | reads the session, sets and removes the cookie |
///
/// The attribute stands above or below the route attribute, or above a plain function that is
/// given to `.to(..)`.
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
/// The types are read by name: write them out, not as an alias of your own.
///
/// | argument | what it does |
/// |---|---|
/// | `guest_only = "/"` | sends logged-in users on to this path; for login pages |
/// | `cross_origin` | lets in requests of other origins, without their session |
///
/// # `cross_origin`
///
/// A request that changes something (any method but GET, HEAD and OPTIONS, or a WebSocket) and
/// comes from another origin is refused with 403. `#[with_session(cross_origin)]` lets it in,
/// without its session: for webhooks, and for identity providers that answer with a POST.
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
    annotate(args.into(), &item.into(), Attribute::WithSession).into()
}

/// A handler that only logged-in users may call; others are answered 401.
///
/// Beside ordinary extractors it takes, in any order, each at most once:
///
/// | parameter | what it is |
/// |---|---|
/// | `Session` | the session |
/// | `User<T>` | the user |
/// | `Verified<T, C>` | the user, who meets the condition `C`; others are answered 403 |
/// | `Locals` | reads the session, sets and removes the cookie |
///
/// The types are read by name: write them out, not as an alias of your own. The 401 is sent before any
/// other extractor runs: nothing of a stranger's body is read.
///
/// | argument | what it does |
/// |---|---|
/// | `redirect = "/login"` | sends a browser that asks for a page to this path, with `?next=` |
/// | `check = Account::is_admin` | 403 for users of whom this `fn(&T) -> bool`, or closure, says no |
/// | `recent = "10m"` | only within this time after the login: a number and `s`, `m`, `h` or `d`, such as `1h30m` |
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
    annotate(args.into(), &item.into(), Attribute::RequireUser).into()
}

/// Makes a struct the app's user: a row of a table, with an id.
///
/// | attribute | on | default |
/// |---|---|---|
/// | `#[auth_user(table = "accounts")]` | the struct | `users` |
/// | `#[auth_user(sessions = "staff_sessions")]` | the struct; the table in which `SqlStore` keeps their sessions | `user_sessions` |
/// | `#[auth_user(columns("id", "email"))]` | the struct; the columns that its row is read from, or `columns(all)` | those of the fields |
/// | `#[auth_user(session = Cart)]` | the struct; what the app keeps with each session, see [`SessionData`](trait.SessionData.html) | nothing |
/// | `#[auth_user(id)]` | the field of the id | the field named `id` |
/// | `#[auth_user(id = "account_id")]` | the field of the id, where its column is named otherwise | that of the field |
/// | `#[auth_user(credential)]` | a field that sessions are bound to, such as the hash of the password; as many as you like | none |
///
/// The id is an integer (`i64`, `i32`, `i16`, `u64` or `u32`), `String`, `Uuid`, or a type of the app's
/// own around one of them that derives [`UserKey`](derive@UserKey).
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
/// `SqlStore` reads those columns of the table that `sqlx::FromRow` looks for, and no others. So a
/// migration may add, drop and change the others while the app runs, a role of the database need not be
/// allowed to read them, and what is large costs nothing.
///
/// They are the names of the fields, as `#[sqlx(..)]` says it: with `rename` and `rename_all`, which
/// name the column of the id, too; without those that `skip`; and those with `default` only where the
/// table has them. A field with `flatten` may be made of any columns, so all are read.
///
/// A `FromRow` that is written by hand may read other columns than the fields are named. Then name
/// them, with that of the id, or read all:
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
/// The sessions of two types of user in one database are in two tables. Whoever is logged in as one is
/// nobody to the other:
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
/// A session opens nothing any more when a field marked as credential has another value than when the
/// session began, whoever has changed it: a password that is set by hand, in SQL, logs the user out
/// everywhere. What is kept of the fields is a digest. Sessions from before the first field was
/// marked have none, and open nothing either. Every type of user from which a session is made marks
/// the same fields.
#[proc_macro_derive(AuthUser, attributes(auth_user))]
pub fn auth_user(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    print_if_requested(&input.ident, auth_user::derive(&input)).into()
}

/// Makes a struct with one field the type of users' ids, so that an id of something else is none.
///
/// The field is of a type that ids have: `i64`, `i32`, `i16`, `u64`, `u32`, `String`, `Uuid`, or another
/// that derives this. The trait [`UserKey`](trait.UserKey.html) is implemented, and
/// `From<AccountId> for UserId` and `TryFrom<UserId> for AccountId`. To be read from a row of `sqlx`, it
/// has `#[derive(sqlx::Type)]` and `#[sqlx(transparent)]` besides.
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

/// What an attribute makes of the item below it.
fn annotate(args: TokenStream2, item: &TokenStream2, attribute: Attribute) -> TokenStream2 {
    let Ok(handler) = syn::parse2::<Handler>(item.clone()) else {
        return refuse(item, attribute);
    };
    let mut diagnostics = Diagnostics::default();
    let args = Args::parse(args, attribute, &mut diagnostics);
    check::check(&handler, attribute, &mut diagnostics);
    let expansion = if diagnostics.is_empty() {
        expand::expand(&handler, attribute, &args)
    } else {
        expand::recover(&handler, diagnostics)
    };
    print_if_requested(&handler.signature.ident, expansion)
}

/// The answer to an item that is no function: the item, and what is wrong.
fn refuse(item: &TokenStream2, attribute: Attribute) -> TokenStream2 {
    let message = format!("`#[{}]` goes above an `async fn`", attribute.name());
    let error = syn::Error::new(proc_macro2::Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}
