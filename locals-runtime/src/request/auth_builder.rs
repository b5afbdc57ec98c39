//! How an app says what it wants of its sessions, and what is refused.

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
    /// Starts to configure the sessions that `store` keeps.
    pub fn builder(store: impl SessionUserStore<T>) -> AuthBuilder<T> {
        AuthBuilder::new(Arc::new(store))
    }
}

/// How long an exchanged token still opens its session, unless the app says otherwise.
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
    /// How long sessions live. By default a day active, 14 days idle, 30 days in all.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// The session cookie's name and attributes. By default `__Host-session`, for HTTPS only.
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// The app's own public origin, such as `https://app.example`; call it again for each
    /// further one. By default the `Host` header stands in for it: give it where a proxy
    /// changes that header.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.own_origins.push(origin.into());
        self
    }

    /// Lets another origin send requests that change something, with the user's session. Call
    /// it again for each further one. None by default.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted_origins.push(origin.into());
        self
    }

    /// Refuses requests that change something and name no origin at all: neither
    /// `Sec-Fetch-Site` nor `Origin`. Every browser of the last years sends one; programs send
    /// neither. Off by default.
    pub fn strict_origins(mut self, strict: bool) -> Self {
        self.strict_origins = strict;
        self
    }

    /// The page where people log in, as a path of this app; it may have a query, without a `next`.
    ///
    /// A browser that asks for a page and has no session is sent there with 303, and with the page
    /// it wanted as `?next=`; see [`Locals::return_to`](crate::Locals::return_to). Everything else
    /// is answered 401. None by default. `#[require_user(redirect = "..")]` names another one for
    /// one handler.
    pub fn login_page(mut self, path: impl Into<String>) -> Self {
        self.error_responder.login_page = Some(path.into());
        self
    }

    /// The page where people give their password again, for what asks for a recent login. The
    /// login page by default.
    pub fn reauthentication_page(mut self, path: impl Into<String>) -> Self {
        self.error_responder.reauthentication_page = Some(path.into());
        self
    }

    /// The app's own answers to what `locals` refuses: the one place to change their form.
    ///
    /// The function is asked for every [`Error`] that an annotated handler or a guard answers.
    /// What it gives is sent: with its status, or with that of the error where it says 200. With
    /// `None` it leaves the answer to `locals`: a redirect or a small page for people, a problem of
    /// RFC 9457 for programs.
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
    pub fn error_response<F>(mut self, answer: F) -> Self
    where
        F: Fn(&HttpRequest, &Error) -> Option<HttpResponse> + Send + Sync + 'static,
    {
        self.error_responder.own = Some(Arc::new(answer));
        self
    }

    /// A proxy in front of the app, by its address or range, such as `10.0.0.0/8`; call it again for
    /// each further one. What it says of the client's address (`X-Forwarded-For`, or else
    /// `Forwarded`) is then kept with the session. None by default: anybody can send these headers.
    pub fn trusted_proxy(mut self, address: impl Into<String>) -> Self {
        self.trusted_proxies.push(address.into());
        self
    }

    /// How many sessions a user has at most; the oldest end when there are more. Of logins at once
    /// exactly the newest remain, so that one may find its own session ended. For that each login reads
    /// the ids and times of its user's sessions, before and after it. 100 by default
    /// (OWASP ASVS 5.0 §7.1.2 asks for a limit that is written down).
    pub fn max_sessions(mut self, most: usize) -> Self {
        self.settings.max_sessions = Some(most);
        self
    }

    /// Accepts `Authorization: Bearer <token>` from native clients, which have no cookies. Off by
    /// default.
    ///
    /// For such a request no cookie is read or written, and its origin does not matter: no browser
    /// sends this header by itself. One that brings a session cookie too, or another `Authorization`, is
    /// refused with 400. The token is that of [`Session::token`](crate::Session::token); its client gets it from the app, in the answer to a
    /// login for example.
    pub fn bearer(mut self, accept: bool) -> Self {
        self.bearer = accept;
        self
    }

    /// Exchanges the token of a session after this time, with one of the next requests. Off by
    /// default: the token changes at login and when a user proves again who they are.
    ///
    /// For a minute after the exchange the old token still opens the session, and every request
    /// that brings it is given the same new one. So the parallel requests of a page all succeed,
    /// and an answer that is lost is made up for by the next request. Requests with a bearer token exchange nothing.
    pub fn rotate_every(mut self, time: Duration) -> Self {
        self.rotate_every = Some(time);
        self
    }

    /// What happens when a token comes back that was exchanged before, after the overlap.
    /// [`TokenReuse::EndSession`] by default.
    ///
    /// The browser that was given the new token sends the old one no more, so there are two who have
    /// the session, and nobody can say which of them is the user. RFC 9700 §4.14.2 therefore ends
    /// it, for refresh tokens: both have to log in, and only the user can. The price: a browser that
    /// never heard the answer with its new token, or restores an old state of its cookies, ends its
    /// session when it comes back after the overlap. With [`TokenReuse::Log`] it only has to log in
    /// again, and so does not notice that somebody else has its session.
    ///
    /// The row knows the last exchange alone: a token from before the one before is a wrong one,
    /// which is logged as `secret_wrong` and ends nothing; nor does one that a new proof, such as
    /// [`reauthenticate`](crate::Locals::reauthenticate), has replaced.
    pub fn on_token_reuse(mut self, then: TokenReuse) -> Self {
        self.settings.token_reuse = then;
        self
    }

    /// For how long after an exchange the old token still opens the session. A minute by default; a
    /// millisecond at least.
    pub fn rotation_overlap(mut self, overlap: Duration) -> Self {
        self.rotation_overlap = Some(overlap);
        self
    }

    /// How long the data of a [guest](crate::Locals::guest) are kept after they were last written.
    /// 7 days by default.
    pub fn guest_lifetime(mut self, time: Duration) -> Self {
        self.settings.guest_lifetime = time;
        self
    }

    /// How many bytes of JSON are kept of a [guest](crate::Locals::guest), from 1 to 65,536. 8,192 by
    /// default: anybody can be a guest. More is refused with
    /// [`Error::TooMuchData`](crate::Error::TooMuchData). Guests who have more already, from before the
    /// limit was lowered, keep it, and may write what is not more than that.
    pub fn guest_data_limit(mut self, bytes: usize) -> Self {
        self.settings.guest_data_limit = bytes;
        self
    }

    /// How many [guests](crate::Locals::guest) the store holds at most. 100,000 by default, which is up
    /// to 800 MB at 8,192 bytes each.
    ///
    /// New ones are refused then, with [`Error::TooManyGuests`](crate::Error::TooManyGuests), until some
    /// have ended; who is a guest already goes on. The guests are counted about once a minute. In
    /// between each process adds those that it has written itself, so that with several there may for
    /// that minute be more, by as many as the others write. What shares a store shares the count.
    pub fn max_guests(mut self, most: u64) -> Self {
        self.settings.max_guests = most;
        self
    }

    /// Takes the data of a [guest](crate::Locals::guest) over into the session when they log in.
    /// Without it they stay the guest's.
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

    /// What the browser is told to forget when a user logs out, by `Clear-Site-Data`. The cache by
    /// default; nothing for an empty list.
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

    /// Who may be logged in: the others are logged out at the next request, and their login is
    /// refused with [`Error::InactiveUser`]. By default everybody whose row exists.
    ///
    /// For accounts that are switched off, locked or deleted by a mark. Their sessions stay in the
    /// store, and work again when the account does. The function is asked with the row of every
    /// session that is read, so a session is always read with its user then, also where a handler asks
    /// for the session alone.
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

    /// Who may [act as others](crate::Locals::impersonate). Asked when an impersonation begins, and
    /// then of the row of the member of staff at each of its requests: one who may no longer do it is
    /// logged out of it at the next. By default the app alone decides, when it calls `impersonate`.
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
    pub fn impersonators(mut self, may: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.rules.impersonators = Some(Arc::new(may));
        self
    }

    /// Where the time comes from. The system's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`] says in one line which settings contradict each other. Let it end the
    /// program: a browser would drop such a cookie in silence.
    pub fn build(self) -> Result<Auth<T>, ConfigError> {
        let rotation = match (self.rotate_every, self.rotation_overlap) {
            (Some(every), overlap) => {
                Some(RotationPolicy { every, overlap: overlap.unwrap_or(OVERLAP) })
            }
            (None, None) => None,
            (None, Some(_)) => {
                let reason = "AuthBuilder::rotation_overlap is set, but no rotate_every";
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
            clear_site_data: ClearSiteData::header(&self.clear_site_data),
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

/// What a browser can be told to forget (W3C Clear Site Data).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClearSiteData {
    /// The pages in its cache, so that "back" shows none of them to the next person.
    Cache,
    /// All cookies of this site and of all below its domain, the app's own too.
    Cookies,
    /// What scripts have stored: local storage, databases, service workers.
    Storage,
}

impl ClearSiteData {
    fn header(all: &[Self]) -> Option<HeaderValue> {
        let words = all.iter().map(|what| match what {
            Self::Cache => "\"cache\"",
            Self::Cookies => "\"cookies\"",
            Self::Storage => "\"storage\"",
        });
        let words = words.collect::<Vec<_>>().join(", ");
        HeaderValue::try_from(words).ok().filter(|value| !value.is_empty())
    }
}
