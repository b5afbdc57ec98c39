//! `AuthBuilder`: the settings of an app's sessions.

use std::{fmt, sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header::HeaderValue};

use crate::{
    http::{
        cookie::{CookieConfig, SessionCookie},
        origin::OriginPolicy,
        proxy::TrustedProxies,
    },
    model::{
        account::AccountRules,
        data::SessionData,
        error::{ConfigError, Error},
        guest::{GuestData, Merge},
        lifecycle::Lifetime,
        settings::{RotationPolicy, Settings, TokenReuse},
        user::AuthUser,
        user_table::UserTable,
    },
    request::{
        auth::{Auth, Web},
        error_responder::ErrorResponder,
    },
    sessions::{
        accounts::StoredAccounts,
        clock::{Clock, SystemClock},
        manager::SessionManager,
    },
    store::SessionUserStore,
};

impl<T> Auth<T> {
    /// Returns a builder for the sessions that `store` keeps.
    pub fn builder(store: impl SessionUserStore<T>) -> AuthBuilder<T> {
        AuthBuilder::new(Arc::new(store))
    }
}

/// The default of [`AuthBuilder::rotation_overlap`].
const OVERLAP: Duration = Duration::from_mins(1);

/// Configures an [`Auth`]. Every setting has a safe default.
///
/// ```
/// use std::time::Duration;
///
/// use locals::{Auth, AuthUser, Lifetime, store::MemoryStore};
///
/// # #[derive(Clone, AuthUser)]
/// # struct Account { id: i64 }
/// let auth = Auth::<Account>::builder(MemoryStore::new())
///     .origin("https://app.example")
///     .trusted_proxy("10.0.0.0/8")
///     .login_page("/login")
///     .lifetime(Lifetime::default().max(Duration::from_hours(7 * 24)))
///     .max_sessions(10)
///     .build()?;
/// # Ok::<(), locals::ConfigError>(())
/// ```
#[must_use = "an `AuthBuilder` does nothing until `.build()`"]
pub struct AuthBuilder<T> {
    store: Arc<dyn SessionUserStore<T>>,
    settings: Settings,
    rotate_every: Option<Duration>,
    rotation_overlap: Option<Duration>,
    cookie: CookieConfig,
    own_origins: Vec<String>,
    trusted_origins: Vec<String>,
    strict_origins: bool,
    error_responder: ErrorResponder,
    trusted_proxies: Vec<String>,
    bearer: bool,
    clear_site_data: Vec<ClearSiteData>,
    merge: Option<Merge>,
    rules: AccountRules<T>,
    clock: Arc<dyn Clock>,
}

