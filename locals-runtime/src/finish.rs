//! Everything after the handler, whatever came of it: the cookie and the cache headers.

use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, SET_COOKIE, VARY};

use crate::{
    error::{StoreError, chain},
    locals::Locals,
    origin,
    outcome::{Choice, Found, Outcome, outcome},
    resolution::{Decision, Resolved},
    session::Session,
    session_manager::Admitted,
};

/// Gives a response what the session asks for, once.
pub(crate) async fn finish(locals: &Locals, headers: &mut HeaderMap) {
    if locals.resolution.is_finished.replace(true) {
        return;
    }
    if let Some(cookie) = locals.cookie().await {
        replace_cookie(headers, cookie);
        // `Set-Cookie` alone does not keep a shared cache from storing a response (RFC 9111 §7.3).
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // These speak to some caches in its place (RFC 9213).
        for targeted in ["cdn-cache-control", "surrogate-control"] {
            headers.remove(targeted);
        }
    }
    if locals.resolution.resolved().is_some() {
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

impl Locals {
    /// The `Set-Cookie` that the request's decisions amount to, if any.
    ///
    /// An idle session is renewed here, at the end: one that was ended while the handler ran is
    /// not found any more, so neither its row nor its cookie comes back.
    async fn cookie(&self) -> Option<HeaderValue> {
        let admitted = self.resolution.resolved().and_then(|resolved| resolved.admitted.as_ref());
        let cookie = self.resolution.auth.cookie();
        match (self.outcome(), self.resolution.decision()) {
            (Outcome::Remove, _) => Some(cookie.remove()),
            (Outcome::Store, Decision::Set(chosen)) => Some(self.store_cookie(&chosen.session)),
            (Outcome::Renew, _) => {
                let session = self.renewed(admitted?).await?;
                Some(self.store_cookie(session))
            }
            (Outcome::Confirm, _) => {
                let session = self.confirmed(admitted?).await?;
                Some(self.store_cookie(&session))
            }
            // `Store` comes of `Set` alone.
            (Outcome::Keep | Outcome::Store, _) => None,
        }
    }

    fn outcome(&self) -> Outcome {
        let choice = match self.resolution.decision() {
            Decision::None => Choice::Nothing,
            Decision::Set(chosen) => Choice::Set(chosen.session.id()),
            Decision::Clear { after_set } => Choice::Clear { after_set },
        };
        let found = match self.resolution.resolved() {
            None => Found::NotAsked,
            Some(Resolved { corrupt: true, .. }) => Found::Corrupt,
            Some(Resolved { admitted: None, .. }) => Found::NoSession,
            Some(Resolved { admitted: Some(admitted), .. }) => {
                Found::Session { id: admitted.session.id(), is_idle: admitted.renewal.is_some() }
            }
        };
        let request = &self.request;
        let is_navigation = origin::is_navigation(request.method(), request.headers());
        outcome(choice, &self.resolution.presented, found, is_navigation)
    }

    fn store_cookie(&self, session: &Session) -> HeaderValue {
        let life = session.idle_expires_at().since(self.auth().now());
        self.resolution.auth.cookie().store(&session.token, life)
    }

    /// The session, if this request has renewed it. A fault is logged, and the session is as
    /// valid as before.
    async fn renewed<'a>(&self, admitted: &'a Admitted) -> Option<&'a Session> {
        let session = &admitted.session;
        let renewed = self.auth().renew(session.id(), admitted.renewal?).await;
        logged(session, renewed).filter(|renewed| *renewed).map(|_| session)
    }

    /// The presented session as it is now, renewed by this request or by another; `None` if it
    /// has ended.
    async fn confirmed(&self, admitted: &Admitted) -> Option<Session> {
        if let Some(session) = self.renewed(admitted).await {
            return Some(session.clone());
        }
        let session = &admitted.session;
        let found = logged(session, self.auth().find(&session.token).await).flatten();
        found.map(|found| found.session)
    }
}

pub(crate) fn logged<V>(session: &Session, result: Result<V, StoreError>) -> Option<V> {
    result
        .inspect_err(|error| {
            let cause = chain(error);
            tracing::warn!(session = %session.id(), cause, "a session could not be renewed");
        })
        .ok()
}
