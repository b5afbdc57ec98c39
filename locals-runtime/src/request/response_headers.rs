//! The headers of the response after the handler has run, whatever its result: cookies and cache
//! headers.

use std::fmt;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY},
    },
};

use crate::{
    http::request_head::RequestHead,
    request::{decision::Decision, presented_token::Carrier, request_session::RequestSession},
};

/// The headers that the session requires. Determined once, when everything has been decided.
#[derive(Debug, Default)]
pub(crate) struct ResponseHeaders {
    /// The headers of each cookie: that of the session, and that of the guest.
    cookies: [Vec<HeaderValue>; 2],
    clear_site_data: Option<HeaderValue>,
    /// The headers of the request that the response depends on.
    vary: &'static [&'static str],
}

impl ResponseHeaders {
    /// Returns the headers for the response to a request; none if they have been written already.
    /// `head` is called only if a cookie is written.
    pub(crate) async fn of(
        request_session: &RequestSession,
        head: impl FnOnce() -> RequestHead,
    ) -> Self {
        if request_session.is_response_started.replace(true) {
            return Self::default();
        }
        let cookies = request_session.cookies(head).await;
        // Other sites must not make a browser delete the app's data.
        let clears_data =
            request_session.has_logged_out.get() && request_session.carrier == Carrier::Cookie;
        // Even if nothing was removed: for another visitor it would have been.
        let depends = request_session.resolved().is_some()
            || request_session.guest.initialized()
            || !matches!(request_session.decision(), Decision::None);
        Self {
            cookies,
            clear_site_data: request_session
                .auth
                .clear_site_data()
                .filter(|_| clears_data)
                .cloned(),
            vary: match (depends, request_session.auth.accepts_bearer()) {
                (false, _) => &[],
                (true, false) => &["Cookie"],
                (true, true) => &["Cookie", "Authorization"],
            },
        }
    }

    /// Writes them to the headers of the response.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        for cookie in self.cookies.iter().filter(|cookie| !cookie.is_empty()) {
            replace_cookies(headers, cookie);
            never_store(headers);
        }
        if let Some(value) = &self.clear_site_data {
            headers.insert(HeaderName::from_static("clear-site-data"), value.clone());
        }
        for name in self.vary {
            vary_by(headers, name);
        }
        if !self.vary.is_empty() && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        }
    }
}

/// Writes the headers that the session requires, once.
pub(crate) async fn write_headers(
    request_session: &RequestSession,
    request: &HttpRequest,
    headers: &mut HeaderMap,
) {
    ResponseHeaders::of(request_session, || RequestHead::of(request)).await.write_to(headers);
}

/// The error of an inner service, whose response gets the headers that the session requires.
///
/// Outer middleware that looks for an error of the app gets it from [`error`](Self::error).
pub struct ErrorWithHeaders {
    error: actix_web::Error,
    headers: ResponseHeaders,
}

impl ErrorWithHeaders {
    pub(crate) async fn of(
        error: actix_web::Error,
        request_session: &RequestSession,
        head: RequestHead,
    ) -> actix_web::Error {
        Self { error, headers: ResponseHeaders::of(request_session, || head).await }.into()
    }

    /// Returns the error of the innermost service.
    pub fn error(&self) -> &actix_web::Error {
        self.error.as_error::<Self>().map_or(&self.error, Self::error)
    }
}

impl ResponseError for ErrorWithHeaders {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.error_response();
        self.headers.write_to(response.headers_mut());
        response
    }
}

impl fmt::Display for ErrorWithHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for ErrorWithHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// `Set-Cookie` alone does not keep a shared cache from storing a response (RFC 9111 §7.3).
fn never_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // These override `Cache-Control` for some caches (RFC 9213).
    let is_targeted = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control") || ["surrogate-control", "x-accel-expires"].contains(&name)
    };
    let targeted: Vec<_> = headers.keys().filter(is_targeted).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
}

/// Adds the headers of one cookie. Replaces others of the same name that the handler has set
/// itself: they would contradict each other (RFC 6265bis §4.1.1).
fn replace_cookies(headers: &mut HeaderMap, cookies: &[HeaderValue]) {
    let name = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default().to_vec()
    };
    let ours = cookies.first().map(name).unwrap_or_default();
    let others = headers.remove(SET_COOKIE).filter(|other| name(other) != ours);
    let all: Vec<_> = others.chain(cookies.iter().cloned()).collect();
    for cookie in all {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Adds a request header to `Vary`.
fn vary_by(headers: &mut HeaderMap, name: &'static str) {
    let mut merged = Vec::new();
    for value in headers.get_all(VARY) {
        let fields = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_there = |field: &[u8]| field == b"*" || field.eq_ignore_ascii_case(name.as_bytes());
        if fields.into_iter().any(is_there) {
            return;
        }
        merged.extend_from_slice(value.as_bytes());
        merged.extend_from_slice(b", ");
    }
    if merged.is_empty() {
        headers.insert(VARY, HeaderValue::from_static(name));
        return;
    }
    merged.extend_from_slice(name.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&merged) {
        headers.insert(VARY, value);
    }
}
