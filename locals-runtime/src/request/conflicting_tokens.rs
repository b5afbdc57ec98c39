//! What a request presents besides the one session that it may have: several tokens at once.
//!
//! A browser does that when the scope of the cookie has changed between two versions of an app. Of
//! several tokens none opens anything. But whoever has a token may end its session, and the response
//! that writes the cookie removes it in the other scopes: the browser is left with one or none.

use actix_web::http::header::HeaderMap;
use tokio::sync::OnceCell;

use crate::{
    http::cookie::{Presented, SessionCookie},
    model::{session_id::SessionId, token::SessionToken},
    request::credentials::Carrier,
    sessions::session::Session,
};

/// The different tokens of a request that presents several.
#[derive(Default)]
pub(crate) struct Conflicting {
    pub(super) tokens: Vec<SessionToken>,
    pub(super) found: OnceCell<ConflictingSessions>,
}

/// What they open, each for itself.
#[derive(Default)]
pub(super) struct ConflictingSessions {
    pub sessions: Vec<Session>,
    /// Those that they could end although they open none, see [`ResolvedSession`](crate::request::request_session::ResolvedSession).
    pub endable: Vec<SessionId>,
    /// There is a row among theirs that cannot be read.
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

    /// The same for those inside, who ask again.
    pub(crate) fn again(&self) -> Self {
        Self::of(self.tokens.clone())
    }

    fn of(tokens: Vec<SessionToken>) -> Self {
        Self { tokens, found: OnceCell::new() }
    }
}

/// Sessions, each after the one from which it is an impersonation.
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
