//! How a refused request is answered: a redirect or a page for people, a problem for programs.

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
        events::{Event, Refused},
    },
    sessions::session::Session,
};

/// Why a request does not reach its handler.
#[derive(Debug)]
pub enum Refusal {
    /// Refused. A browser that asks for a page is sent to this one, if there is one.
    Error(Error, Option<&'static str>),
    /// Logged in already: sent on to this page.
    LoggedIn(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

/// An app's own answer to an error; `None` leaves it to `locals`.
pub(crate) type CustomResponse = dyn Fn(&HttpRequest, &Error) -> Option<HttpResponse> + Send + Sync;

/// The answers of an app, as its `Auth` was built.
#[derive(Clone, Default)]
pub(crate) struct ErrorResponder {
    /// Where a browser is sent that needs to log in.
    pub login_page: Option<String>,
    /// Where a browser is sent whose user logged in too long ago.
    pub reauthentication_page: Option<String>,
    pub own: Option<Arc<CustomResponse>>,
    /// Whether a native client may log in by a bearer token.
    pub accepts_bearer: bool,
}

impl ErrorResponder {
    /// Refuses a page that is not one of this app.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let pages = [&self.login_page, &self.reauthentication_page];
        pages.into_iter().flatten().try_for_each(|page| redirect::check_page(page))
    }

    /// The answer to a request that does not reach its handler.
    pub(crate) fn refuse(
        &self,
        request: &HttpRequest,
        session: Option<&Session>,
        refusal: Refusal,
    ) -> HttpResponse {
        match refusal {
            Refusal::LoggedIn(page) if leads_back(request, page) => {
                let answer = self.response_for(request, &Error::Forbidden, None);
                apply(HttpResponse::from_error(Error::Forbidden), answer)
            }
            Refusal::LoggedIn(page) => see_other(page),
            Refusal::Error(error, page) => {
                log_refusal(request, session, &error);
                let answer = self.response_for(request, &error, page);
                self.challenge(apply(HttpResponse::from_error(error), answer))
            }
        }
    }

    /// What a handler gave back; if it is an error of ours, answered as a refusal is.
    pub(crate) fn negotiate(
        &self,
        request: &HttpRequest,
        session: Option<&Session>,
        response: HttpResponse,
    ) -> HttpResponse {
        let Some(error) = response.error().and_then(|error| error.as_error::<Error>()) else {
            return response;
        };
        log_refusal(request, session, error);
        let answer = self.response_for(request, error, None);
        self.challenge(apply(response, answer))
    }

    /// Says that a bearer token would do, where it would.
    fn challenge(&self, mut response: HttpResponse) -> HttpResponse {
        if self.accepts_bearer && response.status() == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            response.headers_mut().append(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }

    /// `None`: the problem that the error is by itself.
    fn response_for(
        &self,
        request: &HttpRequest,
        error: &Error,
        page: Option<&str>,
    ) -> Option<HttpResponse> {
        if let Some(answer) = self.own.as_ref().and_then(|own| own(request, error)) {
            return Some(answer);
        }
        if !is_person(request.headers()) {
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

    /// Where a person can do something about the error.
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

/// Whether this request would be sent to the page that it asks for, for ever. Says so to those who
/// read the logs.
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
    let refused = Refused {
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

/// Whether a browser shows the answer to a person, as it says itself (W3C Fetch Metadata §2), or
/// as an older one asks for.
fn is_person(headers: &HeaderMap) -> bool {
    let says = |name, value: &str| headers.get(name).map(|found| found == value);
    says("sec-fetch-mode", "navigate")
        .or_else(|| says("sec-fetch-dest", "document"))
        .unwrap_or_else(|| {
            let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            accept.is_some_and(|accept| accept.contains("text/html"))
        })
}

/// A small page, in place of one of the app's own.
fn html(error: &Error, page: Option<&str>) -> HttpResponse {
    let (_, _, title) = error.problem();
    let what = if matches!(error, Error::NotRecent) { "Confirm that it is you" } else { "Log in" };
    let link = page.map(|page| format!("<p><a href=\"{page}\">{what}</a>")).unwrap_or_default();
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>{title}</title>\
         <body style=\"font: 1.2rem sans-serif; margin: 4rem\"><h1>{title}</h1>{link}"
    );
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(body)
}

/// Puts an answer on a response that keeps its error, which middleware may log.
///
/// The status of the error stands, unless the answer has one of its own; so do its headers that the
/// answer does not have.
fn apply(mut response: HttpResponse, answer: Option<HttpResponse>) -> HttpResponse {
    let Some(answer) = answer else { return response };
    if answer.status() != StatusCode::OK {
        *response.status_mut() = answer.status();
    }
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for name in answer.headers().keys() {
        headers.remove(name);
    }
    for (name, value) in answer.headers() {
        headers.append(name.clone(), value.clone());
    }
    response.map_body(|_, _| answer.into_body())
}

impl fmt::Debug for ErrorResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorResponder")
            .field("login_page", &self.login_page)
            .field("reauthentication_page", &self.reauthentication_page)
            .finish_non_exhaustive()
    }
}
