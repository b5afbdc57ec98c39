//! The responses to refused requests: a redirect or a page for browsers, a problem document for
//! other clients.

use std::{fmt, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap},
    },
};

use crate::{
    http::redirect::{self, see_other},
    model::{
        error::{ConfigError, Error},
        events::{Event, RefusedRequest},
    },
    sessions::session::Session,
};

/// Why a request does not reach its handler.
#[derive(Debug)]
pub enum Refusal {
    /// Refused. A browser that requests a page is redirected to this one, if it is set.
    Error(Error, Option<&'static str>),
    /// The user is already logged in: redirected to this page.
    LoggedIn(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

/// An app's own response to an error. `None` leaves it to `locals`.
pub(crate) type CustomResponse = dyn Fn(&HttpRequest, &Error) -> Option<HttpResponse> + Send + Sync;

/// The settings of an app for responses to errors.
#[derive(Clone, Default)]
pub(crate) struct ErrorResponder {
    /// Where browsers are redirected to log in.
    pub login_page: Option<String>,
    /// Where browsers are redirected when the login is not recent.
    pub reauthentication_page: Option<String>,
    pub custom: Option<Arc<CustomResponse>>,
    /// Whether the app accepts bearer tokens.
    pub accepts_bearer: bool,
}

impl ErrorResponder {
    /// Refuses a page that is not one of this app.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let pages = [&self.login_page, &self.reauthentication_page];
        pages.into_iter().flatten().try_for_each(|page| redirect::check_page(page))
    }

    /// Returns the response to a request that does not reach its handler.
    pub(crate) fn refuse(
        &self,
        request: &HttpRequest,
        session: Option<&Session>,
        refusal: Refusal,
    ) -> HttpResponse {
        match refusal {
            Refusal::LoggedIn(page) if leads_back(request, page) => {
                let custom = self.response_for(request, &Error::Forbidden, None);
                apply(HttpResponse::from_error(Error::Forbidden), custom)
            }
            Refusal::LoggedIn(page) => see_other(page),
            Refusal::Error(error, page) => {
                log_refusal(request, session, &error);
                let custom = self.response_for(request, &error, page);
                self.challenge(apply(HttpResponse::from_error(error), custom))
            }
        }
    }

    /// Returns the response of a handler. If it is an error of `locals`, it is handled like a
    /// refusal.
    pub(crate) fn replace_handler_error(
        &self,
        request: &HttpRequest,
        session: Option<&Session>,
        response: HttpResponse,
    ) -> HttpResponse {
        let Some(error) = response.error().and_then(|error| error.as_error::<Error>()) else {
            return response;
        };
        log_refusal(request, session, error);
        let custom = self.response_for(request, error, None);
        self.challenge(apply(response, custom))
    }

    /// Adds the `Bearer` challenge to a 401, if the app accepts bearer tokens.
    fn challenge(&self, mut response: HttpResponse) -> HttpResponse {
        if self.accepts_bearer && response.status() == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            response.headers_mut().append(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }

    /// Returns `None` if the error's own problem document is to be sent.
    fn response_for(
        &self,
        request: &HttpRequest,
        error: &Error,
        page: Option<&str>,
    ) -> Option<HttpResponse> {
        if let Some(custom) = self.custom.as_ref().and_then(|custom| custom(request, error)) {
            return Some(custom);
        }
        if !is_navigation(request.headers()) {
            return None;
        }
        let is_read = is_read(request);
        let page = self.page(error, page).filter(|page| !leads_back(request, page));
        let page = page.map(|page| match request.uri().path_and_query() {
            Some(wanted) if is_read => redirect::with_next(page, wanted.as_str()),
            _ => page.to_owned(),
        });
        Some(match page {
            Some(page) if is_read => see_other(&page),
            page => html(error, page.as_deref()),
        })
    }

    /// Returns the page where the user can resolve the error.
    fn page<'a>(&'a self, error: &Error, page: Option<&'a str>) -> Option<&'a str> {
        let login = page.or(self.login_page.as_deref());
        match error {
            Error::Unauthenticated => login,
            Error::NotRecent => self.reauthentication_page.as_deref().or(login),
            _ => None,
        }
    }
}

fn is_read(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Whether redirecting this request to `page` would be a loop. Records an event if so.
fn leads_back(request: &HttpRequest, page: &str) -> bool {
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let leads_back = is_read(request) && redirect::leads_back(page, wanted);
    if leads_back {
        Event::RedirectLoop { path: request.path(), page }.record();
    }
    leads_back
}

/// Logs and counts a refusal.
fn log_refusal(request: &HttpRequest, session: Option<&Session>, error: &Error) {
    if !error.is_refusal() {
        return;
    }
    let refused = RefusedRequest {
        code: error.code(),
        reason: error,
        method: request.method().as_str(),
        path: request.path(),
        session: session.map(Session::id),
        user: session.map(Session::user_id),
    };
    let event = match error {
        Error::CrossOrigin { .. } => Event::CrossOriginRefused(refused),
        _ => Event::Refused(refused),
    };
    event.record();
}

/// Whether a browser will show the response as a page, by its Fetch Metadata (W3C Fetch Metadata
/// §2), or by `Accept` in older browsers.
fn is_navigation(headers: &HeaderMap) -> bool {
    let has = |name, value: &str| headers.get(name).map(|found| found == value);
    has("sec-fetch-mode", "navigate").or_else(|| has("sec-fetch-dest", "document")).unwrap_or_else(
        || {
            let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            accept.is_some_and(|accept| accept.contains("text/html"))
        },
    )
}

/// A small page, used when the app has none of its own.
fn html(error: &Error, page: Option<&str>) -> HttpResponse {
    let (_, _, title) = error.problem();
    let action =
        if matches!(error, Error::NotRecent) { "Confirm that it is you" } else { "Log in" };
    let link = page.map(|page| format!("<p><a href=\"{page}\">{action}</a>")).unwrap_or_default();
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>{title}</title>\
         <body style=\"font: 1.2rem sans-serif; margin: 4rem\"><h1>{title}</h1>{link}"
    );
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(body)
}

/// Applies a custom response to one that carries the error, which middleware may log.
///
/// The status of the error is kept, unless the custom response has another one than 200. So are the
/// error's headers that the custom response does not have.
fn apply(mut response: HttpResponse, custom: Option<HttpResponse>) -> HttpResponse {
    let Some(custom) = custom else { return response };
    if custom.status() != StatusCode::OK {
        *response.status_mut() = custom.status();
    }
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for name in custom.headers().keys() {
        headers.remove(name);
    }
    for (name, value) in custom.headers() {
        headers.append(name.clone(), value.clone());
    }
    response.map_body(|_, _| custom.into_body())
}

impl fmt::Debug for ErrorResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorResponder")
            .field("login_page", &self.login_page)
            .field("reauthentication_page", &self.reauthentication_page)
            .finish_non_exhaustive()
    }
}
