//! The pipeline that every annotated handler runs through. Generated code calls it and nothing
//! else.

use std::future::{Future, Ready, ready};

use actix_web::{
    FromRequest, Responder, dev,
    http::{
        header::{CACHE_CONTROL, HOST, HeaderMap, HeaderValue, SET_COOKIE, VARY},
        uri::Authority,
    },
};
pub use actix_web::{HttpRequest, HttpResponse, web::Payload};

pub use crate::{
    attribute::{RequireUser, WithSession},
    parameters::{extracted, given},
};

use crate::{
    attribute::Attribute,
    auth::Registered,
    cookie::Presented,
    error::Error,
    locals::{Locals, Scope},
    parameters::{Asks, Extract, Parts},
    session::Session,
    user::{AuthUser, User},
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
    let mut asks = given.asks();
    asks.session |= A::REQUIRES_SESSION;
    let locals = match open(&request, asks, attribute.allows_cross_origin()) {
        Ok(locals) => locals,
        Err(error) => return HttpResponse::from_error(error),
    };
    if asks.session
        && let Err(error) = locals.presented().await
    {
        return HttpResponse::from_error(error);
    }
    let admitted = !A::REQUIRES_SESSION || locals.read_session().is_some();
    let mut response = match given.take(&locals).filter(|_| admitted) {
        None => HttpResponse::from_error(Error::Unauthenticated),
        // Only now is the body touched: nothing is read for a stranger.
        Some(given) => match extracted.extract(&request, &mut payload.into_inner()).await {
            Ok(extracted) => handler(given, extracted, request).await,
            Err(error) => HttpResponse::from_error(error),
        },
    };
    finish(&locals, response.headers_mut()).await;
    response
}

/// Everything before the session: the app's auth, the origin, the cookie.
fn open(request: &HttpRequest, asks: Asks, allows_cross_origin: bool) -> Result<Locals, Error> {
    let auth = Registered::of(request)?;
    if let Some(user_type) = asks.user {
        auth.expect(user_type)?;
    }
    let presented = match auth.origins().check(request.method(), request.headers(), host(request)) {
        Ok(()) => present(&auth, request.headers()),
        Err(_) if allows_cross_origin => Presented::Nothing,
        Err(reason) => return Err(Error::CrossOrigin { reason }),
    };
    let scope =
        if asks.user.is_some() || asks.later { Scope::SessionAndUser } else { Scope::Session };
    Ok(Locals::new(request.clone(), auth, presented, scope, asks.session))
}

fn present(auth: &Registered, headers: &HeaderMap) -> Presented {
    let presented = auth.cookie().read(headers);
    match presented {
        Presented::Conflicting => {
            tracing::warn!("several session cookies with different values: treated as none");
        }
        Presented::Malformed => tracing::debug!("a malformed session cookie: treated as none"),
        Presented::Nothing | Presented::Token(_) => {}
    }
    presented
}

/// The host the client asked for, as HTTP/1 and HTTP/2 say it. Forwarded headers do not count:
/// anybody can send them.
fn host(request: &HttpRequest) -> Option<&str> {
    request
        .uri()
        .authority()
        .map(Authority::as_str)
        .or_else(|| request.headers().get(HOST)?.to_str().ok())
}

/// Everything after the handler, whatever came of it: the cookie and the cache headers.
async fn finish(locals: &Locals, headers: &mut HeaderMap) {
    if let Some(cookie) = locals.cookie().await {
        replace_cookie(headers, cookie);
        // `Set-Cookie` alone does not keep a shared cache from storing a response (RFC 9111 §7.3).
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // These speak to some caches in its place (RFC 9213).
        for targeted in ["cdn-cache-control", "surrogate-control"] {
            headers.remove(targeted);
        }
    }
    if locals.was_read() {
        vary_by_cookie(headers);
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        }
    }
}

/// Adds a cookie in a header of its own. Another of the same name, which the handler has set
/// itself, gives way: two would contradict each other (RFC 6265bis §4.1.1).
fn replace_cookie(headers: &mut HeaderMap, cookie: HeaderValue) {
    let name = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default().to_vec()
    };
    let ours = name(&cookie);
    let others: Vec<_> =
        headers.remove(SET_COOKIE).filter(|other| name(other) != ours).chain([cookie]).collect();
    for cookie in others {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Adds `Cookie` to what the response varies by.
fn vary_by_cookie(headers: &mut HeaderMap) {
    if !headers.contains_key(VARY) {
        headers.insert(VARY, HeaderValue::from_static("Cookie"));
        return;
    }
    let mut merged = Vec::new();
    for value in headers.get_all(VARY) {
        let fields = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        if fields.clone().any(|field| field == b"*" || field.eq_ignore_ascii_case(b"cookie")) {
            return;
        }
        merged.extend_from_slice(value.as_bytes());
        merged.extend_from_slice(b", ");
    }
    merged.extend_from_slice(b"Cookie");
    if let Ok(value) = HeaderValue::from_bytes(&merged) {
        headers.insert(VARY, value);
    }
}

/// What a handler returns, as its own `Responder` makes it.
pub fn respond(value: impl Responder, request: &HttpRequest) -> HttpResponse {
    value.respond_to(request).map_into_boxed_body()
}

/// Never implemented: `Session`, `User<T>` and `Locals` are no ordinary extractors, because what
/// they need is done before and after all extractors run.
#[diagnostic::on_unimplemented(
    message = "`{Self}` reaches a handler only through `#[with_session]` or `#[require_user]`",
    label = "this handler has neither attribute, or hides this type from it behind an alias or a wrapper",
    note = "write `#[locals::with_session]` above the function if anybody may come, `#[locals::require_user]` if only signed-in users may"
)]
pub trait ThroughAttribute<'a> {}

macro_rules! only_through_attribute {
    ($($given:ty $(, of $parameter:ident)?;)+) => {$(
        impl $(<$parameter: AuthUser>)? FromRequest for $given
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
}
