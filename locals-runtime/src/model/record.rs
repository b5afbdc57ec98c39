//! What a store keeps of a session and of a guest, and the changes that it makes to them.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::model::{
    hashes::{CredentialHash, SecretHash},
    session_id::SessionId,
    time::{self, Timestamp},
    user_id::UserId,
};

/// What a store keeps of a session: one row.
///
/// The secret is kept as its hash only, so a copy of the database opens no session.
///
/// A store that reads a row makes a record by [`new`](Self::new) and sets the other fields.
/// Later versions may add fields, which are then `None` or the like until they are set.
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
    /// [`SessionToken::secret_hash`].
    pub secret_hash: SecretHash,
    /// Whose session it is.
    pub user_id: UserId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// When its two periods last began: at its creation, and at each renewal. More than a day before
    /// its creation where that was noted by a clock that was days ahead: its life counts from here then.
    pub renewed_at: Timestamp,
    /// Until when it is active. Moved by renewal.
    pub active_expires_at: Timestamp,
    /// When it is dead unless it is used before. Moved by renewal; never past the absolute end.
    pub idle_expires_at: Timestamp,
    /// When it is dead however much it is used. Never moved.
    pub absolute_expires_at: Timestamp,
    /// Its own active and idle period, where it was logged in with a life of its own; `None` for
    /// those of the app's [`Lifetime`](crate::Lifetime).
    pub periods: Option<Periods>,
    /// Whether the browser keeps the cookie when it is closed.
    pub is_persistent: bool,
    /// The browser that logged in, as its `User-Agent` header said; at most 255 characters.
    pub user_agent: Option<String>,
    /// The network address that logged in.
    pub address: Option<String>,
    /// The session of the member of staff who acts as this user.
    pub actor_session: Option<SessionId>,
    /// The app's data of this session, as JSON text.
    pub data: Option<String>,
    /// How often `data` has been changed. Starts at 0.
    pub data_revision: i64,
    /// The last change of the token, where tokens are rotated.
    pub rotation: Option<Rotation>,
    /// A keyed digest of the user's credential, such as the hash of their password, as it was when
    /// they last proved who they are; `None` where sessions are not bound to it.
    pub credential: Option<CredentialHash>,
}

impl SessionRecord {
    /// A session of a user that was created then, remembered by the browser, with no more than
    /// that: all its times are that of its creation, so that it has ended until its ends are set.
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

/// What of a session says which of a user's sessions are the newest: neither their data nor anything
/// long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTimes {
    /// The public id.
    pub id: SessionId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its two periods last began.
    pub renewed_at: Timestamp,
    /// When it is dead unless it is used before.
    pub idle_expires_at: Timestamp,
    /// When it is dead however much it is used.
    pub absolute_expires_at: Timestamp,
    /// The session of the member of staff who acts as this user.
    pub actor_session: Option<SessionId>,
}

impl SessionTimes {
    /// Those of a session with these ends that has not been renewed, and in which nobody acts but its
    /// user.
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
    /// How long it is used without a write.
    pub active: Duration,
    /// How long after its active period it can still be renewed.
    pub idle: Duration,
}

impl Periods {
    /// An active and an idle period.
    pub fn new(active: Duration, idle: Duration) -> Self {
        Self { active, idle }
    }

    /// The periods of so many milliseconds, as a store keeps them.
    pub fn from_millis(active: i64, idle: i64) -> Self {
        let [active, idle] =
            [active, idle].map(|period| Duration::from_millis(period.try_into().unwrap_or(0)));
        Self { active, idle }
    }

    /// The active and the idle period in whole milliseconds, for a store.
    pub fn to_millis(self) -> (i64, i64) {
        (time::millis(self.active), time::millis(self.idle))
    }
}

/// The last change of a session's token.
///
/// Requests that were sent before the browser had the new token still carry the old one. `Debug`
/// shows the time alone.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The hash of the secret of the token before; that of the token itself where none before it
    /// leads to it.
    pub previous: SecretHash,
    /// What the new token was derived with.
    pub salt: [u8; 32],
    /// When it was changed.
    pub rotated_at: Timestamp,
}

impl Rotation {
    /// A change of the token with this hash, by this salt.
    pub fn new(previous: SecretHash, salt: [u8; 32], rotated_at: Timestamp) -> Self {
        Self { previous, salt, rotated_at }
    }

    /// The change made of these bytes, as a store keeps them.
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

    /// The bytes of the change, for a store: the previous hash, the salt, and the time in
    /// milliseconds, the highest byte first.
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

/// New expiries for one session, and what they were made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renewal {
    /// The end of the active period as it was read. A session that has another one by now has been
    /// renewed by somebody else, and is left as it is.
    pub replaces: Timestamp,
    /// The hash of the token that was used. A session that has another one by now has been given
    /// its new token by somebody else, and is left to who has that.
    pub secret_hash: SecretHash,
    /// The new end of the active period.
    pub active_expires_at: Timestamp,
    /// The new end of the idle period.
    pub idle_expires_at: Timestamp,
    /// When the two periods begin anew.
    pub renewed_at: Timestamp,
}

impl Renewal {
    /// The renewal of a session as it was read, whose times are those that it has until they are
    /// set.
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
    /// The hash as it was read. A session that has another one by now has been given its new
    /// token by somebody else, and is left as it is.
    pub replaces: SecretHash,
    /// The hash of the new token: another one.
    pub secret_hash: SecretHash,
    /// What is to be known of this change; `None` where the old token opens nothing any more.
    pub rotation: Option<Rotation>,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// The digest of the user's credential that the session has from now on; `None` to keep the stored
    /// one, whatever it is by now.
    pub credential: Option<CredentialHash>,
}

impl TokenChange {
    /// A new token for a session as it was read, without a rotation. The rest stays as it is until
    /// it is set.
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
    /// The revision as it was read. Data that have another one by now have been changed by
    /// somebody else, and are left as they are.
    pub replaces: i64,
    /// The new data, as JSON text.
    pub data: String,
}

impl DataChange {
    /// New data in place of those of this revision.
    pub fn new(replaces: i64, data: impl Into<String>) -> Self {
        Self { replaces, data: data.into() }
    }
}

/// What a store keeps of a visitor who has not logged in: one row.
///
/// A store that reads a row makes a record by [`new`](Self::new) and sets the other fields, as
/// with a [`SessionRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestRecord {
    /// The public id: the key.
    pub id: SessionId,
    /// The hash of the token's secret, bound to the table of the users; see
    /// [`SessionToken::secret_hash`].
    pub secret_hash: SecretHash,
    /// The app's data of this visitor, as JSON text.
    pub data: String,
    /// How often `data` has been changed.
    pub data_revision: i64,
    /// When it is dead.
    pub expires_at: Timestamp,
}

impl GuestRecord {
    /// A guest whose data have not been changed yet.
    pub fn new(
        id: SessionId,
        secret_hash: SecretHash,
        data: impl Into<String>,
        expires_at: Timestamp,
    ) -> Self {
        Self { id, secret_hash, data: data.into(), data_revision: 0, expires_at }
    }
}

/// Where a living session stands.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rotation_reads_back_as_written_and_shows_its_time_alone(
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
        fn periods_read_back_as_written(active in 0..=i64::MAX, idle in 0..=i64::MAX) {
            prop_assert_eq!(Periods::from_millis(active, idle).to_millis(), (active, idle));
        }
    }
}
