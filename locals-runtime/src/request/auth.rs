//! `Auth<T>`: the sessions of an app and the type of its users. Built once and shared.

use std::{
    fmt,
    future::{Ready, ready},
    ops::Deref,
    sync::Arc,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::HeaderValue};

use crate::{
    http::{cookie::SessionCookie, origin::OriginPolicy, proxy::TrustedProxies},
    model::{
        account::AccountRules,
        error::{Error, StoreError},
        guest::Merge,
        session_id::SessionId,
        token::SessionToken,
        user::{AuthUser, User},
    },
    request::error_responder::ErrorResponder,
    sessions::{
        accounts::{StoredSession, readable},
        manager::SessionManager,
        session::Session,
    },
    store::SessionUserStore,
};

/// The sessions of an app whose users are of type `T`. It is built once; clones share everything.
///
/// It derefs to [`SessionManager`], which has the server-side methods. A handler can take it as a
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
    pub(super) sessions: SessionManager,
    pub(super) users: Arc<dyn SessionUserStore<T>>,
    rules: AccountRules<T>,
    pub(super) web: Arc<Web>,
}

/// The part of the configuration that concerns only requests and responses.
#[derive(Debug)]
pub(crate) struct Web {
    pub cookie: SessionCookie,
    pub guest_cookie: SessionCookie,
    pub origins: OriginPolicy,
    pub error_responder: ErrorResponder,
    pub proxies: TrustedProxies,
    pub clear_site_data: Option<HeaderValue>,
    pub merge: Option<Merge>,
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

    /// Returns a session with the status of its account, and its user.
    pub(super) async fn find_with_user(
        &self,
        id: SessionId,
    ) -> Result<Option<(StoredSession, T)>, StoreError> {
        let found = self.users.find_with_user(id).await?;
        Ok(found.map(|(record, user)| {
            let account = self.rules.status_of(&record, &user);
            (StoredSession { record, account }, user)
        }))
    }

    /// Returns the session that a token opens, and its user. Works as
    /// [`validate_session`](SessionManager::validate_session) does, and reads the user by the same
    /// query.
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
        let found_session = readable(self.sessions.check_token(found, &token).await)?;
        let session = self.sessions.persist_renewal(found_session, &token).await?;
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

/// Extracts the registered `Auth<T>`. Responds with 500 if there is none.
impl<T: AuthUser> FromRequest for Auth<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.app_data::<Self>().cloned().ok_or(Error::NotConfigured))
    }
}
