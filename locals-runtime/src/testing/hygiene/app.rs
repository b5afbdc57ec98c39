//! `Hygiene`: the requests and settings of the app under test.

use super::Probe;
use crate::{model::user::AuthUser, request::auth::Auth};

/// What [`assert_hygiene`](crate::testing::assert_hygiene) must know about an app.
///
/// ```
/// use locals::testing::{Hygiene, Probe};
///
/// let hygiene = Hygiene {
///     log_in: Probe::post("/login").form([("email", "ada@example.com"), ("password", "secret")]),
///     log_out: Probe::post("/logout"),
///     protected: Probe::get("/me"),
///     login_page: Some("/login".to_owned()),
///     ..Hygiene::default()
/// };
/// ```
#[derive(Debug, Clone)]
pub struct Hygiene {
    /// The request that logs in an existing user; its response must set the session cookie.
    /// `POST /login` by default. It is sent about ten times, and up to sixty times more for a
    /// [`login_page`](Self::login_page): rate limits must allow that.
    pub log_in: Probe,
    /// The request that logs out. `POST /logout` by default.
    pub log_out: Probe,
    /// A request that requires this user to be logged in. `GET /me` by default.
    pub protected: Probe,
    /// The login page, if it takes the page to go to next by `?next=`. None by default. If it is
    /// set, `next` is tested on this page, in the query of [`log_in`](Self::log_in), and in its
    /// form or JSON.
    pub login_page: Option<String>,
    /// The name of the session cookie. `__Host-session` by default.
    pub cookie_name: String,
    /// Whether the cookie must be `Secure`. `true` by default.
    pub secure: bool,
}

impl Hygiene {
    /// Returns the defaults, with the name of the cookie that this [`Auth`] sets, and whether it is
    /// [`Secure`](crate::CookieConfig::secure).
    ///
    /// ```
    /// use locals::{Auth, AuthUser, CookieConfig, store::MemoryStore, testing::Hygiene};
    ///
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// let auth = Auth::<Account>::builder(MemoryStore::new())
    ///     .cookie(CookieConfig::default().name("__Host-id"))
    ///     .build()?;
    /// assert_eq!(Hygiene::of(&auth).cookie_name, "__Host-id");
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn of<T: AuthUser>(auth: &Auth<T>) -> Self {
        let (cookie_name, secure) = (auth.cookie().name().to_owned(), auth.cookie().is_secure());
        Self { cookie_name, secure, ..Self::default() }
    }
}

impl Default for Hygiene {
    fn default() -> Self {
        Self {
            log_in: Probe::post("/login"),
            log_out: Probe::post("/logout"),
            protected: Probe::get("/me"),
            login_page: None,
            cookie_name: "__Host-session".to_owned(),
            secure: true,
        }
    }
}
