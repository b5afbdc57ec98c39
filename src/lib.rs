//! Sessions and typed users for Actix Web handlers, with one attribute.
//!
//! A handler names what it needs by type: the session, the user as a typed row of the app's own
//! table, and a handle that logs in and out.
//!
//! ```
//! use actix_web::{Responder, get, post, web};
//! use locals::{AuthUser, Error, Locals, User, require_user, with_session};
//!
//! #[derive(sqlx::FromRow, AuthUser)]
//! #[auth_user(table = "accounts")]
//! struct Account { id: i64, email: String }
//!
//! #[get("/")]
//! #[with_session]                                    // with or without a session
//! async fn home(user: Option<User<Account>>) -> String {
//!     user.map_or("Hello, stranger".into(), |user| format!("Hello, {}", user.email))
//! }
//!
//! #[get("/me")]
//! #[require_user]                                    // 401 without a user
//! async fn me(user: User<Account>) -> String {
//!     user.email.clone()
//! }
//!
//! #[post("/logout")]
//! #[with_session]
//! async fn logout(locals: Locals) -> Result<impl Responder, Error> {
//!     locals.log_out().await?;
//!     Ok(web::Redirect::to("/").see_other())
//! }
//! ```
//!
//! The API follows Lucia's `locals` (`getSession`, `getSessionUser`, `setSession`,
//! `clearSession`), with types: misuse does not compile, and the error message says what to write
//! instead. [`guide::lucia`] compares the two.
//!
//! # Set-up
//!
//! An app needs three things: a store, an [`Auth`] built on it, and `configure` on the app or on a
//! scope.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use locals::{Auth, AuthUser, store::SqlStore};
//!
//! # #[derive(sqlx::FromRow, AuthUser)]
//! # #[auth_user(table = "accounts")]
//! # struct Account { id: i64 }
//! # #[actix_web::get("/")]
//! # #[locals::with_session]
//! # async fn home() -> &'static str { "" }
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqlStore::sqlite("sqlite://app.db").await?;
//! store.migrate().await?;                            // makes the tables of the sessions
//! let auth = Auth::<Account>::builder(store).build()?;
//!
//! HttpServer::new(move || App::new().configure(auth.configure()).service(home))
//!     .bind(("127.0.0.1", 8080))?
//!     .run()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/quickstart.rs` is a complete app: `cargo run --example quickstart`.
//!
//! # Handlers
//!
//! | | [`#[with_session]`](macro@with_session) | [`#[require_user]`](macro@require_user) |
//! |---|---|---|
//! | lets in | everybody | logged-in users; others get 401, or the login page |
//! | the session | `Option<`[`Session`]`>` | [`Session`] |
//! | the user | `Option<`[`User<T>`](User)`>` | [`User<T>`](User) |
//! | a proof | `Option<`[`Verified<T, C>`](Verified)`>` | [`Verified<T, C>`](Verified) |
//! | the handle | [`Locals`] | [`Locals`] |
//!
//! All other parameters are ordinary extractors. They run after the guard, so the body of a
//! refused request is not read. Put the attribute above or below the route attribute, or above a
//! function that is passed to `.to(..)`.
//!
//! A handler that takes neither the session nor the user, and does not ask its [`Locals`] for
//! them, costs no query. Any other costs one, and none if the request has no cookie.
//!
//! # The pages of the guide
//!
//! | start | |
//! |---|---|
//! | [`guide::first_steps`] | from an empty folder to a handler that knows its user |
//! | [`guide::lines`] | how much there is to write |
//! | [`guide::glossary`] | the terms of this guide |
//!
//! | how it works | |
//! |---|---|
//! | [`guide::request`] | the steps around a handler, with their costs and responses; a picture |
//! | [`guide::handlers`] | what a signature may contain, and what the attributes expand to |
//! | [`guide::sessions`] | active, idle, expired, ended; a picture |
//!
//! | recipes | |
//! |---|---|
//! | [`guide::guards`] | guards: redirects, roles, proofs, recent logins, scopes, responses |
//! | [`guide::log_in`] | logging in and out, "stay logged in", a password change |
//! | [`guide::recipes`] | passwords, login links by e-mail, OAuth, passkeys, two factors |
//! | [`guide::accounts`] | accounts that are disabled, deleted, or get a new password |
//! | [`guide::devices`] | the list of a user's sessions |
//! | [`guide::session_data`] | data that the app keeps in a session |
//! | [`guide::guests`] | data that the app keeps before login |
//! | [`guide::rotation`] | a new token at regular intervals |
//! | [`guide::bearer`] | native clients without cookies |
//! | [`guide::impersonation`] | staff who use the app as a user |
//! | [`guide::connections`] | WebSockets and streams that close when their session ends |
//!
//! | running it | |
//! |---|---|
//! | [`guide::stores`] | choosing a store, its tables, and writing your own |
//! | [`guide::poolers`] | PgBouncer, a primary that moves, timeouts |
//! | [`guide::users_by_another_crate`] | users from SeaORM, Diesel, others |
//! | [`guide::tls`] | encrypted connections to the database |
//! | [`guide::proxies`] | TLS, addresses, caches and WebSockets behind a proxy |
//! | [`guide::nodes`] | several nodes: what takes effect where, upgrades |
//! | [`guide::observability`] | logging and metrics |
//! | [`guide::testing`] | testing your app |
//!
//! | coming from elsewhere | |
//! |---|---|
//! | [`guide::moving`] | from actix-session and actix-identity, without logging anybody out |
//! | [`guide::lucia`] | from Lucia, function by function |
//!
//! | reference | |
//! |---|---|
//! | [`guide::errors`] | messages from the compiler, at start-up and at run time, and what to do |
//! | [`guide::security`] | each demand, with the tests that show it |
//! | [`guide::asvs`] | OWASP ASVS 5.0: what is met, and what remains the app's |
//! | [`guide::design`] | the design: why it is as it is |
//!
//! Checking a password, rate limits, second factors, OAuth: there are good crates for each, and all
//! end in [`locals.log_in(&user)`](Locals::log_in). See [`guide::recipes`].
//!
//! That method and the others like it use two simpler ones, which only decide about the cookie:
//! [`set_session`](Locals::set_session) and [`clear_session`](Locals::clear_session). The last of
//! these calls wins and writes one `Set-Cookie`, whatever the status of the response.
//!
//! For work on the server outside a request, and for users who are not present, there are [`Auth`]
//! and [`SessionManager`].
//!
//! # The life of a session
//!
//! A session is *active* for a day, then *idle* for 14 days, then it expires. Using an active one
//! writes nothing. Using an idle one renews it: both periods start again and the cookie is sent
//! again with the same token. After 30 days it expires, however much it was used. [`Lifetime`]
//! changes these periods; [`guide::sessions`] says what each means for the cookie and the row.
//!
//! # Security
//!
//! By default:
//!
//! - The token is 48 random bytes of the operating system. The store keeps a SHA-256 of 32 of
//!   them, so a stolen copy of the database opens no session. `Debug` shows none of it.
//! - The hash is bound to the table of the users, so a token of one type of user opens nothing of
//!   another, whatever they share.
//! - The cookie is `__Host-session`, `HttpOnly`, `Secure`, `SameSite=Lax`. It is read from the
//!   raw bytes of the header: no name is decoded, and two different values count as none.
//! - Logging in gives a new token and ends the presented session. A token that the server did
//!   not issue is never adopted.
//! - A request to an annotated handler that changes something and comes from another origin is
//!   refused with 403, by `Sec-Fetch-Site` and `Origin`. See
//!   [`#[with_session(cross_origin)]`](macro@with_session) and [`AuthBuilder::trusted_origin`].
//! - A failure of the store is 503 with `Retry-After`, and the cookie stays: an outage logs nobody
//!   out.
//! - Responses that depend on the session carry `Vary: Cookie`, and are not stored by caches unless
//!   the handler sets a `Cache-Control` of its own; those that set the cookie are never stored.
//!
//! # Testing your app
//!
//! [`store::MemoryStore`] needs no database, and with [`ManualClock`] tests need not wait.
//!
//! ```
//! use std::time::Duration;
//!
//! use actix_web::{App, http::StatusCode, test};
//! use locals::{Auth, AuthUser, ManualClock, Timestamp, User, require_user, store::MemoryStore};
//!
//! #[derive(Clone, AuthUser)]
//! struct Account { id: i64 }
//!
//! #[actix_web::get("/me")]
//! #[require_user]
//! async fn me(user: User<Account>) -> String {
//!     user.id.to_string()
//! }
//!
//! # actix_web::rt::System::new().block_on(async {
//! let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::from_millis(0)));
//! store.insert_user(Account { id: 7 });
//! let auth = Auth::builder(store).clock(clock.clone()).build()?;
//! let app = test::init_service(App::new().configure(auth.configure()).service(me)).await;
//!
//! let session = auth.create_session(&Account { id: 7 }).await?;
//! let cookie = format!("__Host-session={}", session.token().expose_secret());
//! let request = || test::TestRequest::get().uri("/me").insert_header(("Cookie", &*cookie));
//! assert_eq!(test::call_and_read_body(&app, request().to_request()).await, "7");
//!
//! clock.advance(Duration::from_hours(15 * 24));
//! let response = test::call_service(&app, request().to_request()).await;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The feature `testing` makes this shorter, and `locals::testing::assert_hygiene` tests whether
//! the app handles its sessions correctly.
//!
//! # Features
//!
//! | feature | what it gives |
//! |---|---|
//! | `sqlite` (default) | [`store::SqlStore`] on SQLite, compiled in |
//! | `postgres` | [`store::SqlStore`] on PostgreSQL |
//! | `mysql` | [`store::SqlStore`] on MySQL and MariaDB |
//! | `tls-rustls`, `tls-native` | encrypted connections to PostgreSQL and MySQL, see [`guide::tls`] |
//! | `redis` | `store::RedisStore` on a Redis server or cluster |
//! | `device-names` | `SessionInfo::device`, a name such as "Firefox on Windows" |
//! | `metrics` | counters of the events that are logged |
//! | `store-suite` | [`store::suite`], the tests that every store must pass |
//! | `testing` | `locals::testing`, for tests of your app |

