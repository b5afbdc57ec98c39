//! The token that a request presents, and what carries it.

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

/// How a request brings its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// By cookie, as browsers do.
    Cookie,
    /// Not at all: it comes from another origin, and its cookies are not looked at. They may be
    /// set, as by the answer to an identity provider.
    CrossOrigin,
    /// By a bearer token, as native clients do: no cookie is read or written.
    Bearer,
}

/// What a native client presents, where the app lets them. No browser sends this header by
/// itself, so the origin is nobody's business (OWASP CSRF Prevention, "Custom Request Headers").
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

/// What a browser presents, and whether it may.
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
