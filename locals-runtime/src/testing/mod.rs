//! Helpers for tests of apps that use `locals`: requests of logged-in users, and a check of the
//! app's session hygiene (feature `testing`).
//!
//! Enable the feature in `[dev-dependencies]`:
//!
//! ```toml
//! locals = { version = "0.1", features = ["testing"] }
//! ```
//!
//! A test with a logged-in user takes three lines:
//!
//! ```
//! use actix_web::{App, test::{TestRequest, call_service, init_service}};
//! use locals::{Auth, AuthUser, User, require_user, store::MemoryStore, testing::*};
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
//! let (store, account) = (MemoryStore::new(), Account { id: 7 });
//! store.insert_user(account.clone());
//! let auth = Auth::builder(store).build()?;
//! let app = init_service(App::new().configure(auth.configure()).service(me)).await;
//!
//! let session = auth.test_session(&account).await;
//! let request = TestRequest::get().uri("/me").logged_in(&session).to_request();
//! let response = call_service(&app, request).await;
//! assert!(response.status().is_success());
//! # Ok::<(), locals::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! | to test | use |
//! |---|---|
//! | requests of a logged-in user | [`Auth::test_session`](crate::Auth::test_session), [`logged_in`](TestRequestExt::logged_in) |
//! | requests after the app's own login | [`Jar`], [`cookies_of`](TestRequestExt::cookies_of) |
//! | the expiry of a session, without waiting | [`ManualClock`] |
//! | whether the app handles sessions correctly | [`assert_hygiene`] |

mod hygiene;
mod jar;
mod request;
mod session;

pub use self::{
    hygiene::{Fault, Hygiene, Probe, Report, Rule, assert_hygiene, check_hygiene},
    jar::Jar,
    request::TestRequestExt,
    session::TestSession,
};
pub use crate::{model::time::Timestamp, sessions::clock::ManualClock};
