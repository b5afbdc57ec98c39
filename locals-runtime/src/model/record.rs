//! The records of sessions and guests as a store keeps them, and the changes to them.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::model::{
    hashes::{CredentialHash, SecretHash},
    session_id::SessionId,
    time::{self, Timestamp},
    user_id::UserId,
};

/// A session as a store keeps it: one row.
///
/// Only the hash of the secret is stored, so the tokens cannot be recovered from a copy of the
/// database.
///
/// A store that reads a row creates a record with [`new`](Self::new) and sets the other fields.
/// Later versions may add fields; until they are set they have a default such as `None`.
///
/// ```
/// use std::time::Duration;
///
/// use locals::{SecretHash, SessionId, SessionRecord, Timestamp};
///
/// let (id, hash) = (SessionId::from_bytes([1; 16]), SecretHash::from_bytes([2; 32]));
/// let created_at = Timestamp::from_millis(0);
/// let mut session = SessionRecord::new(id, hash, 7_i64, created_at);
/// session.active_expires_at = created_at + Duration::from_hours(1);
/// session.idle_expires_at = created_at + Duration::from_hours(2);
/// session.absolute_expires_at = created_at + Duration::from_hours(24);
/// session.address = Some("192.0.2.1".to_owned());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The public id: the key.
    pub id: SessionId,
    /// The hash of the token's secret, bound to the table of the users; see
    /// [`SessionToken::secret_hash`](crate::SessionToken::secret_hash).
    pub secret_hash: SecretHash,
    /// The user who is logged in.
    pub user_id: UserId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last authenticated.
    pub authenticated_at: Timestamp,
    /// When the active and the idle period last started: at creation, and at each renewal. If this is
    /// more than a day before `created_at`, the clock was ahead when the session was created; its
    /// lifetime then counts from here.
    pub renewed_at: Timestamp,
    /// The end of the active period. Renewal moves it.
    pub active_expires_at: Timestamp,
    /// The idle timeout: when the session expires unless it is used before. Renewal moves it, but never
    /// past the absolute timeout.
    pub idle_expires_at: Timestamp,
    /// The absolute timeout: when the session expires no matter how much it is used. Never moved.
    pub absolute_expires_at: Timestamp,
    /// The session's own active and idle period, if it was created with its own lifetime; `None` for
    /// those of the app's [`Lifetime`](crate::Lifetime).
    pub periods: Option<Periods>,
    /// Whether the cookie survives a restart of the browser.
    pub is_persistent: bool,
    /// The `User-Agent` header of the login; at most 255 characters.
    pub user_agent: Option<String>,
    /// The network address of the login.
    pub address: Option<String>,
    /// If this session is an impersonation: the session of the actor.
    pub actor_session: Option<SessionId>,
    /// The app's data of this session, as JSON text.
    pub data: Option<String>,
    /// The number of changes of `data`. Starts at 0.
    pub data_revision: i64,
    /// The last rotation of the token, if tokens are rotated.
    pub rotation: Option<Rotation>,
    /// A keyed digest of the user's credential, such as the password hash, at the last authentication;
    /// `None` if sessions are not bound to a credential.
    pub credential: Option<CredentialHash>,
}

impl SessionRecord {
    /// Creates the record of a persistent session. All times are `created_at`, so the session counts as
    /// expired until its expiry times are set; the other fields are empty.
    pub fn new(
        id: SessionId,
        secret_hash: SecretHash,
        user_id: impl Into<UserId>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            secret_hash,
            user_id: user_id.into(),
            created_at,
            authenticated_at: created_at,
            renewed_at: created_at,
            active_expires_at: created_at,
            idle_expires_at: created_at,
            absolute_expires_at: created_at,
            periods: None,
            is_persistent: true,
            user_agent: None,
            address: None,
            actor_session: None,
            data: None,
            data_revision: 0,
            rotation: None,
            credential: None,
        }
    }
}

/// The part of a session that is needed to find out which sessions of a user are the newest. It has a
/// small fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTimes {
    /// The public id.
    pub id: SessionId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the active and the idle period last started.
    pub renewed_at: Timestamp,
    /// The idle timeout: when the session expires unless it is used before.
    pub idle_expires_at: Timestamp,
    /// The absolute timeout: when the session expires no matter how much it is used.
    pub absolute_expires_at: Timestamp,
    /// If this session is an impersonation: the session of the actor.
    pub actor_session: Option<SessionId>,
}

