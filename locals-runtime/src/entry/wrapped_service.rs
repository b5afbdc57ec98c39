//! The frame that the middlewares share: a service with something done around it.

use std::{fmt, future::Future, pin::Pin, rc::Rc, sync::Arc};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, forward_ready},
};

use crate::{
    http::request_head::RequestHead,
    request::{request_session::RequestSession, response_headers::write_headers},
    sessions::impersonation_guard,
};

/// What a middleware does around the inner service.
pub trait Around: 'static {
    /// Handles a request, and calls the inner service unless it refuses the request.
    fn handle<S, B>(
        self: Rc<Self>,
        request: ServiceRequest,
        inner: Rc<S>,
    ) -> impl Future<Output = Result<ServiceResponse<BoxBody>, Error>>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static;
}

/// A service behind a middleware.
pub struct WrappedService<S, A> {
    around: Rc<A>,
    inner: Rc<S>,
}

impl<S, A> WrappedService<S, A> {
    pub(crate) fn new(around: &Rc<A>, inner: S) -> Self {
        Self { around: Rc::clone(around), inner: Rc::new(inner) }
    }
}

impl<S, A, B> Service<ServiceRequest> for WrappedService<S, A>
where
    A: Around,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;
    type Response = ServiceResponse<BoxBody>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        Box::pin(Rc::clone(&self.around).handle(request, Rc::clone(&self.inner)))
    }
}

/// Calls the inner service as part of a request's session.
///
/// # Errors
/// That of the inner service, and the head of the request, which it does not return.
pub(crate) async fn call_inner<S, B>(
    inner: &S,
    request: ServiceRequest,
    request_session: &RequestSession,
) -> Result<ServiceResponse<BoxBody>, (Error, RequestHead)>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let head = RequestHead::of(request.request());
    let guard = Arc::clone(&request_session.impersonation);
    match impersonation_guard::run(guard, inner.call(request)).await {
        Ok(response) => Ok(response.map_into_boxed_body()),
        Err(error) => Err((error, head)),
    }
}

/// Adds the headers that the session requires to a response.
pub(crate) async fn with_headers(
    mut response: ServiceResponse<BoxBody>,
    request_session: &RequestSession,
) -> ServiceResponse<BoxBody> {
    let request = response.request().clone();
    write_headers(request_session, &request, response.headers_mut()).await;
    response
}

impl<S, A> fmt::Debug for WrappedService<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedService").finish_non_exhaustive()
    }
}
