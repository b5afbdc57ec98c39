//! The cookies of a response, and the renewal that goes with them.

use std::time::Duration;

use actix_web::http::header::HeaderValue;

use crate::{
    http::{
        cookie::{MAX_REMOVAL_BYTES, REMOVAL_BYTES_LEFT_TO_GUEST, SessionCookie, header_bytes},
        cookie_action::{CookieAction, CookieDecision, Opened, cookie_action},
        request_head::RequestHead,
    },
    model::{
        error::chain, events::Event, record::Renewal, token::SessionToken, token_check::TokenState,
    },
    request::{
        decision::{Decision, GuestDecision},
        presented_token::Carrier,
        request_session::RequestSession,
    },
    sessions::{lookup::FoundSession, session::Session},
};

impl RequestSession {
    /// Returns all headers that write cookies: those of the session, and those of the guest.
    pub(super) async fn cookies(
        &self,
        head: impl FnOnce() -> RequestHead,
    ) -> [Vec<HeaderValue>; 2] {
        let session = self.session_cookie().await.filter(|_| self.carrier != Carrier::Bearer);
        let guest = match &*self.guest_decision.borrow() {
            GuestDecision::None | GuestDecision::TakenOver(_) => None,
            GuestDecision::Ended => Some(CookieWrite::Removal),
            GuestDecision::Written(guest) => {
                let life = guest.record.expires_at.since(self.auth.sessions().now());
                Some(CookieWrite::Store(guest.token.clone(), Some(life)))
            }
        };
        if session.is_none() && guest.is_none() {
            return Default::default();
        }
        let head = head();
        let left_to_guest = if guest.is_some() { REMOVAL_BYTES_LEFT_TO_GUEST } else { 0 };
        let budget = MAX_REMOVAL_BYTES - left_to_guest;
        let session = self.in_all_scopes(self.auth.cookie(), &head, session, budget);
        let budget = MAX_REMOVAL_BYTES.saturating_sub(session.iter().map(header_bytes).sum());
        [session, self.in_all_scopes(self.auth.guest_cookie(), &head, guest, budget)]
    }

    /// Returns all headers that write one cookie: the removals in other scopes, of at most
    /// `max_bytes` in total, and the cookie itself, last.
    fn in_all_scopes(
        &self,
        cookie: &SessionCookie,
        head: &RequestHead,
        written: Option<CookieWrite>,
        max_bytes: usize,
    ) -> Vec<HeaderValue> {
        let (token, header) = match written {
            None => return Vec::new(),
            Some(CookieWrite::Removal) => (None, cookie.remove()),
            Some(CookieWrite::Store(token, life)) => {
                let header = cookie.store(&token, life);
                (Some(token), header)
            }
        };
        // A page of another site must not remove cookies that the browser has not sent. A login
        // that comes from another site may.
        let may_withhold = token.is_some()
            && (self.carrier == Carrier::CrossOrigin
                || (head.is_cross_site() && cookie.is_strict()));
        let context = head.cookie_context(may_withhold);
        let mut all = cookie.remove_elsewhere(context, token.as_ref(), max_bytes);
        all.push(header);
        all
    }

    /// Returns what the decisions of the request write to the session cookie, if anything.
    ///
    /// An idle session is renewed here, at the end, and its token is rotated. A session that ended
    /// while the handler ran is no longer found, so neither its row nor its cookie returns.
    async fn session_cookie(&self) -> Option<CookieWrite> {
        let resolved = self.resolved();
        let found_session = resolved.as_ref().and_then(|resolved| resolved.found_session.as_ref());
        let chosen = match self.decision() {
            Decision::Set(chosen) => Some(chosen),
            Decision::None | Decision::Clear { .. } => None,
        };
        let session = match self.cookie_action(found_session) {
            CookieAction::Keep => None,
            CookieAction::Remove => return Some(CookieWrite::Removal),
            CookieAction::Store => chosen.map(|chosen| chosen.session.clone()),
            // Boxed: these futures are large, and part of the future of every handler.
            CookieAction::Renew => Box::pin(self.after_use(found_session?)).await,
            CookieAction::Confirm => Box::pin(self.confirm(found_session?, &chosen?.session)).await,
        }?;
        let life = session.idle_expires_at().since(self.auth.sessions().now());
        let life = session.is_persistent().then_some(life);
        Some(CookieWrite::Store(session.token, life))
    }

    fn cookie_action(&self, found_session: Option<&FoundSession>) -> CookieAction {
        let choice = match self.decision() {
            Decision::None => CookieDecision::Nothing,
            Decision::Set(chosen) => CookieDecision::Set(chosen.session.id()),
            Decision::Clear { after_set } => CookieDecision::Clear { after_set },
        };
        let opened = found_session.map(|found_session| Opened {
            id: found_session.session.id(),
            is_unchanged: found_session.renewal.is_none()
                && found_session.token == TokenState::Current,
        });
        cookie_action(choice, &self.presented, opened)
    }

    /// Returns the presented session after its use: renewed by this request, or with the token to
    /// which it was rotated. `None` if the cookie stays as it is, or the session has ended. A fault
    /// is logged, and the session is as valid as before.
    async fn after_use(&self, found_session: &FoundSession) -> Option<Session> {
        let session = &found_session.session;
        let is_renewed = self.try_renew(found_session, session).await;
        match found_session.token {
            // A native client would not receive the new token.
            TokenState::DueForRotation if self.carrier != Carrier::Bearer => {
                match log_failure(self.auth.sessions().rotate(session).await) {
                    Some(rotated) => rotated,
                    None => is_renewed.then(|| session.clone()),
                }
            }
            TokenState::Superseded(_) if !is_renewed => self.reread_session(session).await,
            _ => is_renewed.then(|| session.clone()),
        }
    }

    /// Returns the session that was set in place of itself, if it has not ended.
    async fn confirm(&self, found_session: &FoundSession, chosen: &Session) -> Option<Session> {
        if self.try_renew(found_session, chosen).await {
            return Some(chosen.clone());
        }
        match log_failure(self.auth.sessions().find_and_recheck(&chosen.token).await) {
            Some(found) => found.map(|found| found.session),
            // If its token is new, the browser has no other one that opens it.
            None => (chosen.token != found_session.session.token).then(|| chosen.clone()),
        }
    }

    /// Renews the session if it is due, for the token that it will have. Returns whether this
    /// request did it.
    async fn try_renew(&self, found_session: &FoundSession, session: &Session) -> bool {
        let Some(renewal) = found_session.renewal else { return false };
        let renewal = Renewal { secret_hash: session.record.secret_hash, ..renewal };
        log_failure(self.auth.sessions().renew(session, renewal).await).unwrap_or(false)
    }

    async fn reread_session(&self, session: &Session) -> Option<Session> {
        let found =
            log_failure(self.auth.sessions().find_and_recheck(&session.token).await).flatten();
        found.map(|found| found.session)
    }
}

/// What a response does with a cookie.
enum CookieWrite {
    Removal,
    /// The token, and how long the browser keeps it. `None`: until the browser is closed.
    Store(SessionToken, Option<Duration>),
}

fn log_failure<V, E: std::error::Error + 'static>(result: Result<V, E>) -> Option<V> {
    result
        .inspect_err(|error| {
            let cause = &chain(error);
            Event::StoreFailed { cause, doing: "renewing a session" }.record();
        })
        .ok()
}
