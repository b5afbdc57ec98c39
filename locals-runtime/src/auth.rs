//! `Auth<T>`: the app's sessions and the type of its users, built once and shared by all.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    future::{Future, Ready, ready},
    ops::Deref,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, dev::Payload, http::header::HeaderValue,
    web::ServiceConfig,
};

use crate::{
    admission::RotationPolicy,
    answer::Answers,
    clock::{Clock, SystemClock},
    cookie::{CookieConfig, SessionCookie},
    data::SessionData,
    error::{ConfigError, Error, StoreError},
    guest::{GuestData, Merge},
    lifecycle::Lifetime,
    origin::OriginPolicy,
    proxy::TrustedProxies,
    session::{Session, SessionRecord},
    session_manager::{SessionManager, Settings},
    store::SessionUserStore,
    token::{SessionId, SessionToken},
    user::{AuthUser, User, Users},
};

/// How long an exchanged token still opens its session, unless the app says otherwise.
const OVERLAP: Duration = Duration::from_mins(1);

/// The sessions of an app whose users are of type `T`. Built once; clones share everything.
///
/// It derefs to [`SessionManager`], where the verbs of the server stand. Handlers can take it as a
/// parameter like any other extractor.
///
/// ```
/// use actix_web::App;
/// use locals::{Auth, AuthUser, store::MemoryStore};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64 }
///
/// let auth = Auth::<Account>::builder(MemoryStore::new()).build()?;
/// let app = App::new().configure(auth.configure());
/// # Ok::<(), locals::ConfigError>(())
/// ```
pub struct Auth<T> {
    sessions: SessionManager,
    users: Arc<dyn SessionUserStore<T>>,
    web: Arc<Web>,
}

/// What concerns requests and responses alone.
#[derive(Debug)]
struct Web {
    cookie: SessionCookie,
    guest_cookie: SessionCookie,
    origins: OriginPolicy,
    answers: Answers,
    proxies: TrustedProxies,
    accepts_bearer: bool,
    clear_site_data: Option<HeaderValue>,
    merge: Option<Merge>,
}

impl<T> Auth<T> {
    /// Starts to configure the sessions that `store` keeps.
    pub fn builder(store: impl SessionUserStore<T>) -> AuthBuilder<T> {
        AuthBuilder {
            store: Arc::new(store),
            settings: Settings::default(),
            rotation_overlap: None,
            cookie: CookieConfig::default(),
            own_origins: Vec::new(),
            trusted_origins: Vec::new(),
            strict_origins: false,
            answers: Answers::default(),
            trusted_proxies: Vec::new(),
            bearer: false,
            clear_site_data: vec![ClearSiteData::Cache],
            merge: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl<T: AuthUser> Auth<T> {
    /// Registers this `Auth` with an app, or with a scope: `App::new().configure(auth.configure())`.
    pub fn configure(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + use<T> {
        let auth = self.clone();
        move |config| {
            config.app_data(auth.registered()).app_data(auth);
        }
    }

    pub(crate) fn registered(&self) -> Registered {
        Registered(Arc::new(self.clone()))
    }

    /// The session that a token opens, and its user; as
    /// [`validate_session`](SessionManager::validate_session), with the user by the same query.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, bearer: &str) -> Result<(), Error> {
    /// if let Some((session, account)) = auth.validate_session_user(bearer).await? {
    ///     println!("{} is signed in until {:?}", account.id, session.idle_expires_at());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn validate_session_user(
        &self,
        token: &str,
    ) -> Result<Option<(Session, User<T>)>, Error> {
        let Ok(token) = token.parse::<SessionToken>() else {
            return Ok(None);
        };
        let Some((record, user)) = self.users.find_with_user(token.id()).await? else {
            return Ok(None);
        };
        let admitted = self.sessions.admit(record, &token).await?;
        let session = self.sessions.settle(admitted, &token).await?;
        Ok(session.map(|session| (session, User::new(Arc::new(user)))))
    }
}

#[cfg(feature = "testing")]
impl<T> Auth<T> {
    pub(crate) fn cookie(&self) -> &SessionCookie {
        &self.web.cookie
    }
}

#[cfg(feature = "sql")]
impl<T> Auth<T> {
    pub(crate) fn users(&self) -> &dyn SessionUserStore<T> {
        &*self.users
    }
}

impl<T> Deref for Auth<T> {
    type Target = SessionManager;

    fn deref(&self) -> &SessionManager {
        &self.sessions
    }
}

impl<T> Clone for Auth<T> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
            users: Arc::clone(&self.users),
            web: Arc::clone(&self.web),
        }
    }
}

