//! A session as a request holds it, as a list shows it, and as a store keeps it.

use std::time::Duration;

use serde::Serialize;

use crate::{
    clock::Timestamp,
    token::{SecretHash, SessionId, SessionToken},
    user::UserId,
};

/// What a store keeps of a session: one row.
///
/// The secret is kept as its hash only, so a copy of the database opens no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The public id: the key.
    pub id: SessionId,
    /// SHA-256 of the token's secret.
    pub secret_hash: SecretHash,
    /// Whose session it is.
    pub user_id: UserId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// Until when it is active. Moved by renewal.
    pub active_expires_at: Timestamp,
    /// When it is dead unless it is used before. Moved by renewal; never past the absolute end.
    pub idle_expires_at: Timestamp,
    /// When it is dead however much it is used. Never moved.
    pub absolute_expires_at: Timestamp,
    /// The browser that signed in, as its `User-Agent` header said; at most 255 characters.
    pub user_agent: Option<String>,
    /// The network address that signed in.
    pub address: Option<String>,
}

/// New expiries for one session, and the one they replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// The end of the active period as it was read. A session that has moved past it since has
    /// been renewed by somebody else, and is left as it is.
    pub replaces: Timestamp,
    /// The new end of the active period.
    pub active_expires_at: Timestamp,
    /// The new end of the idle period.
    pub idle_expires_at: Timestamp,
}

/// Where a living session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Within its active period: using it writes nothing.
    Active,
    /// Past its active period: using it renews it.
    Idle,
}

/// A validated session: one that this request presented or created.
///
/// It carries its token in memory, so that [`set_session`](crate::Locals::set_session) can
/// write the cookie. `Debug` hides the token, and there is no `Serialize`: what a page may
/// show of a session is a [`SessionInfo`].
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) record: SessionRecord,
    pub(crate) token: SessionToken,
    pub(crate) state: SessionState,
    pub(crate) fresh: bool,
    /// When it was validated or created.
    pub(crate) seen_at: Timestamp,
}

impl Session {
    /// The public id, for lists, logs and revocation.
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// Whose session it is.
    pub fn user_id(&self) -> &UserId {
        &self.record.user_id
    }

    /// The state in which it was presented. [`Idle`](SessionState::Idle) means that this use
    /// renews it; the expiries below are the new ones.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Whether this request created it or found it idle, and so renews it. Its cookie is sent
    /// again, unless another request has just renewed it.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When the user last proved who they are.
    pub fn authenticated_at(&self) -> Timestamp {
        self.record.authenticated_at
    }

    /// Whether the user has proved who they are within this time before the request, and acts in
    /// their own name. The condition behind `#[require_user(recent = "10m")]`.
    pub fn is_recent(&self, within: Duration) -> bool {
        self.seen_at.since(self.authenticated_at()) <= within
    }

    /// Until when it is active.
    pub fn active_expires_at(&self) -> Timestamp {
        self.record.active_expires_at
    }

    /// When it ends unless it is used before.
    pub fn idle_expires_at(&self) -> Timestamp {
        self.record.idle_expires_at
    }

    /// When it ends however much it is used.
    pub fn absolute_expires_at(&self) -> Timestamp {
        self.record.absolute_expires_at
    }

    /// The browser that signed in, as it called itself.
    pub fn user_agent(&self) -> Option<&str> {
        self.record.user_agent.as_deref()
    }

    /// The network address that signed in.
    pub fn address(&self) -> Option<&str> {
        self.record.address.as_deref()
    }

    /// The token, for carriers other than the session cookie. Keep it secret.
    pub fn token(&self) -> &SessionToken {
        &self.token
    }
}

/// One entry of a list of sessions. It has no token: it can be shown, and opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public id, to end the session by.
    pub id: SessionId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// Until when it is active.
    pub active_expires_at: Timestamp,
    /// When it ends unless it is used before.
    pub idle_expires_at: Timestamp,
    /// When it ends however much it is used.
    pub absolute_expires_at: Timestamp,
    /// Active, or idle and waiting for its next use.
    pub state: SessionState,
    /// The browser that signed in, as it called itself.
    pub user_agent: Option<String>,
    /// The network address that signed in.
    pub address: Option<String>,
    /// Whether it is the session of the request that asks.
    pub is_current: bool,
}

impl SessionInfo {
    pub(crate) fn new(record: SessionRecord, state: SessionState) -> Self {
        Self {
            id: record.id,
            created_at: record.created_at,
            authenticated_at: record.authenticated_at,
            active_expires_at: record.active_expires_at,
            idle_expires_at: record.idle_expires_at,
            absolute_expires_at: record.absolute_expires_at,
            state,
            user_agent: record.user_agent,
            address: record.address,
            is_current: false,
        }
    }
}
