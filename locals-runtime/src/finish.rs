//! Everything after the handler, whatever came of it: the cookie and the cache headers.

use std::{fmt, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY},
    },
};

use crate::{
    admission::TokenState,
    cookie::{MOST_REMOVAL_BYTES, REMOVAL_BYTES_LEFT_TO_GUEST, SessionCookie, header_bytes},
    error::chain,
    events::Event,
    outcome::{Choice, Opened, Outcome, outcome},
    presented::RequestHead,
    resolution::{Carrier, Decision, GuestDecision, Resolution},
    session::{Renewal, Session},
    session_manager::Admitted,
    token::SessionToken,
};

/// What a response gets of the session: found out once, when everything has been decided.
#[derive(Debug, Default)]
pub(crate) struct Finish {
    /// The headers of each cookie: that of the session, and that of the guest.
    cookies: [Vec<HeaderValue>; 2],
    clear_site_data: Option<HeaderValue>,
    /// The headers of the request that the response depends on.
    vary: &'static [&'static str],
}

impl Finish {
    /// What the response to a request gets; nothing if it has been given before. `head` is asked only
    /// if a cookie is written.
    pub(crate) async fn of(resolution: &Resolution, head: impl FnOnce() -> RequestHead) -> Self {
        if resolution.is_finished.replace(true) {
            return Self::default();
        }
        let cookies = resolution.cookies(head).await;
        // No other site may make a browser forget what is ours.
        let is_tidied = resolution.has_logged_out.get() && resolution.carrier == Carrier::Cookie;
        // Also where nothing was removed: it would have been for another visitor.
        let depends = resolution.resolved().is_some()
            || resolution.guest.initialized()
            || !matches!(resolution.decision(), Decision::None);
        Self {
            cookies,
            clear_site_data: resolution.auth.clear_site_data().filter(|_| is_tidied).cloned(),
            vary: match (depends, resolution.auth.accepts_bearer()) {
                (false, _) => &[],
                (true, false) => &["Cookie"],
                (true, true) => &["Cookie", "Authorization"],
            },
        }
    }

    /// Puts it among the headers of the response.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
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

/// Gives a response what the session asks for, once.
pub(crate) async fn finish(
    resolution: &Resolution,
    request: &HttpRequest,
    headers: &mut HeaderMap,
) {
    Finish::of(resolution, || RequestHead::of(request)).await.put(headers);
}

/// The error of a service inside, whose response gets what the session asks for.
///
/// Middleware outside that looks for an error of the app finds it by [`error`](Self::error).
pub struct FinishedError {
    error: actix_web::Error,
    finish: Finish,
}

impl FinishedError {
    pub(crate) async fn of(
        error: actix_web::Error,
        resolution: &Resolution,
        head: RequestHead,
    ) -> actix_web::Error {
        Self { error, finish: Finish::of(resolution, || head).await }.into()
    }

    /// The error as the innermost service gave it.
    pub fn error(&self) -> &actix_web::Error {
        self.error.as_error::<Self>().map_or(&self.error, Self::error)
    }
}

impl ResponseError for FinishedError {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.error_response();
        self.finish.put(response.headers_mut());
        response
    }
}

impl fmt::Display for FinishedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for FinishedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// `Set-Cookie` alone does not keep a shared cache from storing a response (RFC 9111 §7.3).
fn never_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // These speak to some caches in its place (RFC 9213).
    let speaks_to_caches = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control") || ["surrogate-control", "x-accel-expires"].contains(&name)
    };
    let targeted: Vec<_> = headers.keys().filter(speaks_to_caches).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
}

/// Adds the headers of one cookie. Others of the same name, which the handler has set itself, give
/// way: they would contradict each other (RFC 6265bis §4.1.1).
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

/// Adds a header of the request to what the response varies by.
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

impl Resolution {
    /// All headers that write cookies: those of the session, and those of the guest.
    async fn cookies(&self, head: impl FnOnce() -> RequestHead) -> [Vec<HeaderValue>; 2] {
        let session = self.written().await.filter(|_| self.carrier != Carrier::Bearer);
        let guest = match &*self.guest_decision.borrow() {
            GuestDecision::None | GuestDecision::TakenOver(_) => None,
            GuestDecision::Ended => Some(Written::Removal),
            GuestDecision::Written(guest) => {
                let life = guest.record.expires_at.since(self.auth.sessions().now());
                Some(Written::Of(guest.token.clone(), Some(life)))
            }
        };
        if session.is_none() && guest.is_none() {
            return Default::default();
        }
        let head = head();
        let left_to_guest = if guest.is_some() { REMOVAL_BYTES_LEFT_TO_GUEST } else { 0 };
        let room = MOST_REMOVAL_BYTES - left_to_guest;
        let session = self.everywhere(self.auth.cookie(), &head, session, room);
        let room = MOST_REMOVAL_BYTES.saturating_sub(session.iter().map(header_bytes).sum());
        [session, self.everywhere(self.auth.guest_cookie(), &head, guest, room)]
    }