impl<T> AuthBuilder<T> {
    pub(crate) fn new(store: Arc<dyn SessionUserStore<T>>) -> Self {
        Self {
            store,
            settings: Settings::default(),
            rotate_every: None,
            rotation_overlap: None,
            cookie: CookieConfig::default(),
            own_origins: Vec::new(),
            trusted_origins: Vec::new(),
            strict_origins: false,
            error_responder: ErrorResponder::default(),
            trusted_proxies: Vec::new(),
            bearer: false,
            clear_site_data: vec![ClearSiteData::Cache],
            merge: None,
            rules: AccountRules::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl<T: AuthUser> AuthBuilder<T> {
    /// Sets how long sessions live. By default the active period is a day, the idle timeout 14
    /// days, and the absolute timeout 30 days.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// Sets the name and attributes of the session cookie. By default it is `__Host-session`, for
    /// HTTPS only.
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// Adds a public origin of the app, such as `https://app.example`. Call it once for each
    /// origin. By default the `Host` header is used instead. Set the origin if a proxy changes that
    /// header.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.own_origins.push(origin.into());
        self
    }

    /// Allows another origin to send state-changing requests with the user's session. Call it once
    /// for each origin. None by default.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted_origins.push(origin.into());
        self
    }

    /// Refuses state-changing requests that name no origin, neither in `Sec-Fetch-Site` nor in
    /// `Origin`. All browsers of recent years send one of these headers; other programs send
    /// neither. Off by default.
    pub fn strict_origins(mut self, strict: bool) -> Self {
        self.strict_origins = strict;
        self
    }

    /// Sets the page where users log in, as a path of this app. It may have a query, but no `next`
    /// in it.
    ///
    /// A browser that requests a page without a session is redirected there with 303. The requested
    /// page is passed as `?next=`; see [`Locals::return_to`](crate::Locals::return_to). All other
    /// requests get 401. None by default. `#[require_user(redirect = "..")]` sets another page for
    /// one handler.
    pub fn login_page(mut self, path: impl Into<String>) -> Self {
        self.error_responder.login_page = Some(path.into());
        self
    }

    /// Sets the page where users re-authenticate when a handler requires a recent login. The login
    /// page by default.
    pub fn reauthentication_page(mut self, path: impl Into<String>) -> Self {
        self.error_responder.reauthentication_page = Some(path.into());
        self
    }

    /// Replaces the responses to the errors of `locals`.
    ///
    /// The function is called for every [`Error`] that a handler with an attribute, or a guard,
    /// responds with. If it returns a response, that is sent; where its status is 200, the status
    /// of the error is used instead. If it returns `None`, `locals` responds itself: with a
    /// redirect or a small page to a browser, and with a problem document (RFC 9457) to other
    /// clients.
    ///
    /// ```
    /// use actix_web::HttpResponse;
    /// use locals::{Auth, AuthUser, Error, store::MemoryStore};
    ///
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// let auth = Auth::<Account>::builder(MemoryStore::new())
    ///     .error_response(|_request, error| match error {
    ///         Error::Forbidden => Some(HttpResponse::Ok().body("This is for admins.")),
    ///         _ => None,
    ///     })
    ///     .build()?;
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn error_response<F>(mut self, respond: F) -> Self
    where
        F: Fn(&HttpRequest, &Error) -> Option<HttpResponse> + Send + Sync + 'static,
    {
        self.error_responder.custom = Some(Arc::new(respond));
        self
    }

    /// Adds a proxy in front of the app, by its address or range, such as `10.0.0.0/8`. Call it
    /// once for each proxy. The client address that a trusted proxy reports (in `X-Forwarded-For`,
    /// or else `Forwarded`) is kept with the session. None by default, since any client can send
    /// these headers.
    pub fn trusted_proxy(mut self, address: impl Into<String>) -> Self {
        self.trusted_proxies.push(address.into());
        self
    }

    /// Limits the number of sessions of a user. 100 by default; OWASP ASVS 5.0 §7.1.2 asks for a
    /// documented limit.
    ///
    /// If a login exceeds the limit, the oldest sessions end. After several logins at the same time
    /// exactly the newest sessions remain, so one of these logins may find that its own session has
    /// ended. Each login reads the ids and times of its user's sessions, before and after it
    /// creates its own.
    pub fn max_sessions(mut self, limit: usize) -> Self {
        self.settings.max_sessions = Some(limit);
        self
    }

    /// Accepts `Authorization: Bearer <token>` from native clients, which have no cookies. Off by
    /// default.
    ///
    /// For such a request no cookie is read or written, and its origin is not checked, because
    /// browsers do not send this header by themselves. A request that also has a session cookie, or
    /// another `Authorization` header, is refused with 400. The token is
    /// [`Session::token`](crate::Session::token); the app passes it to the client, for example in
    /// the response to a login.
    pub fn bearer(mut self, accept: bool) -> Self {
        self.bearer = accept;
        self
    }

    /// Rotates the token of a session after this time, at one of its next requests. Off by default:
    /// the token is then replaced only at login and when the user re-authenticates.
    ///
    /// For a minute after the rotation the old token still opens the session, and every request
    /// that presents it gets the same new token. So the parallel requests of a page all succeed,
    /// and if a response is lost, the next request gets the new token. Requests with a bearer token
    /// rotate nothing.
    pub fn rotate_every(mut self, time: Duration) -> Self {
        self.rotate_every = Some(time);
        self
    }

    /// Sets what happens when a rotated token is presented after the overlap.
    /// [`TokenReuse::EndSession`] by default.
    ///
    /// A browser that has received the new token no longer sends the old one. So two clients have
    /// the session, and it is not known which of them is the user's. RFC 9700 §4.14.2 therefore
    /// requires, for refresh tokens, that the session ends: both clients must log in again, and
    /// only the user can. The drawback: a browser that did not receive the response with its new
    /// token, or that restores old cookies, ends its session when it returns after the overlap.
    /// With [`TokenReuse::Log`] it only has to log in again, but then the user does not notice if
    /// somebody else has the session.
    ///
    /// The row records only the last rotation. An older token counts as a wrong one: it is logged
    /// as `secret_wrong` and ends nothing. The same is true of a token that was replaced, for
    /// example by [`reauthenticate`](crate::Locals::reauthenticate).
    pub fn on_token_reuse(mut self, reaction: TokenReuse) -> Self {
        self.settings.token_reuse = reaction;
        self
    }

    /// Sets how long the old token still opens the session after a rotation. A minute by default;
    /// at least a millisecond.
    pub fn rotation_overlap(mut self, overlap: Duration) -> Self {
        self.rotation_overlap = Some(overlap);
        self
    }

    /// Sets how long the data of a [guest](crate::Locals::guest) are kept after the last write. 7
    /// days by default.
    pub fn guest_lifetime(mut self, time: Duration) -> Self {
        self.settings.guest_lifetime = time;
        self
    }

    /// Limits the data of a [guest](crate::Locals::guest), in bytes of JSON: from 1 to 65,536.
    /// 8,192 by default, since anybody can be a guest. Larger data are refused with
    /// [`Error::TooMuchData`](crate::Error::TooMuchData). Guests who have more from before the
    /// limit was lowered keep it, and may write data of up to that size.
    pub fn guest_data_limit(mut self, bytes: usize) -> Self {
        self.settings.guest_data_limit = bytes;
        self
    }

    /// Limits the number of [guests](crate::Locals::guest) in the store. 100,000 by default, which
    /// is up to 800 MB at 8,192 bytes each.
    ///
    /// At the limit new guests are refused with
    /// [`Error::TooManyGuests`](crate::Error::TooManyGuests) until some have ended; existing guests
    /// are not affected. The guests are counted about once a minute. Between two counts each
    /// process adds only the guests that it has written itself, so with several processes the limit
    /// may be exceeded for that minute by as many as the others write. Apps that share a store
    /// share the count.
    pub fn max_guests(mut self, limit: u64) -> Self {
        self.settings.max_guests = limit;
        self
    }

    /// Takes the data of a [guest](crate::Locals::guest) over into the session when they log in.
    /// Without this function the data stay with the guest.
    ///
    /// ```
    /// use locals::{Auth, AuthUser, store::MemoryStore};
    ///
    /// #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// struct Cart { items: Vec<u32> }
    ///
    /// #[derive(Clone, AuthUser)]
    /// #[auth_user(session = Cart)]
    /// struct Account { id: i64 }
    ///
    /// let auth = Auth::<Account>::builder(MemoryStore::new())
    ///     .merge_guest(|guest: Cart, cart: &mut Cart| cart.items.extend(guest.items))
    ///     .build()?;
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn merge_guest<G: GuestData, D: SessionData<User = T>>(
        mut self,
        merge: impl Fn(G, &mut D) + Send + Sync + 'static,
    ) -> Self {
        self.merge = Some(Merge::new(merge));
        self
    }

    /// Sets what the browser is told to delete when a user logs out, by `Clear-Site-Data`. The
    /// cache by default; an empty list sends no header.
    ///
    /// ```
    /// use locals::{Auth, AuthUser, ClearSiteData, store::MemoryStore};
    ///
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// let auth = Auth::<Account>::builder(MemoryStore::new())
    ///     .clear_site_data([ClearSiteData::Cache, ClearSiteData::Storage])
    ///     .build()?;
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn clear_site_data(mut self, what: impl IntoIterator<Item = ClearSiteData>) -> Self {
        self.clear_site_data = what.into_iter().collect();
        self
    }

    /// Sets which users may be logged in. Other users are logged out at their next request, and
    /// their login is refused with [`Error::InactiveUser`]. By default every user whose row exists
    /// may.
    ///
    /// Use it for accounts that are disabled, locked or marked as deleted. Their sessions stay in
    /// the store, and work again once the account does. The function is called with the user's row
    /// of every session that is read. So a session is then always read with its user, even if the
    /// handler takes only the session.
    ///
    /// ```
    /// use locals::{Auth, AuthUser, store::MemoryStore};
    ///
    /// #[derive(Clone, AuthUser)]
    /// struct Account { id: i64, is_disabled: bool }
    ///
    /// let auth = Auth::<Account>::builder(MemoryStore::new())
    ///     .active_users(|account| !account.is_disabled)
    ///     .build()?;
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn active_users(mut self, active: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.rules.active = Some(Arc::new(active));
        self
    }

    /// Sets which users may [impersonate others](crate::Locals::impersonate). This is checked when
    /// an impersonation begins, and again with the actor's row at each of its requests: an actor
    /// who loses the right is logged out of the impersonation at the next one. By default the app
    /// alone decides, by calling `impersonate`.
    ///
    /// ```
    /// use locals::{Auth, AuthUser, store::MemoryStore};
    ///
    /// #[derive(Clone, AuthUser)]
    /// struct Account { id: i64, is_staff: bool }
    ///
    /// let auth = Auth::<Account>::builder(MemoryStore::new())
    ///     .impersonators(|account| account.is_staff)
    ///     .build()?;
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn impersonators(mut self, allowed: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.rules.impersonators = Some(Arc::new(allowed));
        self
    }

    /// Sets the source of the time. The system's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings and builds the [`Auth`].
    ///
    /// # Errors
    /// [`ConfigError`] says in one line which settings are invalid or contradict each other. Exit
    /// the program on it: a browser would silently drop a cookie with such settings.
    pub fn build(self) -> Result<Auth<T>, ConfigError> {
        let rotation = match (self.rotate_every, self.rotation_overlap) {
            (Some(every), overlap) => {
                Some(RotationPolicy { every, overlap: overlap.unwrap_or(OVERLAP) })
            }
            (None, None) => None,
            (None, Some(_)) => {
                let reason =
                    "AuthBuilder::rotation_overlap is set, but AuthBuilder::rotate_every is not";
                return Err(ConfigError(reason.to_owned()));
            }
        };
        let settings = Settings { rotation, ..self.settings };
        settings.check()?;
        self.error_responder.check()?;
        let cookie = SessionCookie::build(self.cookie)?;
        let origins =
            OriginPolicy::build(self.own_origins, self.trusted_origins, self.strict_origins)?;
        let accounts = StoredAccounts { users: self.store.clone(), rules: self.rules.clone() };
        let accounts = (!self.rules.are_none()).then(|| Arc::new(accounts) as _);
        let store = self.store.clone();
        let users = UserTable::of::<T>();
        let sessions = SessionManager::new(store, accounts, self.clock, settings, users);
        let web = Web {
            guest_cookie: cookie.of_guests(),
            cookie,
            origins,
            error_responder: ErrorResponder { accepts_bearer: self.bearer, ..self.error_responder },
            proxies: TrustedProxies::build(self.trusted_proxies)?,
            clear_site_data: ClearSiteData::header_value(&self.clear_site_data),
            merge: self.merge,
        };
        Ok(Auth::new(sessions, self.store, self.rules, web))
    }
}

impl<T> fmt::Debug for AuthBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBuilder")
            .field("settings", &self.settings)
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}

/// What a browser can be told to delete (W3C Clear Site Data).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClearSiteData {
    /// The pages in its cache, so that "back" does not show them to the next person.
    Cache,
    /// All cookies of this site and its subdomains, including those of the app.
    Cookies,
    /// The storage of scripts: local storage, databases, service workers.
    Storage,
}

impl ClearSiteData {
    fn header_value(all: &[Self]) -> Option<HeaderValue> {
        let directives = all.iter().map(|what| match what {
            Self::Cache => "\"cache\"",
            Self::Cookies => "\"cookies\"",
            Self::Storage => "\"storage\"",
        });
        let directives = directives.collect::<Vec<_>>().join(", ");
        HeaderValue::try_from(directives).ok().filter(|value| !value.is_empty())
    }
}