impl<T> fmt::Debug for Auth<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

/// Takes the registered `Auth<T>`; 500 if there is none.
impl<T: AuthUser> FromRequest for Auth<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.app_data::<Self>().cloned().ok_or(Error::NotConfigured))
    }
}

/// Configures an [`Auth`]. Every setting has a safe default.
#[must_use = "an `AuthBuilder` does nothing until `.build()`"]
pub struct AuthBuilder<T> {
    store: Arc<dyn SessionUserStore<T>>,
    settings: Settings,
    rotation_overlap: Option<Duration>,
    cookie: CookieConfig,
    own_origins: Vec<String>,
    trusted_origins: Vec<String>,
    strict_origins: bool,
    answers: Answers,
    trusted_proxies: Vec<String>,
    bearer: bool,
    clear_site_data: Vec<ClearSiteData>,
    merge: Option<Merge>,
    clock: Arc<dyn Clock>,
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

    /// The page where people sign in, as a path of this app.
    ///
    /// A browser that asks for a page and has no session is sent there with 303, and with the page
    /// it wanted as `?next=`; see [`Locals::return_to`](crate::Locals::return_to). Everything else
    /// is answered 401. None by default. `#[require_user(redirect = "..")]` names another one for
    /// one handler.
    pub fn login_page(mut self, path: impl Into<String>) -> Self {
        self.answers.login_page = Some(path.into());
        self
    }