    /// All headers that write a cookie: the removals in other scopes, which take no more than so many
    /// bytes, and the cookie itself, last.
    fn everywhere(
        &self,
        cookie: &SessionCookie,
        head: &RequestHead,
        written: Option<Written>,
        most_bytes: usize,
    ) -> Vec<HeaderValue> {
        let (token, header) = match written {
            None => return Vec::new(),
            Some(Written::Removal) => (None, cookie.remove()),
            Some(Written::Of(token, life)) => {
                let header = cookie.store(&token, life);
                (Some(token), header)
            }
        };
        // A page of another site may not make the browser forget cookies that it has not sent; a login
        // that comes from there may.
        let may_withhold = token.is_some()
            && (self.carrier == Carrier::CrossOrigin
                || (head.is_cross_site() && cookie.is_strict()));
        let holder = head.holder(may_withhold);
        let mut all = cookie.remove_elsewhere(holder, token.as_ref(), most_bytes);
        all.push(header);
        all
    }

    /// What is written of the session cookie by the request's decisions, if anything.
    ///
    /// An idle session is renewed here, at the end, and a token exchanged: one that was ended while
    /// the handler ran is not found any more, so neither its row nor its cookie comes back.
    async fn written(&self) -> Option<Written> {
        let resolved = self.resolved();
        let admitted = resolved.as_ref().and_then(|resolved| resolved.admitted.as_ref());
        let chosen = match self.decision() {
            Decision::Set(chosen) => Some(chosen),
            Decision::None | Decision::Clear { .. } => None,
        };
        let session = match self.outcome(admitted) {
            Outcome::Keep => None,
            Outcome::Remove => return Some(Written::Removal),
            Outcome::Store => chosen.map(|chosen| chosen.session.clone()),
            // In boxes: these futures are large, and part of that of every handler.
            Outcome::Renew => Box::pin(self.used(admitted?)).await,
            Outcome::Confirm => Box::pin(self.confirmed(admitted?, &chosen?.session)).await,
        }?;
        let life = session.idle_expires_at().since(self.auth.sessions().now());
        let life = session.is_persistent().then_some(life);
        Some(Written::Of(session.token, life))
    }

    fn outcome(&self, admitted: Option<&Admitted>) -> Outcome {
        let choice = match self.decision() {
            Decision::None => Choice::Nothing,
            Decision::Set(chosen) => Choice::Set(chosen.session.id()),
            Decision::Clear { after_set } => Choice::Clear { after_set },
        };
        let opened = admitted.map(|admitted| Opened {
            id: admitted.session.id(),
            is_unchanged: admitted.renewal.is_none() && admitted.token == TokenState::Current,
        });
        outcome(choice, &self.presented, opened)
    }

    /// The presented session after its use: renewed by this request, or with the token that it has
    /// been exchanged for. `None` if the cookie is to stay as it is, or the session has ended.
    /// A fault is logged, and the session is as valid as before.
    async fn used(&self, admitted: &Admitted) -> Option<Session> {
        let session = &admitted.session;
        let is_renewed = self.renewed(admitted, session).await;
        match admitted.token {
            // A native client would not learn the new one.
            TokenState::Due if self.carrier != Carrier::Bearer => {
                match logged(self.auth.sessions().rotate(session).await) {
                    Some(rotated) => rotated,
                    None => is_renewed.then(|| session.clone()),
                }
            }
            TokenState::Exchanged(_) if !is_renewed => self.still_living(session).await,
            _ => is_renewed.then(|| session.clone()),
        }
    }

    /// The session that was set in place of itself, if it still lives.
    async fn confirmed(&self, admitted: &Admitted, chosen: &Session) -> Option<Session> {
        if self.renewed(admitted, chosen).await {
            return Some(chosen.clone());
        }
        match logged(self.auth.sessions().find_again(&chosen.token).await) {
            Some(found) => found.map(|found| found.session),
            // If its token is a new one, the browser has no other that opens it.
            None => (chosen.token != admitted.session.token).then(|| chosen.clone()),
        }
    }

    /// Whether this request has renewed the session, by the token that it is going to have.
    async fn renewed(&self, admitted: &Admitted, session: &Session) -> bool {
        let Some(renewal) = admitted.renewal else { return false };
        let renewal = Renewal { secret_hash: session.record.secret_hash, ..renewal };
        logged(self.auth.sessions().renew(session, renewal).await).unwrap_or(false)
    }

    async fn still_living(&self, session: &Session) -> Option<Session> {
        let found = logged(self.auth.sessions().find_again(&session.token).await).flatten();
        found.map(|found| found.session)
    }
}

/// What a response says of a cookie.
enum Written {
    Removal,
    /// The token, and how long the browser keeps it; until it is closed if nothing is said.
    Of(SessionToken, Option<Duration>),
}

fn logged<V, E: std::error::Error + 'static>(result: Result<V, E>) -> Option<V> {
    result
        .inspect_err(|error| {
            let cause = &chain(error);
            Event::StoreFailed { cause, doing: "renewing a session" }.record();
        })
        .ok()
}
