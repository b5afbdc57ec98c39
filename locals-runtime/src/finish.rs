//! Everything after the handler, whatever came of it: the cookie and the cache headers.

use actix_web::http::header::{
    CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY,
};

use crate::{
    admission::TokenState,
    error::chain,
    events::Event,
    locals::Locals,
    outcome::{Choice, Opened, Outcome, outcome},
    resolution::{Carrier, Decision, GuestDecision},
    session::{Renewal, Session},
    session_manager::Admitted,
};

/// Gives a response what the session asks for, once.
pub(crate) async fn finish(locals: &Locals, headers: &mut HeaderMap) {
    let resolution = &locals.resolution;
    if resolution.is_finished.replace(true) {
        return;
    }
    for cookie in [locals.cookie().await, locals.guest_cookie()].into_iter().flatten() {
        replace_cookie(headers, cookie);
        never_store(headers);
    }
    // No other site may make a browser forget what is ours.
    if resolution.has_logged_out.get()
        && resolution.carrier == Carrier::Cookie
        && let Some(value) = resolution.auth.clear_site_data()
    {
        headers.insert(HeaderName::from_static("clear-site-data"), value.clone());
    }
    // One that cleared nothing, for a stranger, would have removed the cookie of somebody else.
    let has_decided = || !matches!(resolution.decision(), Decision::None);
    if resolution.resolved().is_some() || resolution.guest.initialized() || has_decided() {
        vary_by(headers, "Cookie");
        if resolution.auth.accepts_bearer() {
            vary_by(headers, "Authorization");
        }
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        }
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

impl Locals {
    /// The `Set-Cookie` that the request's decisions amount to, if any.
    ///
    /// An idle session is renewed here, at the end, and a token exchanged: one that was ended while
    /// the handler ran is not found any more, so neither its row nor its cookie comes back.
    async fn cookie(&self) -> Option<HeaderValue> {
        let admitted = self.admitted();
        let chosen = match self.resolution.decision() {
            Decision::Set(chosen) => Some(chosen),
            Decision::None | Decision::Clear { .. } => None,
        };
        let writes_cookies = self.resolution.carrier != Carrier::Bearer;
        let session = match self.outcome() {
            Outcome::Keep => None,
            Outcome::Remove => {
                return writes_cookies.then(|| self.resolution.auth.cookie().remove());
            }
            Outcome::Store => chosen.map(|chosen| chosen.session.clone()),
            // In boxes: these futures are large, and part of that of every handler.
            Outcome::Renew => Box::pin(self.used(admitted?)).await,
            Outcome::Confirm => Box::pin(self.confirmed(admitted?, &chosen?.session)).await,
        };
        let cookie = session.map(|session| self.store_cookie(&session));
        cookie.filter(|_| writes_cookies)
    }

    /// The `Set-Cookie` of the guest, if any.
    fn guest_cookie(&self) -> Option<HeaderValue> {
        let cookie = self.resolution.auth.guest_cookie();
        match &*self.resolution.guest_decision.borrow() {
            GuestDecision::None | GuestDecision::TakenOver => None,
            GuestDecision::Ended => Some(cookie.remove()),
            GuestDecision::Written(guest) => {
                let life = guest.record.expires_at.since(self.auth().now());
                Some(cookie.store(&guest.token, Some(life)))
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let choice = match self.resolution.decision() {
            Decision::None => Choice::Nothing,
            Decision::Set(chosen) => Choice::Set(chosen.session.id()),
            Decision::Clear { after_set } => Choice::Clear { after_set },
        };
        let opened = self.admitted().map(|admitted| Opened {
            id: admitted.session.id(),
            is_unchanged: admitted.renewal.is_none() && admitted.token == TokenState::Current,
        });
        outcome(choice, &self.resolution.presented, opened)
    }

    fn admitted(&self) -> Option<&Admitted> {
        self.resolution.resolved()?.admitted.as_deref()
    }

    fn store_cookie(&self, session: &Session) -> HeaderValue {
        let life = session.idle_expires_at().since(self.auth().now());
        let life = session.is_persistent().then_some(life);
        self.resolution.auth.cookie().store(&session.token, life)
    }

    /// The presented session after its use: renewed by this request, or with the token that it has
    /// been exchanged for. `None` if the cookie is to stay as it is, or the session has ended.
    /// A fault is logged, and the session is as valid as before.
    async fn used(&self, admitted: &Admitted) -> Option<Session> {
        let session = &admitted.session;
        let is_renewed = self.renewed(admitted, session).await;
        match admitted.token {
            // A native client would not learn the new one.
            TokenState::Due if self.resolution.carrier != Carrier::Bearer => {
                match logged(self.auth().rotate(session).await) {
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
        match logged(self.auth().find(&chosen.token).await) {
            Some(found) => found.map(|found| found.session),
            // If its token is a new one, the browser has no other that opens it.
            None => (chosen.token != admitted.session.token).then(|| chosen.clone()),
        }
    }

    /// Whether this request has renewed the session, by the token that it is going to have.
    async fn renewed(&self, admitted: &Admitted, session: &Session) -> bool {
        let Some(renewal) = admitted.renewal else { return false };
        let renewal = Renewal { secret_hash: session.record.secret_hash, ..renewal };
        logged(self.auth().renew(session, renewal).await).unwrap_or(false)
    }

    async fn still_living(&self, session: &Session) -> Option<Session> {
        let found = logged(self.auth().find(&session.token).await).flatten();
        found.map(|found| found.session)
    }
}

fn logged<V, E: std::error::Error + 'static>(result: Result<V, E>) -> Option<V> {
    result
        .inspect_err(|error| {
            let cause = &chain(error);
            Event::StoreFailed { cause, doing: "renewing a session" }.record();
        })
        .ok()
}
