//! The pipeline that every annotated handler runs through. Generated code calls it and nothing
//! else.

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
        parameters::{Extract, Parts},
    },
    model::{
        error::Error,
        user::{AuthUser, User},
    },
    request::{
        erased_auth::Registered, error_responder::Refusal, locals::Locals,
        request_session::Resolution, requirements::Asks, response_headers::finish,
    },
    sessions::{impersonation_guard, session::Session, verified::Verified},
};

/// Runs an annotated handler with what the attribute gives it and what is extracted.
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
    G: Parts,
    X: Extract,
    H: FnOnce(G::Values, X::Values, HttpRequest) -> F,
    F: Future<Output = HttpResponse>,
{
    let auth = match Registered::of(&request) {
        Ok(auth) => auth,
        Err(error) => return HttpResponse::from_error(error),
    };
    let asks = attribute.asks().and(given.asks());
    let allows_cross_origin = attribute.allows_cross_origin();
    let locals = match Resolution::of_request(&request, &auth, asks, allows_cross_origin) {
        Ok(resolution) => Locals::new(request.clone(), resolution),
        Err(error) => return auth.answers().refuse(&request, None, error.into()),
    };
    let resolution = &locals.resolution;
    let work = async {
        let mut values = admit(&locals, &attribute, asks, &given).await?;
        let seen = resolution.resolved();
        // Only now is the body touched: nothing is read for a stranger.
        let extracted = match extracted.extract(&request, &mut payload.into_inner()).await {
            Ok(extracted) => extracted,
            Err(error) => return Ok(HttpResponse::from_error(error)),
        };
        // While a body arrives, a session may end, and a user lose a right.
        if resolution.has_changed_since(seen).await? {
            values = admit(&locals, &attribute, asks, &given).await?;
        }
        Ok::<_, Refusal>(handler(values, extracted, request.clone()).await)
    };
    let ran = impersonation_guard::within(Arc::clone(&resolution.acting), work).await;
    let session = resolution.session();
    let mut response = match ran {
        Err(refusal) => auth.answers().refuse(&request, session.as_ref(), refusal),
        Ok(response) => auth.answers().negotiate(&request, session.as_ref(), response),
    };
    finish(resolution, &request, response.headers_mut()).await;
    response
}

/// The guard: reads what it must, and takes what the handler is given.
async fn admit<G: Parts>(
    locals: &Locals,
    attribute: &impl Attribute,
    asks: Asks,
    given: &G,
) -> Result<G::Values, Refusal> {
    if asks.session {
        locals.resolution.resolve().await?;
    }
    // Where nothing was asked, the attribute lets everybody in.
    attribute.admit(&locals.resolution.resolved().unwrap_or_default())?;
    given.take(locals).map_err(|error| attribute.refuse(error))
}

/// What a handler returns, as its own `Responder` makes it.
pub fn respond(value: impl Responder, request: &HttpRequest) -> HttpResponse {
    value.respond_to(request).map_into_boxed_body()
}

/// Never implemented: `Session`, `User<T>`, `Verified<T, C>` and `Locals` are no ordinary
/// extractors, because what they need is done before and after all extractors run.
#[diagnostic::on_unimplemented(
    message = "`{Self}` reaches a handler only through `#[with_session]` or `#[require_user]`",
    label = "this handler has neither attribute, or hides this type from it behind an alias or a wrapper",
    note = "write `#[locals::with_session]` above the function if anybody may come, `#[locals::require_user]` if only logged-in users may"
)]
pub trait ThroughAttribute<'a> {}

macro_rules! only_through_attribute {
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

only_through_attribute! {
    Session;
    Locals;
    User<T>, of T;
    Verified<T, C>, of T and C;
}
