//! Middleware that applies `#[require_user]` to a whole scope.

use std::{
    fmt,
    future::{Ready, ready},
    marker::PhantomData,
    rc::Rc,
    time::Duration,
};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
};

use crate::{
    entry::{
        attribute::{Attribute, Checked, Condition, RequireUser},
        late_body,
        wrapped_service::{Around, WrappedService, call_inner, with_headers},
    },
    http::redirect::check_page,
    model::user::AuthUser,
    request::{
        auth::Auth, erased_auth::ErasedAuth, error_responder::Refusal,
        request_session::RequestSession, requirements::Requirements,
        response_headers::ErrorWithHeaders,
    },
};

/// Lets only logged-in users into a scope, a resource or a file service. Made by
/// [`Auth::require_user`]; its options and responses are those of `#[require_user]`.
///
/// ```
/// use std::time::Duration;
///
/// use actix_web::{App, web};
/// use locals::{Auth, AuthUser, store::MemoryStore};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64, is_admin: bool }
///
/// # let auth = Auth::<Account>::builder(MemoryStore::new()).build()?;
/// let admins = auth.require_user().redirect("/login").check(|account| account.is_admin);
/// let app = App::new()
///     .configure(auth.configure())
///     .service(web::scope("/admin").wrap(admins));
/// # Ok::<(), locals::ConfigError>(())
/// ```
///
/// Handlers inside share the session and user that the guard has read: a handler with an attribute
/// needs no further query.
#[must_use = "a guard does nothing until it is given to `.wrap(..)`"]
pub struct Guard<T, C = ()> {
    auth: ErasedAuth,
    attribute: RequireUser<C>,
    user: PhantomData<fn() -> T>,
}

impl<T: AuthUser> Auth<T> {
    /// Returns a guard for a whole scope: `web::scope("/admin").wrap(auth.require_user())`.
    /// Everything inside is for logged-in users only, including services without an attribute, such
    /// as the files of `actix-files`.
    pub fn require_user(&self) -> Guard<T> {
        Guard::new(self.erased(), RequireUser::new())
    }
}

impl<T: AuthUser> Guard<T> {
    /// Lets in only users for whom `check` returns `true`; others get 403. Like
    /// `#[require_user(check = ..)]`.
    pub fn check<F: Fn(&T) -> bool + Clone>(self, check: F) -> Guard<T, Checked<T, F>> {
        Guard::new(self.auth, self.attribute.check_by(check))
    }
}

impl<T, C> Guard<T, C> {
    fn new(auth: ErasedAuth, attribute: RequireUser<C>) -> Self {
        Self { auth, attribute, user: PhantomData }
    }

    /// Sets where a browser is redirected that requests a page without a session. Like
    /// `#[require_user(redirect = "/login")]`.
    ///
    /// # Panics
    /// When the app starts, if `page` is not a path of this app or has a `next` in its query.
    pub fn redirect(self, page: &'static str) -> Self {
        check_page(page).unwrap_or_else(|error| panic!("{error}"));
        Self::new(self.auth, self.attribute.redirect(page))
    }

    /// Lets in only users who have authenticated within this time. Like
    /// `#[require_user(recent = "10m")]`.
    pub fn recent(self, within: Duration) -> Self {
        Self::new(self.auth, self.attribute.recent(within))
    }
}

impl<T, C, S, B> Transform<S, ServiceRequest> for Guard<T, C>
where
    C: Condition + Clone + 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Error = Error;
    type Future = Ready<Result<Self::Transform, ()>>;
    type InitError = ();
    type Response = ServiceResponse<BoxBody>;
    type Transform = WrappedService<S, RequestGuard<C>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let (auth, attribute) = (self.auth.clone(), self.attribute.clone());
        ready(Ok(WrappedService::new(&Rc::new(RequestGuard { auth, attribute }), inner)))
    }
}

/// What a [`Guard`] does around each request.
pub struct RequestGuard<C> {
    auth: ErasedAuth,
    attribute: RequireUser<C>,
}

impl<C: Condition + 'static> Around for RequestGuard<C> {
    async fn handle<S, B>(
        self: Rc<Self>,
        mut request: ServiceRequest,
        inner: Rc<S>,
    ) -> Result<ServiceResponse<BoxBody>, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static,
    {
        let responder = self.auth.error_responder();
        let request_session = match authorize(&self.auth, &self.attribute, &request).await {
            Ok(request_session) => request_session,
            Err((refusal, request_session)) => {
                let session = request_session.as_ref().and_then(|found| found.session());
                let response = responder.refuse(request.request(), session.as_ref(), refusal);
                let response = request.into_response(response);
                return Ok(match request_session {
                    Some(request_session) => with_headers(response, &request_session).await,
                    None => response,
                });
            }
        };
        let guard = Rc::clone(&self);
        request_session.add_guard(Rc::new(move |found| guard.attribute.authorize(found)));
        request_session.share(&request);
        let refused = late_body::watch(&mut request, &request_session);
        let mut response = match call_inner(&*inner, request, &request_session).await {
            Ok(response) => response,
            Err((error, head)) => {
                // The refusal of a late body is more precise than the error that followed from it.
                let error = match refused.take() {
                    Some(Refusal::Error(refusal, _)) => refusal.into(),
                    Some(Refusal::LoggedIn(_)) | None => error,
                };
                return Err(ErrorWithHeaders::of(error, &request_session, head).await);
            }
        };
        if let Some(refusal) = refused.take() {
            let session = request_session.session();
            let answer = responder.refuse(response.request(), session.as_ref(), refusal);
            response = response.into_response(answer);
        }
        Ok(with_headers(response, &request_session).await)
    }
}

/// Reads the session and its user, which the handlers inside may need, and applies the guard.
///
/// Nothing holds the request when this returns, since Actix modifies it on its way in.
async fn authorize(
    auth: &ErasedAuth,
    attribute: &impl Attribute,
    request: &ServiceRequest,
) -> Result<Rc<RequestSession>, (Refusal, Option<Rc<RequestSession>>)> {
    let requirements = attribute
        .requirements()
        .and(Requirements { may_ask_later: true, ..Requirements::default() });
    let request_session = RequestSession::of_request(request.request(), auth, requirements, false)
        .map_err(|error| (error.into(), None))?;
    let decided = match request_session.resolve().await {
        Ok(found) => attribute.authorize(&found),
        Err(error) => Err(error.into()),
    };
    match decided {
        Ok(()) => Ok(request_session),
        Err(refusal) => Err((refusal, Some(request_session))),
    }
}

impl<T, C> fmt::Debug for Guard<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for RequestGuard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestGuard").finish_non_exhaustive()
    }
}