pub use locals_macros::{AuthUser, UserKey, require_user, with_session};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use locals_runtime::SessionTransaction;
#[cfg(feature = "device-names")]
pub use locals_runtime::device_name;
#[cfg(feature = "store-suite")]
pub use locals_runtime::store_suite;
#[cfg(feature = "testing")]
pub use locals_runtime::testing;
pub use locals_runtime::{
    Auth, AuthBuilder, AuthUser, BeforeRequest, BoxError, Check, ClearSiteData, Clock, ConfigError,
    CookieConfig, CredentialDigest, CredentialField, CredentialHash, DataChange, Error,
    ErrorWithHeaders, Guard, GuestData, GuestRecord, Lifetime, Locals, LogInOptions, MalformedId,
    MalformedToken, ManualClock, Periods, Recent, Renewal, Rotation, SafeRedirect, SameSite,
    SecretHash, Session, SessionData, SessionId, SessionInfo, SessionManager, SessionRecord,
    SessionState, SessionTimes, SessionToken, StoreError, Sweeper, SystemClock, Timestamp,
    TokenChange, TokenReuse, UnsafeRedirect, User, UserColumn, UserId, UserIdKind, UserKey,
    Verified, WrongIdKind, store,
};

/// Called by generated code. Not part of the public interface.
#[doc(hidden)]
pub use locals_runtime::handler as __private;

