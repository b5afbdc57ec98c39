//! `Auth<T>`: the app's sessions and the type of its users, built once and shared by all.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    future::{Future, Ready, ready},
    ops::Deref,
    pin::Pin,
    sync::Arc,
};

use actix_web::{
    FromRequest, HttpRequest, dev::Payload, http::header::HeaderValue, web::ServiceConfig,
};

use crate::{
    account::{AccountRules, Found, readable},
    answer::Answers,
    auth_builder::AuthBuilder,
    cookie::SessionCookie,
    error::{Error, StoreError},
    guest::Merge,
    origin::OriginPolicy,
    proxy::TrustedProxies,
    session::Session,
    session_manager::SessionManager,
    store::SessionUserStore,
    token::{SessionId, SessionToken},
    user::{AuthUser, User},
};

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
    rules: AccountRules<T>,
    web: Arc<Web>,
}

/// What concerns requests and responses alone.
#[derive(Debug)]
pub(crate) struct Web {
    pub cookie: SessionCookie,
    pub guest_cookie: SessionCookie,
    pub origins: OriginPolicy,
    pub answers: Answers,
    pub proxies: TrustedProxies,
    pub clear_site_data: Option<HeaderValue>,
    pub merge: Option<Merge>,
}

impl<T> Auth<T> {
    /// Starts to configure the sessions that `store` keeps.
    pub fn builder(store: impl SessionUserStore<T>) -> AuthBuilder<T> {
        AuthBuilder::new(Arc::new(store))
    }
}

impl<T: AuthUser> Auth<T> {
    pub(crate) fn new(
        sessions: SessionManager,
        users: Arc<dyn SessionUserStore<T>>,
        rules: AccountRules<T>,
        web: Web,
    ) -> Self {
        Self { sessions, users, rules, web: Arc::new(web) }
    }

    /// A session and its user, and what the one says of the other.
    async fn find_with_user(&self, id: SessionId) -> Result<Option<(Found, T)>, StoreError> {
        let found = self.users.find_with_user(id).await?;
        Ok(found.map(|(record, user)| {
            let account = self.rules.status_of(&record, &user);
            (Found { record, account }, user)
        }))
    }

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
    ///     println!("{} is logged in until {:?}", account.id, session.idle_expires_at());
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
        let Some((found, user)) = readable(self.find_with_user(token.id()).await)? else {
            return Ok(None);
        };
        let admitted = readable(self.sessions.admit(found, &token).await)?;
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

    pub(crate) fn rules(&self) -> &AccountRules<T> {
        &self.rules
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
            rules: self.rules.clone(),
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
    Pin<Box<dyn Future<Output = Result<Option<(Found, AnyUser)>, StoreError>> + 'a>>;

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
        let find = Self::find_with_user(self, id);
        Box::pin(async move { Ok(find.await?.map(|(found, user)| (found, Arc::new(user) as _))) })
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
        self.answers().accepts_bearer
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