impl SessionTimes {
    /// The times of a session that has not been renewed and is not an impersonation.
    pub fn new(
        id: SessionId,
        created_at: Timestamp,
        idle_expires_at: Timestamp,
        absolute_expires_at: Timestamp,
    ) -> Self {
        Self {
            id,
            created_at,
            renewed_at: created_at,
            idle_expires_at,
            absolute_expires_at,
            actor_session: None,
        }
    }
}

impl From<&SessionRecord> for SessionTimes {
    fn from(session: &SessionRecord) -> Self {
        Self {
            id: session.id,
            created_at: session.created_at,
            renewed_at: session.renewed_at,
            idle_expires_at: session.idle_expires_at,
            absolute_expires_at: session.absolute_expires_at,
            actor_session: session.actor_session,
        }
    }
}

/// The active and the idle period of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Periods {
    /// How long the session is used without a write.
    pub active: Duration,
    /// How long after the active period the session can still be renewed.
    pub idle: Duration,
}

impl Periods {
    /// Creates a pair of an active and an idle period.
    pub fn new(active: Duration, idle: Duration) -> Self {
        Self { active, idle }
    }

    /// Creates the periods from milliseconds, as a store keeps them. A negative number counts as 0.
    pub fn from_millis(active: i64, idle: i64) -> Self {
        let [active, idle] =
            [active, idle].map(|period| Duration::from_millis(period.try_into().unwrap_or(0)));
        Self { active, idle }
    }

    /// Returns the active and the idle period in whole milliseconds, for a store.
    pub fn to_millis(self) -> (i64, i64) {
        (time::millis(self.active), time::millis(self.idle))
    }
}

/// The last rotation of a session's token.
///
/// It is kept because requests that were sent before the browser received the new token still
/// present the old one. `Debug` shows only the time.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The hash of the previous token's secret; the hash of the current one if it was not derived from a
    /// previous token.
    pub previous: SecretHash,
    /// The salt with which the new token was derived.
    pub salt: [u8; 32],
    /// When the token was rotated.
    pub rotated_at: Timestamp,
}

impl Rotation {
    /// Creates the record of a rotation of the token with this hash, by this salt.
    pub fn new(previous: SecretHash, salt: [u8; 32], rotated_at: Timestamp) -> Self {
        Self { previous, salt, rotated_at }
    }

    /// Decodes a rotation from its bytes, as a store keeps them.
    pub fn from_bytes(bytes: &[u8; 72]) -> Self {
        let mut parts = ([0; 32], [0; 32], [0; 8]);
        parts.0.copy_from_slice(&bytes[..32]);
        parts.1.copy_from_slice(&bytes[32..64]);
        parts.2.copy_from_slice(&bytes[64..]);
        Self {
            previous: SecretHash::from_bytes(parts.0),
            salt: parts.1,
            rotated_at: Timestamp::from_millis(i64::from_be_bytes(parts.2)),
        }
    }

    /// Encodes the rotation as bytes, for a store: the previous hash, the salt, and the time in
    /// milliseconds (big-endian).
    pub fn to_bytes(&self) -> [u8; 72] {
        let mut bytes = [0; 72];
        bytes[..32].copy_from_slice(self.previous.as_bytes());
        bytes[32..64].copy_from_slice(&self.salt);
        bytes[64..].copy_from_slice(&self.rotated_at.as_millis().to_be_bytes());
        bytes
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").field("rotated_at", &self.rotated_at).finish_non_exhaustive()
    }
}

/// New expiry times for one session, and the state they were computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renewal {
    /// The end of the active period as it was read. If the stored one differs, another request has
    /// renewed the session, and it is left as it is.
    pub replaces: Timestamp,
    /// The hash of the token that was presented. If the stored one differs, another request has
    /// changed the token, and the session is left as it is.
    pub secret_hash: SecretHash,
    /// The new end of the active period.
    pub active_expires_at: Timestamp,
    /// The new end of the idle period.
    pub idle_expires_at: Timestamp,
    /// When the new active and idle periods start.
    pub renewed_at: Timestamp,
}

impl Renewal {
    /// Creates the renewal of a session as it was read. Its times are those of the session until they
    /// are set.
    pub fn new(session: &SessionRecord) -> Self {
        Self {
            replaces: session.active_expires_at,
            secret_hash: session.secret_hash,
            active_expires_at: session.active_expires_at,
            idle_expires_at: session.idle_expires_at,
            renewed_at: session.renewed_at,
        }
    }
}

