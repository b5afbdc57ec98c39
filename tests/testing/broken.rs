//! An app with hand-written sessions, which breaks one rule on request.

use std::{
    collections::HashSet,
    fmt::Write,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, Query, ServiceConfig},
};
use locals::SafeRedirect;
use serde::Deserialize;

/// What is wrong with the app.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wrong {
    Nothing,
    // The cookie.
    NoHttpOnly,
    NoSecure,
    NoSameSite,
    NoPath,
    PathOfPrefix,
    Twice,
    // The login.
    RefusesAll,
    SameToken,
    AdoptsToken,
    StaleCookie,
    KeepsToken,
    KeepsPresented,
    Throttles,
    // The logout.
    KeepsSession,
    KeepsCookie,
    EmptiesCookie,
    RemovesElsewhere,
    // Methods and origins.
    LogInByGet,
    LogOutByGet,
    LogInAcrossSites,
    LogOutAcrossSites,
    // The protected page.
    RefusesUsers,
    LetsStrangersIn,
    ReadsFirst,
    // Redirects.
    FollowsQuery,
    FollowsForm,
    FollowsOnPage,
    FollowsNothing,
    // What others may see.
    CachedCookie,
    CachedPage,
    PublicPage,
    NoVary,
    TokenInBody,
    TokenInLocation,
}

pub const NAME: &str = "__Host-session";

/// The app, before it starts.
pub fn broken(wrong: Wrong) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let state = State { wrong, sessions: Mutex::default(), log_ins: AtomicUsize::new(0) };
        config
            .app_data(Data::new(state))
            .route("/login", web::post().to(log_in))
            .route("/logout", web::post().to(log_out))
            .route("/me", web::get().to(me));
        if wrong == Wrong::LogInByGet {
            config.route("/login", web::get().to(log_in));
        } else {
            config.route("/login", web::get().to(login_page));
        }
        if wrong == Wrong::LogOutByGet {
            config.route("/logout", web::get().to(log_out));
        }
    }
}

struct State {
    wrong: Wrong,
    sessions: Mutex<HashSet<String>>,
    log_ins: AtomicUsize,
}

