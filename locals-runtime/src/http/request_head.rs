//! The parts of a request that show which cookies its browser holds, kept after the request is
//! gone.

use actix_web::{
    HttpRequest,
    http::{
        header::{COOKIE, HOST, HeaderMap, HeaderName},
        uri::Authority,
    },
};

use crate::http::cookie::CookieContext;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The parts of a request that show which cookies its browser holds, for a response that is made
/// after the request is gone.
pub(crate) struct RequestHead {
    /// Only the headers that are needed.
    headers: HeaderMap,
    host: Option<String>,
    path: String,
}

impl RequestHead {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let mut headers = HeaderMap::new();
        for name in [COOKIE, SEC_FETCH_SITE] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let host = host(request).map(str::to_owned);
        Self { headers, host, path: request.path().to_owned() }
    }

    pub(crate) fn is_cross_site(&self) -> bool {
        self.headers.get(SEC_FETCH_SITE).is_some_and(|site| site.as_bytes() == b"cross-site")
    }

    pub(crate) fn cookie_context(&self, may_withhold: bool) -> CookieContext<'_> {
        let host = self.host.as_deref();
        CookieContext { headers: &self.headers, host, path: &self.path, may_withhold }
    }
}

/// Returns the host that the client requested, by HTTP/1 or HTTP/2. Forwarded headers do not count,
/// since any client can send them.
pub(crate) fn host(request: &HttpRequest) -> Option<&str> {
    request
        .uri()
        .authority()
        .map(Authority::as_str)
        .or_else(|| request.headers().get(HOST)?.to_str().ok())
}