/// The guide, page by page.
#[cfg(any(doc, doctest))]
pub mod guide {
    /// A picture is inlined before its page, so that it has the colors of the reader's theme. Its
    /// title appears in the list of pages.
    macro_rules! pages {
        ($($(#[$attribute:meta])* $page:ident = $file:literal $(, $title:literal: $picture:literal)?;)+) => {$(
            $(#[$attribute])*
            $(#[doc = $title] #[doc = ""] #[doc = include_str!(concat!("../", $picture))] #[doc = ""])?
            #[doc = include_str!(concat!("../", $file))]
            pub mod $page {}
        )+};
    }

    pages! {
        first_steps = "docs/first_steps.md";
        request = "docs/request.md", "How a request flows, as a picture": "docs/request.svg";
        handlers = "docs/handlers.md";
        sessions = "docs/sessions.md", "Sessions and their life, as a picture": "docs/life.svg";
        #[cfg_attr(doctest, cfg(feature = "store-suite"))]
        stores = "docs/stores.md";
        poolers = "docs/poolers.md";
        // Its code is compiled where it is tested, as that of `recipes` is.
        #[cfg_attr(doctest, cfg(false))]
        users_by_another_crate = "docs/users_by_another_crate.md";
        #[cfg_attr(doctest, cfg(all(feature = "postgres", feature = "mysql")))]
        tls = "docs/tls.md";
        proxies = "docs/proxies.md";
        nodes = "docs/nodes.md";
        errors = "docs/errors.md";
        guards = "docs/guards.md";
        log_in = "docs/log_in.md";
        // Its code, and that of `moving`, is compiled where it is tested; a test compares the two.
        #[cfg_attr(doctest, cfg(false))]
        recipes = "docs/recipes.md";
        devices = "docs/devices.md";
        accounts = "docs/accounts.md";
        session_data = "docs/session_data.md";
        guests = "docs/guests.md";
        rotation = "docs/rotation.md";
        bearer = "docs/bearer.md";
        impersonation = "docs/impersonation.md";
        connections = "docs/connections.md";
        #[cfg_attr(doctest, cfg(feature = "testing"))]
        testing = "docs/testing.md";
        observability = "docs/observability.md";
        #[cfg_attr(doctest, cfg(feature = "testing"))]
        lines = "docs/lines.md";
        glossary = "docs/glossary.md";
        #[cfg_attr(doctest, cfg(false))]
        moving = "docs/moving.md";
        lucia = "docs/lucia.md";
        security = "docs/security.md";
        asvs = "docs/asvs.md";
        design = "DESIGN.md";
    }
}

/// Runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
