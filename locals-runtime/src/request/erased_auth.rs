//! The `Auth` of a route, without the type of its users.

use std::{future::Future, pin::Pin, sync::Arc};

use actix_web::{HttpRequest, http::header::HeaderValue, web::ServiceConfig};

use crate::{
    http::{cookie::SessionCookie, origin::OriginPolicy, proxy::TrustedProxies},
    model::{
        error::{Error, StoreError},
        guest::Merge,
        session_id::SessionId,
        user::AuthUser,
    },
    request::{
        auth::{Auth, Web},
        error_responder::ErrorResponder,
        user_type::{AnyUser, UserType},
    },
    sessions::{accounts::StoredSession, manager::SessionManager},
};

impl<T: AuthUser> Auth<T> {
    /// Registers this `Auth` with an app, or with a scope: `App::new().configure(auth.configure())`.
    pub fn configure(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + use<T> {
        let auth = self.clone();
        move |config| {
            config.app_data(auth.erased()).app_data(auth);
        }
    }

    pub(crate) fn erased(&self) -> ErasedAuth {
        ErasedAuth(Arc::new(self.clone()))
    }
}

/// The `Auth` of a route, as its app or the innermost scope has registered it.
#[derive(Clone)]
pub(crate) struct ErasedAuth(Arc<dyn DynAuth>);

/// An [`Auth`] without the type of its users.
trait DynAuth: Send + Sync {
    fn sessions(&self) -> &SessionManager;
    fn web(&self) -> &Web;
    fn user_type(&self) -> UserType;
    fn find_with_user(&self, id: SessionId) -> FindWithUser<'_>;
}

type FindWithUser<'a> =
    Pin<Box<dyn Future<Output = Result<Option<(StoredSession, AnyUser)>, StoreError>> + 'a>>;

impl<T: AuthUser> DynAuth for Auth<T> {
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

impl ErasedAuth {
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
        self.error_responder().accepts_bearer
    }

    pub(crate) fn clear_site_data(&self) -> Option<&HeaderValue> {
        self.0.web().clear_site_data.as_ref()
    }

    pub(crate) fn merge(&self) -> Option<&Merge> {
        self.0.web().merge.as_ref()
    }

    pub(crate) fn error_responder(&self) -> &ErrorResponder {
        &self.0.web().error_responder
    }

    /// Whether both belong to the same `Auth`.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.web(), other.0.web())
    }

    /// Refuses a user type other than the registered one.
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
