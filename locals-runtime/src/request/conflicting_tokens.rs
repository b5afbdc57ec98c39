//! The tokens of a request that presents several.
//!
//! A browser does so after the scope of the cookie has changed between two versions of an app. None
//! of several tokens opens a session. But each of them may end its session, and a response that
//! writes the cookie removes it in the other scopes, so that the browser has one cookie or none.

use actix_web::http::header::HeaderMap;
use tokio::sync::OnceCell;

use crate::{
    http::cookie::{Presented, SessionCookie},
    model::{session_id::SessionId, token::SessionToken},
    request::presented_token::Carrier,
    sessions::session::Session,
};

/// The different tokens of a request that presents several.
#[derive(Default)]
pub(crate) struct Conflicting {
    pub(super) tokens: Vec<SessionToken>,
    pub(super) found: OnceCell<ConflictingSessions>,
}

/// The sessions that these tokens open, each by itself.
#[derive(Default)]
pub(super) struct ConflictingSessions {
    pub sessions: Vec<Session>,
    /// The sessions that they can end although they do not open them, see
    /// [`ResolvedSession`](crate::request::request_session::ResolvedSession).
    pub endable: Vec<SessionId>,
    /// Whether one of their rows cannot be read.
    pub unreadable: bool,
}

impl Conflicting {
    pub(crate) fn read(
        cookie: &SessionCookie,
        headers: &HeaderMap,
        presented: &Presented,
        carrier: Carrier,
    ) -> Self {
        match (carrier, presented) {
            (Carrier::Cookie, Presented::Conflicting) => Self::of(cookie.read_all(headers).tokens),
            _ => Self::default(),
        }
    }

    /// Returns the same tokens, whose sessions have not been read.
    pub(crate) fn unresolved(&self) -> Self {
        Self::of(self.tokens.clone())
    }

    fn of(tokens: Vec<SessionToken>) -> Self {
        Self { tokens, found: OnceCell::new() }
    }
}

/// Returns the ids of sessions, each after that of the actor's own session.
pub(crate) fn with_actors<'a>(sessions: impl IntoIterator<Item = &'a Session>) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for session in sessions {
        for id in session.record.actor_session.into_iter().chain([session.id()]) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}
