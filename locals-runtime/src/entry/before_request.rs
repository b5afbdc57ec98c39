//! Middleware that runs a function of the app before the handlers.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
};

use crate::{
    entry::wrapped_service::{Around, WrappedService, call_inner, with_headers},
    model::user::AuthUser,
    request::{
        auth::Auth, erased_auth::ErasedAuth, locals::Locals, presented_token::Carrier,
        request_session::RequestSession, requirements::Requirements,
        response_headers::ErrorWithHeaders,
    },
    sessions::impersonation_guard,
};

/// Runs a function of the app before the inner handlers. Made by [`Auth::before_request`].
#[must_use = "it does nothing until it is given to `.wrap(..)`"]
pub struct BeforeRequest<F>(Rc<RunBeforeRequest<F>>);

impl<T: AuthUser> Auth<T> {
    /// Runs `run` before the inner handlers: `App::new().wrap(auth.before_request(run))`. Its
    /// decisions apply to the same request: a user whom it logs in is logged in for the handlers,
    /// and the cookie is sent with the response, whichever handler responds.
    ///
    /// Use it for other ways to authenticate, such as the cookie of a session library that the app
    /// used before, or a header that its proxy sets.
    ///
    /// ```
    /// use actix_web::{App, HttpRequest};
    /// use locals::{Auth, AuthUser, Locals, Session, UserId, store::MemoryStore};
    ///
    /// #[derive(Clone, AuthUser)]
    /// struct Account { id: i64 }
    ///
    /// # async fn find(_: &str) -> Option<Account> { None }
    /// // Only behind a proxy that removes this header from client requests.
    /// async fn by_proxy(request: &HttpRequest, locals: &Locals) -> actix_web::Result<()> {
    ///     let name = request.headers().get("Remote-User").and_then(|name| name.to_str().ok());
    ///     let account = match name {
    ///         Some(name) => find(name).await,
    ///         None => None,
    ///     };
    ///     let session = locals.get_session().await?;
    ///     match account {
    ///         // The previous user of this browser may have been somebody else.
    ///         Some(account) if session.as_ref().is_none_or(|it| is_of_another(it, &account)) => {
    ///             if session.is_some() {
    ///                 // Also ends an impersonation, which would refuse the login.
    ///                 locals.log_out().await?;
    ///             }
    ///             locals.log_in(&account).await?;
    ///         }
    ///         Some(_) => {}
    ///         None => locals.log_out().await?,
    ///     }
    ///     Ok(())
    /// }
    ///
    /// /// Whether the session, or the actor of an impersonation, belongs to another user.
    /// fn is_of_another(session: &Session, account: &Account) -> bool {
    ///     *session.actor().unwrap_or(session.user_id()) != UserId::from(account.id)
    /// }
    ///
    /// # let auth = Auth::<Account>::builder(MemoryStore::new()).build()?;
    /// let app = App::new().configure(auth.configure()).wrap(auth.before_request(by_proxy));
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    ///
    /// If `run` fails, its error is the response, and no inner handler runs. `run` is not called
    /// for requests that may not use the browser's session: state-changing requests of another
    /// origin, and requests with a bearer token. Neither `run` nor anything it starts may keep the
    /// request or the `Locals` after it returns: Actix modifies the request on its way in, and
    /// panics if it is still in use.
    pub fn before_request<F>(&self, run: F) -> BeforeRequest<F>
    where
        F: AsyncFn(&HttpRequest, &Locals) -> actix_web::Result<()> + 'static,
    {
        BeforeRequest(Rc::new(RunBeforeRequest { auth: self.erased(), run }))
    }
}

impl<F, S, B> Transform<S, ServiceRequest> for BeforeRequest<F>
where
    F: AsyncFn(&HttpRequest, &Locals) -> actix_web::Result<()> + 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Error = Error;
    type Future = Ready<Result<Self::Transform, ()>>;
    type InitError = ();
    type Response = ServiceResponse<BoxBody>;
    type Transform = WrappedService<S, RunBeforeRequest<F>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(WrappedService::new(&self.0, inner)))
    }
}

/// What a [`BeforeRequest`] does around each request.
pub struct RunBeforeRequest<F> {
    auth: ErasedAuth,
    run: F,
}

impl<F> Around for RunBeforeRequest<F>
where
    F: AsyncFn(&HttpRequest, &Locals) -> actix_web::Result<()> + 'static,
{
    async fn handle<S, B>(
        self: Rc<Self>,
        request: ServiceRequest,
        inner: Rc<S>,
    ) -> Result<ServiceResponse<BoxBody>, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static,
    {
        let Some(request_session) = request_session_of(&self.auth, &request) else {
            return Ok(inner.call(request).await?.map_into_boxed_body());
        };
        let result = {
            let locals = Locals::new(request.request().clone(), Rc::clone(&request_session));
            let run = (self.run)(request.request(), &locals);
            impersonation_guard::run(Arc::clone(&request_session.impersonation), run).await
        };
        let request_session = request_session.as_decided();
        request_session.share(&request);
        let response = match result {
            Ok(()) => match call_inner(&*inner, request, &request_session).await {
                Ok(response) => response,
                Err((error, head)) => {
                    return Err(ErrorWithHeaders::of(error, &request_session, head).await);
                }
            },
            Err(error) => {
                let (answer, session) =
                    (HttpResponse::from_error(error), request_session.session());
                let responder = self.auth.error_responder();
                let (asked, session) = (request.request(), session.as_ref());
                let answer = responder.replace_handler_error(asked, session, answer);
                request.into_response(answer)
            }
        };
        Ok(with_headers(response, &request_session).await)
    }
}

/// Returns the session of a request that may use its session cookie. Other requests are left to the
/// inner service, which refuses or handles them.
fn request_session_of(auth: &ErasedAuth, request: &ServiceRequest) -> Option<Rc<RequestSession>> {
    let requirements = Requirements { may_ask_later: true, ..Requirements::default() };
    let begun = RequestSession::of_request(request.request(), auth, requirements, false).ok();
    begun.filter(|request_session| request_session.carrier == Carrier::Cookie)
}

impl<F> fmt::Debug for BeforeRequest<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeforeRequest").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for RunBeforeRequest<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunBeforeRequest").finish_non_exhaustive()
    }
}
