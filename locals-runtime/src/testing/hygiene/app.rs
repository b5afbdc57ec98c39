//! The app that is examined.

use super::Probe;
use crate::{model::user::AuthUser, request::auth::Auth};

/// What [`assert_hygiene`] needs to know of an app.
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
    /// The request that logs in a user who exists; the answer must set the session cookie.
    /// `POST /login` by default. It is sent about ten times, and up to sixty times more for
    /// a [`login_page`](Self::login_page): limits on tries must let that through.
    pub log_in: Probe,
    /// The request that logs out. `POST /logout` by default.
    pub log_out: Probe,
    /// A request that this user may send, and a stranger may not. `GET /me` by default.
    pub protected: Probe,
    /// The page that asks people to log in, if it is told where to go then by `?next=`. None by
    /// default. With it, the same `next` is tried on the page, in the query of
    /// [`log_in`](Self::log_in), and in its form or JSON.
    pub login_page: Option<String>,
    /// The name of the session cookie. `__Host-session` by default.
    pub cookie_name: String,
    /// Whether the cookie must be `Secure`. It must by default.
    pub secure: bool,
}

impl Hygiene {
    /// The defaults, with the cookie that this [`Auth`] is configured to set: its name, and
    /// whether it is [`Secure`](crate::CookieConfig::secure).
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
