//! The token that a request presents, and how it is sent.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use crate::{
    http::{
        bearer::{self, Bearer},
        cookie::Presented,
        request_head::host,
    },
    model::{error::Error, events::Event, token::SessionToken},
    request::erased_auth::ErasedAuth,
};

/// How a request presents its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// By cookie, as browsers do.
    Cookie,
    /// Not at all: the request comes from another origin, and its cookies are ignored. Cookies may
    /// be set, as by the callback of an identity provider.
    CrossOrigin,
    /// By a bearer token, as native clients do. No cookie is read or written.
    Bearer,
}

/// Returns what a native client presents, if the app accepts bearer tokens. Browsers do not send
/// this header by themselves, so the origin is not checked (OWASP CSRF Prevention, "Custom Request
/// Headers").
pub(super) fn from_bearer(
    auth: &ErasedAuth,
    headers: &HeaderMap,
) -> Result<Option<Presented>, Error> {
    if !auth.accepts_bearer() {
        return Ok(None);
    }
    let token = match bearer::read(headers.get_all(AUTHORIZATION).map(HeaderValue::as_bytes)) {
        Bearer::None => return Ok(None),
        Bearer::Several => return Err(Error::TwoAuthorizations),
        Bearer::One(token) => token,
    };
    if auth.cookie().read(headers) != Presented::Nothing {
        return Err(Error::TwoCredentials);
    }
    Ok(Some(SessionToken::parse(token).map_or(Presented::Malformed, Presented::Token)))
}

/// Returns what a browser presents, if its origin allows it.
pub(super) fn from_cookie(
    auth: &ErasedAuth,
    request: &HttpRequest,
    allows_cross_origin: bool,
) -> Result<(Presented, Carrier), Error> {
    let headers = request.headers();
    match auth.origins().check(request.method(), headers, host(request)) {
        Ok(()) => Ok((read_cookie(auth, headers), Carrier::Cookie)),
        Err(_) if allows_cross_origin => Ok((Presented::Nothing, Carrier::CrossOrigin)),
        Err(reason) => Err(Error::CrossOrigin { reason }),
    }
}

fn read_cookie(auth: &ErasedAuth, headers: &HeaderMap) -> Presented {
    let presented = auth.cookie().read(headers);
    match presented {
        Presented::Conflicting => {
            Event::CookieConflicting { ignored: auth.cookie().read_all(headers).ignored }.record();
        }
        Presented::Malformed => Event::CookieMalformed.record(),
        Presented::Nothing | Presented::Token(_) => {}
    }
    presented
}
