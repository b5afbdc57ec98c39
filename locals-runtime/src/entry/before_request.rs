//! Middleware that runs a function of the app before the handlers.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};

use crate::{
    entry::guard::with_headers,
    http::request_head::RequestHead,
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
pub struct BeforeRequest<F> {
    auth: ErasedAuth,
    run: Rc<F>,
}

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
        BeforeRequest { auth: self.erased(), run: Rc::new(run) }
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
    type Transform = BeforeRequestService<S, F>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let (auth, run) = (self.auth.clone(), Rc::clone(&self.run));
        ready(Ok(BeforeRequestService { auth, run, inner: Rc::new(inner) }))
    }
}

/// A service behind a [`BeforeRequest`].
pub struct BeforeRequestService<S, F> {
    auth: ErasedAuth,
    run: Rc<F>,
    inner: Rc<S>,
}

impl<S, F, B> Service<ServiceRequest> for BeforeRequestService<S, F>
where
    F: AsyncFn(&HttpRequest, &Locals) -> actix_web::Result<()> + 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;
    type Response = ServiceResponse<BoxBody>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let auth = self.auth.clone();
        let (run, inner) = (Rc::clone(&self.run), Rc::clone(&self.inner));
        Box::pin(async move {
            let Some(request_session) = request_session_of(&auth, &request) else {
                return Ok(inner.call(request).await?.map_into_boxed_body());
            };
            let result = {
                let locals = Locals::new(request.request().clone(), Rc::clone(&request_session));
                let run = run(request.request(), &locals);
                impersonation_guard::run(Arc::clone(&request_session.impersonation), run).await
            };
            let request_session = request_session.as_decided();
            request_session.share(&request);
            let response = match result {
                Ok(()) => {
                    let acting = Arc::clone(&request_session.impersonation);
                    // The inner service consumes the request and does not return it if it fails.
                    let head = RequestHead::of(request.request());
                    match impersonation_guard::run(acting, inner.call(request)).await {
                        Ok(response) => response.map_into_boxed_body(),
                        Err(error) => {
                            return Err(ErrorWithHeaders::of(error, &request_session, head).await);
                        }
                    }
                }
                Err(error) => {
                    let answer = HttpResponse::from_error(error);
                    let session = request_session.session();
                    let session = session.as_ref();
                    let answer = auth.error_responder().replace_handler_error(
                        request.request(),
                        session,
                        answer,
                    );
                    request.into_response(answer)
                }
            };
            Ok(with_headers(response, Some(request_session)).await)
        })
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

impl<S, F> fmt::Debug for BeforeRequestService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeforeRequestService").finish_non_exhaustive()
    }
}