impl State {
    fn has(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    fn presented(&self, request: &HttpRequest) -> (Option<String>, bool) {
        let header = request.headers().get("cookie").map(|value| value.to_str().unwrap());
        let token = header.and_then(|text| text.strip_prefix("__Host-session=")).map(str::to_owned);
        let lives =
            token.as_ref().is_some_and(|token| self.sessions.lock().unwrap().contains(token));
        (token, lives)
    }

    fn refuses(&self, request: &HttpRequest, unless: Wrong) -> bool {
        let site = request.headers().get("sec-fetch-site");
        !self.has(unless) && site.is_none_or(|site| site != "same-origin")
    }

    fn new_token(&self, presented: Option<String>) -> String {
        match presented {
            Some(presented) if self.has(Wrong::AdoptsToken) => presented,
            _ if self.has(Wrong::SameToken) => "the-token-of-everybody".to_owned(),
            _ => uuid::Uuid::new_v4().to_string(),
        }
    }

    fn cookie(&self, token: &str) -> String {
        let mut cookie = format!("{NAME}={token}");
        for (attribute, left_out_by) in [
            ("HttpOnly", Wrong::NoHttpOnly),
            ("Secure", Wrong::NoSecure),
            ("SameSite=Lax", Wrong::NoSameSite),
            ("Path=/", Wrong::NoPath),
        ] {
            if !self.has(left_out_by) {
                write!(cookie, "; {attribute}").unwrap();
            }
        }
        if self.has(Wrong::PathOfPrefix) {
            cookie = cookie.replace("Path=/", "Path=/app");
        }
        cookie
    }

    fn leads_to(&self, next: Option<String>, followed: Wrong) -> String {
        let next = next.unwrap_or_default();
        if self.has(followed) {
            return next;
        }
        let safe = SafeRedirect::parse(&next).unwrap_or_default().to_string();
        if self.has(Wrong::FollowsNothing) { "/".to_owned() } else { safe }
    }
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

fn see_other(location: &str) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    // What no header can hold has no place to go.
    if location.parse::<actix_web::http::header::HeaderValue>().is_ok() {
        response.insert_header(("Location", location));
    }
    response.finish()
}

fn set(response: &mut HttpResponse, state: &State, cookie: &str) {
    let headers = response.headers_mut();
    headers.append("set-cookie".parse().unwrap(), cookie.parse().unwrap());
    if state.has(Wrong::Twice) {
        headers.append("set-cookie".parse().unwrap(), cookie.parse().unwrap());
    }
    let value = if state.has(Wrong::CachedCookie) { "max-age=60" } else { "no-store" };
    headers.insert("cache-control".parse().unwrap(), value.parse().unwrap());
}

async fn log_in(
    request: HttpRequest,
    body: Bytes,
    query: Query<Next>,
    state: Data<State>,
) -> HttpResponse {
    if state.refuses(&request, Wrong::LogInAcrossSites) {
        return HttpResponse::Forbidden().finish();
    }
    let (presented, lives) = state.presented(&request);
    let log_ins = state.log_ins.fetch_add(1, Ordering::Relaxed);
    if state.has(Wrong::RefusesAll)
        || (state.has(Wrong::StaleCookie) && presented.is_some() && !lives)
    {
        return HttpResponse::Unauthorized().finish();
    }
    if state.has(Wrong::Throttles) && log_ins > 20 {
        return HttpResponse::TooManyRequests().finish();
    }
    let form: Next = serde_urlencoded(&body);
    let mut location = match (form.next, query.into_inner().next) {
        (Some(next), _) => state.leads_to(Some(next), Wrong::FollowsForm),
        (None, next) => state.leads_to(next, Wrong::FollowsQuery),
    };
    if state.has(Wrong::KeepsToken) && lives {
        return see_other(&location);
    }
    let token = state.new_token(presented.clone());
    {
        let mut sessions = state.sessions.lock().unwrap();
        if let Some(presented) = presented
            && !state.has(Wrong::KeepsPresented)
        {
            sessions.remove(&presented);
        }
        sessions.insert(token.clone());
    }
    if state.has(Wrong::TokenInLocation) {
        location = format!("/?session={token}");
    }
    let mut response = see_other(&location);
    if state.has(Wrong::TokenInBody) {
        response = HttpResponse::Ok().body(format!("{{\"token\":\"{token}\"}}"));
    }
    set(&mut response, &state, &state.cookie(&token));
    response
}

fn serde_urlencoded(body: &Bytes) -> Next {
    let text = std::str::from_utf8(body).unwrap();
    Query::<Next>::from_query(text).unwrap().into_inner()
}

async fn log_out(request: HttpRequest, state: Data<State>) -> HttpResponse {
    if state.refuses(&request, Wrong::LogOutAcrossSites) {
        return HttpResponse::Forbidden().finish();
    }
    if let (Some(presented), true) = state.presented(&request)
        && !state.has(Wrong::KeepsSession)
    {
        state.sessions.lock().unwrap().remove(&presented);
    }
    let removal = format!("{}; Max-Age=0", state.cookie(""));
    let mut response = see_other("/");
    match state.wrong {
        Wrong::KeepsCookie => {}
        Wrong::EmptiesCookie => set(&mut response, &state, &state.cookie("")),
        Wrong::RemovesElsewhere => {
            set(&mut response, &state, &removal.replace("Path=/", "Path=/logout"));
        }
        _ => set(&mut response, &state, &removal),
    }
    response
}

async fn login_page(request: HttpRequest, query: Query<Next>, state: Data<State>) -> HttpResponse {
    match state.presented(&request) {
        (_, true) => see_other(&state.leads_to(query.into_inner().next, Wrong::FollowsOnPage)),
        _ => HttpResponse::Ok().body("<form method=post>"),
    }
}

async fn me(request: HttpRequest, body: web::Payload, state: Data<State>) -> HttpResponse {
    if state.has(Wrong::ReadsFirst) {
        body.to_bytes().await.ok();
    }
    let (_, lives) = state.presented(&request);
    if state.has(Wrong::RefusesUsers) || !(lives || state.has(Wrong::LetsStrangersIn)) {
        return HttpResponse::build(StatusCode::UNAUTHORIZED).finish();
    }
    let mut response = HttpResponse::Ok();
    match state.wrong {
        Wrong::CachedPage => {}
        Wrong::PublicPage => {
            response.insert_header(("Cache-Control", "public, max-age=60"));
        }
        _ => {
            response.insert_header(("Cache-Control", "private, no-store"));
        }
    }
    if !state.has(Wrong::NoVary) {
        response.insert_header(("Vary", "Accept-Encoding, Cookie"));
    }
    response.body("7")
}