    /// The page where people give their password again, for what asks for a recent log-in. The
    /// log-in page by default.
    pub fn reauthentication_page(mut self, path: impl Into<String>) -> Self {
        self.answers.reauthentication_page = Some(path.into());
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
    ///     .answer_with(|_request, error| match error {
    ///         Error::Forbidden => Some(HttpResponse::Ok().body("This is for admins.")),
    ///         _ => None,
    ///     })
    ///     .build()?;
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn answer_with<F>(mut self, answer: F) -> Self
    where
        F: Fn(&HttpRequest, &Error) -> Option<HttpResponse> + Send + Sync + 'static,
    {
        self.answers.own = Some(Arc::new(answer));
        self
    }

    /// A proxy in front of the app, by its address or range, such as `10.0.0.0/8`; call it again for
    /// each further one. What it says of the client's address (`X-Forwarded-For`, or else
    /// `Forwarded`) is then kept with the session. None by default: anybody can send these headers.
    pub fn trusted_proxy(mut self, address: impl Into<String>) -> Self {
        self.trusted_proxies.push(address.into());
        self
    }

    /// How many sessions a user has at most; the oldest end when there are more. 100 by default
    /// (OWASP ASVS 5.0 §7.1.2 asks for a limit that is written down).
    pub fn max_sessions(mut self, most: usize) -> Self {
        self.settings.max_sessions = Some(most);
        self
    }

    /// Accepts `Authorization: Bearer <token>` from native clients, which have no cookies. Off by
    /// default.
    ///
    /// For such a request no cookie is read or written, and its origin does not matter: no browser
    /// sends this header by itself. One that brings a session cookie too is refused with 400. The
    /// token is that of [`Session::token`]; its client gets it from the app, in the answer to a
    /// log-in for example.
    pub fn bearer(mut self, accept: bool) -> Self {
        self.bearer = accept;
        self
    }

    /// Exchanges the token of a session after this time, with one of the next requests. Off by
    /// default: the token changes at log-in and when a user proves again who they are.
    ///
    /// For a minute after the exchange the old token still opens the session, and every request
    /// that brings it is given the same new one. So the parallel requests of a page all succeed,
    /// and a lost answer signs nobody out. Requests with a bearer token exchange nothing.
    pub fn rotate_every(mut self, time: Duration) -> Self {
        let overlap = self.settings.rotation.map_or(OVERLAP, |rotation| rotation.overlap);
        self.settings.rotation = Some(RotationPolicy { every: time, overlap });
        self
    }

    /// For how long after an exchange the old token still opens the session. A minute by default.
    pub fn rotation_overlap(mut self, overlap: Duration) -> Self {
        self.rotation_overlap = Some(overlap);
        self
    }

    /// How long the data of a [guest](crate::Locals::guest) are kept after they were last written.
    /// 30 days by default.
    pub fn guest_lifetime(mut self, time: Duration) -> Self {
        self.settings.guest_lifetime = time;
        self
    }

    /// Takes the data of a [guest](crate::Locals::guest) over into the session when they sign in.
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

    /// What the browser is told to forget when a user signs out, by `Clear-Site-Data`. The cache by
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
        let mut settings = self.settings;
        if let (Some(rotation), Some(overlap)) = (&mut settings.rotation, self.rotation_overlap) {
            rotation.overlap = overlap;
        }
        settings.check()?;
        self.answers.check()?;
        let cookie = self.cookie.build()?;
        let origins =
            OriginPolicy::build(self.own_origins, self.trusted_origins, self.strict_origins)?;
        let sessions =
            SessionManager::new(self.store.clone(), self.clock, settings, Users::of::<T>());
        let web = Web {
            guest_cookie: cookie.of_guests(),
            cookie,
            origins,
            answers: Answers { accepts_bearer: self.bearer, ..self.answers },
            proxies: TrustedProxies::build(self.trusted_proxies)?,
            accepts_bearer: self.bearer,
            clear_site_data: ClearSiteData::header(&self.clear_site_data),
            merge: self.merge,
        };
        Ok(Auth { sessions, users: self.store, web: Arc::new(web) })
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

/// A user whose type is known to the handler and the `Auth`, but not to what is between them.
pub(crate) type AnyUser = Arc<dyn Any + Send + Sync>;

/// A type of user, to compare and to name.
#[derive(Debug, Clone, Copy)]
pub struct UserType {
    id: TypeId,
    name: &'static str,
}

impl UserType {
    pub(crate) fn of<T: AuthUser>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

/// The `Auth` of a route, as its app or the innermost scope has registered it.
#[derive(Clone)]
pub(crate) struct Registered(Arc<dyn AnyAuth>);

/// An [`Auth`] whose type of user is not known where it is used.
trait AnyAuth: Send + Sync {
    fn sessions(&self) -> &SessionManager;
    fn web(&self) -> &Web;
    fn user_type(&self) -> UserType;
    fn find_with_user(&self, id: SessionId) -> FindWithUser<'_>;
}

type FindWithUser<'a> =
    Pin<Box<dyn Future<Output = Result<Option<(SessionRecord, AnyUser)>, StoreError>> + 'a>>;

impl<T: AuthUser> AnyAuth for Auth<T> {
    fn sessions(&self) -> &SessionManager {
        &self.sessions
    }

    fn web(&self) -> &Web {
        &self.web
    }

    fn user_type(&self) -> UserType {
        UserType::of::<T>()
    }

    fn find_with_user(&self, id: SessionId) -> FindWithUser<'_> {
        let find = self.users.find_with_user(id);
        Box::pin(async move { Ok(find.await?.map(|(record, user)| (record, Arc::new(user) as _))) })
    }
}

impl Registered {
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Error> {
        request.app_data::<Self>().cloned().ok_or(Error::NotConfigured)
    }

    pub(crate) fn sessions(&self) -> &SessionManager {
        self.0.sessions()
    }

    pub(crate) fn cookie(&self) -> &SessionCookie {
        &self.0.web().cookie
    }

    pub(crate) fn origins(&self) -> &OriginPolicy {
        &self.0.web().origins
    }

    pub(crate) fn guest_cookie(&self) -> &SessionCookie {
        &self.0.web().guest_cookie
    }

    pub(crate) fn proxies(&self) -> &TrustedProxies {
        &self.0.web().proxies
    }

    pub(crate) fn accepts_bearer(&self) -> bool {
        self.0.web().accepts_bearer
    }

    pub(crate) fn clear_site_data(&self) -> Option<&HeaderValue> {
        self.0.web().clear_site_data.as_ref()
    }

    pub(crate) fn merge(&self) -> Option<&Merge> {
        self.0.web().merge.as_ref()
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.0.web().answers
    }

    /// Whether both are of one `Auth`.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.web(), other.0.web())
    }

    /// Refuses a type of user that is not the registered one.
    pub(crate) fn expect(&self, asked: UserType) -> Result<(), Error> {
        let registered = self.0.user_type();
        if asked.id == registered.id {
            return Ok(());
        }
        Err(Error::WrongUser { asked: asked.name, registered: registered.name })
    }

    pub(crate) fn find_with_user(&self, id: SessionId) -> FindWithUser<'_> {
        self.0.find_with_user(id)
    }
}
