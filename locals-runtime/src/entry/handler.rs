//! The pipeline of every handler with an attribute. Generated code calls only this module.

use std::{
    future::{Future, Ready, ready},
    sync::Arc,
};

use actix_web::{FromRequest, Responder, dev};
pub use actix_web::{HttpRequest, HttpResponse, web::Payload};

pub use crate::{
    __row_reader as read_row,
    entry::{
        attribute::{RequireUser, WithSession},
        parameters::{extracted, given},
    },
    store::row_reader,
};

use crate::{
    entry::{
        attribute::Attribute,
        parameters::{ExtractedParameters, SessionParameters},
    },
    model::{
        error::Error,
        user::{AuthUser, User},
    },
    request::{
        erased_auth::ErasedAuth, error_responder::Refusal, locals::Locals,
        request_session::RequestSession, requirements::Requirements,
        response_headers::write_headers,
    },
    sessions::{impersonation_guard, session::Session, verified::Verified},
};

/// Runs a handler with the parameters that its attribute provides and those that are extracted.
pub async fn handle<A, G, X, H, F>(
    request: HttpRequest,
    payload: Payload,
    attribute: A,
    given: G,
    extracted: X,
    handler: H,
) -> HttpResponse
where
    A: Attribute,
    G: SessionParameters,
    X: ExtractedParameters,
    H: FnOnce(G::Values, X::Values, HttpRequest) -> F,
    F: Future<Output = HttpResponse>,
{
    let auth = match ErasedAuth::of(&request) {
        Ok(auth) => auth,
        Err(error) => return HttpResponse::from_error(error),
    };
    let requirements = attribute.requirements().and(given.requirements());
    let allows_cross_origin = attribute.allows_cross_origin();
    let locals =
        match RequestSession::of_request(&request, &auth, requirements, allows_cross_origin) {
            Ok(request_session) => Locals::new(request.clone(), request_session),
            Err(error) => return auth.error_responder().refuse(&request, None, error.into()),
        };
    let request_session = &locals.request_session;
    let work = async {
        let mut values = authorize(&locals, &attribute, requirements, &given).await?;
        let seen = request_session.resolved();
        // The body is read only after the guard: nothing is read for a request that is refused.
        let extracted = match extracted.extract(&request, &mut payload.into_inner()).await {
            Ok(extracted) => extracted,
            Err(error) => return Ok(HttpResponse::from_error(error)),
        };
        // While the body arrives, the session may end, or the user may lose a right.
        if request_session.has_changed_since(seen).await? {
            values = authorize(&locals, &attribute, requirements, &given).await?;
        }
        Ok::<_, Refusal>(handler(values, extracted, request.clone()).await)
    };
    let ran = impersonation_guard::run(Arc::clone(&request_session.impersonation), work).await;
    let session = request_session.session();
    let mut response = match ran {
        Err(refusal) => auth.error_responder().refuse(&request, session.as_ref(), refusal),
        Ok(response) => {
            auth.error_responder().replace_handler_error(&request, session.as_ref(), response)
        }
    };
    write_headers(request_session, &request, response.headers_mut()).await;
    response
}

/// Applies the guard: reads what it needs, and returns the handler's parameters.
async fn authorize<G: SessionParameters>(
    locals: &Locals,
    attribute: &impl Attribute,
    requirements: Requirements,
    given: &G,
) -> Result<G::Values, Refusal> {
    if requirements.session {
        locals.request_session.resolve().await?;
    }
    // If nothing was required, the attribute admits every request.
    attribute.authorize(&locals.request_session.resolved().unwrap_or_default())?;
    given.take(locals).map_err(|error| attribute.refuse(error))
}

/// Converts the return value of a handler by its own `Responder`.
pub fn respond(value: impl Responder, request: &HttpRequest) -> HttpResponse {
    value.respond_to(request).map_into_boxed_body()
}

/// Never implemented: `Session`, `User<T>`, `Verified<T, C>` and `Locals` are not ordinary
/// extractors, because they need work before and after all extractors run.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can be a parameter only under `#[with_session]` or `#[require_user]`",
    label = "this handler has neither attribute, or hides this type from it behind an alias or a wrapper",
    note = "write `#[locals::with_session]` above the function, or `#[locals::require_user]` if only logged-in users may call it"
)]
pub trait ThroughAttribute<'a> {}

macro_rules! requires_attribute {
    ($($given:ty $(, of $user:ident $(and $condition:ident)?)?;)+) => {$(
        impl $(<$user: AuthUser $(, $condition: 'static)?>)? FromRequest for $given
        where
            for<'a> $given: ThroughAttribute<'a>,
        {
            type Error = Error;
            type Future = Ready<Result<Self, Error>>;

            fn from_request(_: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
                ready(Err(Error::NotConfigured))
            }
        }
    )+};
}

requires_attribute! {
    Session;
    Locals;
    User<T>, of T;
    Verified<T, C>, of T and C;
}