/// A new token for one session, and the one it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenChange {
    /// The hash as it was read. If the stored one differs, another request has changed the token, and
    /// the session is left as it is.
    pub replaces: SecretHash,
    /// The hash of the new token. It differs from `replaces`.
    pub secret_hash: SecretHash,
    /// The record of this rotation; `None` if the old token is no longer accepted at all.
    pub rotation: Option<Rotation>,
    /// When the user last authenticated.
    pub authenticated_at: Timestamp,
    /// The new digest of the user's credential; `None` keeps the stored one, whatever it is by then.
    pub credential: Option<CredentialHash>,
}

impl TokenChange {
    /// Creates the change of the token of a session as it was read, without a rotation. The other values
    /// are those of the session until they are set.
    pub fn new(session: &SessionRecord, secret_hash: SecretHash) -> Self {
        Self {
            replaces: session.secret_hash,
            secret_hash,
            rotation: None,
            authenticated_at: session.authenticated_at,
            credential: None,
        }
    }
}

/// New data for one session, and the revision they replace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataChange {
    /// The revision as it was read. If the stored one differs, another request has changed the data, and
    /// they are left as they are.
    pub replaces: i64,
    /// The new data, as JSON text.
    pub data: String,
}

impl DataChange {
    /// Creates the change that replaces the data of this revision.
    pub fn new(replaces: i64, data: impl Into<String>) -> Self {
        Self { replaces, data: data.into() }
    }
}

/// A guest as a store keeps it: one row for a visitor who has not logged in.
///
/// A store that reads a row creates a record with [`new`](Self::new) and sets the other fields, as
/// with a [`SessionRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestRecord {
    /// The public id: the key.
    pub id: SessionId,
    /// The hash of the token's secret, bound to the table of the users; see
    /// [`SessionToken::secret_hash`](crate::SessionToken::secret_hash).
    pub secret_hash: SecretHash,
    /// The app's data of this visitor, as JSON text.
    pub data: String,
    /// The number of changes of `data`.
    pub data_revision: i64,
    /// When the guest expires.
    pub expires_at: Timestamp,
}

impl GuestRecord {
    /// Creates the record of a guest whose data have not been changed yet.
    pub fn new(
        id: SessionId,
        secret_hash: SecretHash,
        data: impl Into<String>,
        expires_at: Timestamp,
    ) -> Self {
        Self { id, secret_hash, data: data.into(), data_revision: 0, expires_at }
    }
}

/// The state of a session that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SessionState {
    /// Within its active period: using it writes nothing.
    Active,
    /// Past its active period: using it renews it.
    Idle,
}

#[cfg(test)]
pub(crate) mod test_record {
    use super::*;

    /// A session of user 1 with this number as its id, created then, that expires at these times:
    /// the ends of its active period, of its idle timeout and of its absolute timeout.
    pub(crate) fn record(number: u8, created_at: Timestamp, ends: [Timestamp; 3]) -> SessionRecord {
        let (id, hash) =
            (SessionId::from_bytes([number; 16]), SecretHash::from_bytes([number; 32]));
        let [active_expires_at, idle_expires_at, absolute_expires_at] = ends;
        let record = SessionRecord::new(id, hash, 1_i64, created_at);
        SessionRecord { active_expires_at, idle_expires_at, absolute_expires_at, ..record }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rotation_round_trips_and_debug_shows_only_its_time(
            previous: [u8; 32],
            salt: [u8; 32],
            millis: i64,
        ) {
            let rotation = Rotation {
                previous: SecretHash::from_bytes(previous),
                salt,
                rotated_at: Timestamp::from_millis(millis),
            };
            let bytes = rotation.to_bytes();
            prop_assert_eq!(&bytes[..32], &previous);
            prop_assert_eq!(&bytes[64..], millis.to_be_bytes());
            prop_assert_eq!(Rotation::from_bytes(&bytes), rotation);
            let shown = format!("Rotation {{ rotated_at: Timestamp({millis}), .. }}");
            prop_assert_eq!(format!("{rotation:?}"), shown);
        }

        #[test]
        fn periods_round_trip(active in 0..=i64::MAX, idle in 0..=i64::MAX) {
            prop_assert_eq!(Periods::from_millis(active, idle).to_millis(), (active, idle));
        }
    }
}
