//! Sessions and users for Actix Web handlers, by one attribute.
//!
//! A handler names what it needs by type and gets it: the session, the user as a typed row of
//! the app's own table, and a handle that sets and removes the session cookie.
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
//! #[with_session]                                    // anybody may come
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
//! The API is that of Lucia's `locals` (`getSession`, `getSessionUser`, `setSession`,
//! `clearSession`), made typed: misuse does not compile, and the compiler's message says what to
//! write instead. [`guide::lucia`] has all of it.
//!
//! # Set-up
//!
//! Three things: a store, an [`Auth`] built on it, and `configure` on the app or on a scope.
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
//! `examples/quickstart.rs` is a whole app: `cargo run --example quickstart`.
//!
//! # Handlers
//!
//! | | [`#[with_session]`](macro@with_session) | [`#[require_user]`](macro@require_user) |
//! |---|---|---|
//! | who may come | anybody | logged-in users; others get 401, or the login page |
//! | the session | `Option<`[`Session`]`>` | [`Session`] |
//! | the user | `Option<`[`User<T>`](User)`>` | [`User<T>`](User) |
//! | a proof | `Option<`[`Verified<T, C>`](Verified)`>` | [`Verified<T, C>`](Verified) |
//! | the handle | [`Locals`] | [`Locals`] |
//!
//! All other parameters are ordinary extractors, and run after the guard: nothing of a
//! stranger's body is read. The attribute stands above or below the route attribute, or above a
//! function that is given to `.to(..)`.
//!
//! A handler that takes neither session nor user, nor asks its [`Locals`] for them, costs no
//! query. One that does costs one, and none without a cookie.
//!
//! # The pages of the guide
//!
//! | start | |
//! |---|---|
//! | [`guide::first_steps`] | from an empty folder to a handler that knows its user |
//! | [`guide::lines`] | how much there is to write |
//!
//! | how it works | |
//! |---|---|
//! | [`guide::request`] | the steps around a handler, what each costs and answers; a picture |
//! | [`guide::handlers`] | what may stand in a signature, and what the attributes expand to |
//! | [`guide::sessions`] | active, idle, dead, ended; a picture |
//!
//! | recipes | |
//! |---|---|
//! | [`guide::guards`] | who is let in: redirects, roles, proofs, recent logins, scopes, answers |
//! | [`guide::log_in`] | logging in and out, "stay logged in", a change of password |
//! | [`guide::recipes`] | passwords, links by e-mail, OAuth, passkeys, two factors |
//! | [`guide::accounts`] | accounts that are switched off, deleted, or get another password |
//! | [`guide::devices`] | the list of one's sessions |
//! | [`guide::session_data`] | what the app keeps with a session |
//! | [`guide::guests`] | what it keeps before a login |
//! | [`guide::rotation`] | a new token every so often |
//! | [`guide::bearer`] | native clients without cookies |
//! | [`guide::impersonation`] | staff that act as a user |
//! | [`guide::connections`] | WebSockets and streams that end with their session |
//!
//! | running it | |
//! |---|---|
//! | [`guide::stores`] | choosing a store, its tables, and writing one |
//! | [`guide::poolers`] | PgBouncer, a primary that moves, time-outs |
//! | [`guide::users_by_another_crate`] | SeaORM, Diesel, others |
//! | [`guide::tls`] | encrypted connections to the database |
//! | [`guide::proxies`] | TLS, addresses, caches and WebSockets behind a proxy |
//! | [`guide::nodes`] | several nodes: what is final where, upgrades |
//! | [`guide::observability`] | what is logged and counted |
//! | [`guide::testing`] | tests of your app |
//!
//! | coming from elsewhere | |
//! |---|---|
//! | [`guide::moving`] | from actix-session and actix-identity, without signing anybody out |
//! | [`guide::lucia`] | from Lucia, function by function |
//!
//! | reference | |
//! |---|---|
//! | [`guide::errors`] | messages of the compiler, at start-up and while it runs, and what to do |
//! | [`guide::security`] | each demand, with the test that shows it |
//! | [`guide::asvs`] | OWASP ASVS 5.0: what is met, and what remains the app's |
//! | [`guide::design`] | why it is as it is |
//!
//! Checking a password, limits on tries, second factors, OAuth: there are good crates for each, and
//! all end in [`locals.log_in(&user)`](Locals::log_in); see [`guide::recipes`]. That and all the other verbs are made of two
//! simpler ones, which decide about the cookie and nothing else:
//! [`set_session`](Locals::set_session) and [`clear_session`](Locals::clear_session). The last call
//! of these wins and writes one `Set-Cookie`, whatever the status of the response.
//!
//! On the server's own account, for users who are not there: [`Auth`] and [`SessionManager`].
//!
//! # The life of a session
//!
//! A session is *active* for a day, then *idle* for 14 days, then dead. Using an active one
//! writes nothing. Using an idle one renews it: both periods start again and the cookie is sent
//! again with the same token. After 30 days it is dead, however much it was used. [`Lifetime`]
//! changes these; [`guide::sessions`] says what each means for the cookie and the row.
//!
//! # Security
//!
//! What holds without being asked for:
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
//!   refused with 403, by `Sec-Fetch-Site` and `Origin`. See [`#[with_session(cross_origin)]`](macro@with_session) and
//!   [`AuthBuilder::trusted_origin`].
//! - A fault of the store is 503 with `Retry-After`, and the cookie stays: an outage logs nobody
//!   out.
//! - Responses that saw the session carry `Vary: Cookie`, and are not stored by caches unless the
//!   handler sets a `Cache-Control` of its own; those that set the cookie never are.
//!
//! # Tests of your app
//!
//! [`store::MemoryStore`] needs no database, and [`ManualClock`] no patience.
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
//! The feature `testing` makes this shorter, and `locals::testing::assert_hygiene` tries whether
//! the app handles its sessions as it should.
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
//! | `device-names` | `SessionInfo::device`, "Firefox on Windows" |
//! | `metrics` | counters of the events that are logged |
//! | `store-suite` | [`store::suite`], the tests that every store must pass |
//! | `testing` | `locals::testing`, for tests of your app |

pub use locals_macros::{AuthUser, UserKey, require_user, with_session};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use locals_runtime::Within;
#[cfg(feature = "device-names")]
pub use locals_runtime::device_name;
#[cfg(feature = "store-suite")]
pub use locals_runtime::store_suite;
#[cfg(feature = "testing")]
pub use locals_runtime::testing;
pub use locals_runtime::{
    Auth, AuthBuilder, AuthUser, BeforeRequest, BoxError, Check, ClearSiteData, Clock, ConfigError,
    CookieConfig, CredentialDigest, CredentialField, CredentialHash, DataChange, Error,
    FinishedError, Guard, GuestData, GuestRecord, Lifetime, Locals, LogInOptions, MalformedId,
    MalformedToken, ManualClock, Periods, Recent, Renewal, Rotation, SafeRedirect, SameSite,
    SecretHash, Session, SessionData, SessionId, SessionInfo, SessionManager, SessionRecord,
    SessionState, SessionTimes, SessionToken, StoreError, Sweeper, SystemClock, Timestamp,
    TokenChange, TokenReuse, UnsafeRedirect, User, UserColumn, UserId, UserIdKind, UserKey,
    Verified, WrongIdKind, store,
};

/// What generated code calls. No part of the public interface.
#[doc(hidden)]
pub use locals_runtime::handler as __private;

/// The guide, page by page.
#[cfg(any(doc, doctest))]
pub mod guide {
    /// A picture stands inline before its page, so that it has the colours of the reader's theme;
    /// its title stands in the list of the pages.
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
