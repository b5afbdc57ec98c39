//! The names of keys and the format of values in Redis.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::model::{
    error::StoreError,
    hashes::{CredentialHash, SecretHash},
    record::{GuestRecord, Periods, Renewal, Rotation, SessionRecord, TokenChange},
    session_id::SessionId,
    time::{Timestamp, millis},
    user_id::UserId,
};

/// How long an expired session stays in Redis.
///
/// The app's clock decides whether a session has expired. Redis only cleans up, and must not delete
/// too early, because its clock may be ahead or be set forward.
pub(super) const GRACE: i64 = 60 * 60 * 1_000;

/// How long an expired guest stays in the index of all guests. It is not counted during that time.
pub(super) const LINGER: i64 = 7 * 24 * 60 * 60 * 1_000;

/// The maximum time to live of a key. Redis can add it to its own time without an overflow.
pub(super) const MAX_TIME_TO_LIVE: i64 = 100_000_000_000_000;

/// Returns the key of a session.
pub(super) fn session_key(prefix: &str, id: SessionId) -> String {
    format!("{prefix}s:{id}")
}

/// Returns the key of a guest.
pub(super) fn guest_key(prefix: &str, id: SessionId) -> String {
    format!("{prefix}g:{id}")
}

/// Returns the key of the index of all guests.
pub(super) fn guests_key(prefix: &str) -> String {
    format!("{prefix}guests")
}

/// Returns the id in the key of a guest; `None` for other keys.
pub(super) fn guest_of_key<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(prefix)?.strip_prefix("g:")
}

/// Returns the key of the index of a user's sessions.
pub(super) fn index_key(prefix: &str, user: &UserId) -> String {
    format!("{prefix}u:{}", user.to_text())
}

/// Returns the pattern that matches the keys of all sessions and guests, and no others.
pub(super) fn pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for character in prefix.chars() {
        if "*?[]\\".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "[sg]:*"
}

/// Returns the time to live, in milliseconds, of a session that is created now.
pub(super) fn time_to_live(session: &SessionRecord) -> i64 {
    let left = session.idle_expires_at.since(session.created_at);
    millis(left).saturating_add(GRACE).min(MAX_TIME_TO_LIVE)
}

/// Returns the minimum time to live, in milliseconds, of a session that is renewed now. If the session
/// was created by a clock that was ahead, its idle timeout may move back by more than the key's
/// remaining time to live.
pub(super) fn time_to_live_of(renewal: &Renewal) -> i64 {
    let left = renewal.idle_expires_at.since(renewal.renewed_at);
    millis(left).saturating_add(GRACE).min(MAX_TIME_TO_LIVE)
}

/// Returns the time to live, in milliseconds, of a guest that is written now. The time on the app's
/// clock is not passed in, so this uses the clock of the system. They differ only in tests, which end
/// within the hour of grace.
pub(super) fn guest_time_to_live(guest: &GuestRecord) -> i64 {
    let left = guest.expires_at.since(SystemTime::now().into());
    millis(left).saturating_add(GRACE).min(MAX_TIME_TO_LIVE)
}

/// The fields of a session that never change, stored as JSON.
#[derive(Serialize, Deserialize)]
struct Constant {
    user: String,
    created_at: i64,
    absolute_expires_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    periods: Option<(i64, i64)>,
    is_persistent: bool,
    user_agent: Option<String>,
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor_session: Option<SessionId>,
}

/// Encodes the value of a session. Its parts are separated by spaces, and each is written by one
/// operation:
///
/// 1. the three times that a renewal moves;
/// 2. the revision of the data;
/// 3. the values that a token change replaces: the hash, the time of authentication, and in one word the
///    rotation and the digest of the credential;
/// 4. the fields that never change, as JSON in one line;
/// 5. the data, on all following lines.
///
/// The scripts read the parts that they compare and replace, and the user in the JSON. They never write
/// the JSON.
pub(super) fn write(session: &SessionRecord) -> Result<String, StoreError> {
    let constant = Constant {
        user: session.user_id.to_text(),
        created_at: session.created_at.as_millis(),
        absolute_expires_at: session.absolute_expires_at.as_millis(),
        periods: session.periods.map(Periods::to_millis),
        is_persistent: session.is_persistent,
        user_agent: session.user_agent.clone(),
        address: session.address.clone(),
        actor_session: session.actor_session,
    };
    let constant = serde_json::to_string(&constant).map_err(StoreError::backend)?;
    let active = session.active_expires_at.as_millis();
    let idle = session.idle_expires_at.as_millis();
    let renewed = session.renewed_at.as_millis();
    let revision = session.data_revision;
    let token = changed_token(&TokenChange {
        rotation: session.rotation,
        credential: session.credential,
        ..TokenChange::new(session, session.secret_hash)
    });
    let mut value = format!("{active} {idle} {renewed} {revision} {token} {constant}");
    if let Some(data) = &session.data {
        value.push('\n');
        value.push_str(data);
    }
    Ok(value)
}

/// Encodes the part of the value of a session that a token change replaces.
pub(super) fn changed_token(change: &TokenChange) -> String {
    let rotation = change.rotation.map(|rotation| URL_SAFE_NO_PAD.encode(rotation.to_bytes()));
    let mut word = rotation.unwrap_or_else(|| NO_ROTATION.to_owned());
    if let Some(credential) = change.credential {
        word.push(CREDENTIAL);
        URL_SAFE_NO_PAD.encode_string(credential.as_bytes(), &mut word);
    }
    format!("{} {} {word}", hash_text(&change.secret_hash), change.authenticated_at.as_millis())
}

/// The placeholder for a missing rotation.
const NO_ROTATION: &str = "-";

/// The separator between the rotation and the digest of the credential. Without a digest both are left
/// out, as in values of versions without credentials.
const CREDENTIAL: char = '.';

/// Encodes the hash of a secret.
pub(super) fn hash_text(hash: &SecretHash) -> String {
    URL_SAFE_NO_PAD.encode(hash.as_bytes())
}

pub(super) fn read(id: SessionId, value: &[u8]) -> Result<SessionRecord, StoreError> {
    read_value(id, value).ok_or_else(|| unreadable("session", id))
}

/// Returns the error for a value that cannot be read. It does not contain the value, which may be private.
pub(super) fn unreadable(what: &str, id: SessionId) -> StoreError {
    StoreError::Corrupt(format!("the value of the {what} {id} in Redis"))
}

fn read_value(id: SessionId, value: &[u8]) -> Option<SessionRecord> {
    let mut parts = std::str::from_utf8(value).ok()?.splitn(8, ' ');
    let active_expires_at = read_time(parts.next()?)?;
    let idle_expires_at = read_time(parts.next()?)?;
    let renewed_at = read_time(parts.next()?)?;
    let data_revision = parts.next()?.parse().ok()?;
    let secret_hash = read_hash(parts.next()?)?;
    let authenticated_at = read_time(parts.next()?)?;
    let word = parts.next()?;
    let (rotation, credential) = word
        .split_once(CREDENTIAL)
        .map_or((word, None), |(rotation, credential)| (rotation, Some(credential)));
    let rotation = match rotation {
        NO_ROTATION => None,
        rotation => Some(Rotation::from_bytes(&read_bytes(rotation)?)),
    };
    let credential = match credential {
        None => None,
        Some(credential) => Some(CredentialHash::from_bytes(read_bytes(credential)?)),
    };
    let rest = parts.next()?;
    let (constant, data) =
        rest.split_once('\n').map_or((rest, None), |(constant, data)| (constant, Some(data)));
    let constant: Constant = serde_json::from_str(constant).ok()?;
    Some(SessionRecord {
        id,
        secret_hash,
        user_id: UserId::from_text(&constant.user)?,
        created_at: Timestamp::from_millis(constant.created_at),
        authenticated_at,
        renewed_at,
        active_expires_at,
        idle_expires_at,
        absolute_expires_at: Timestamp::from_millis(constant.absolute_expires_at),
        periods: constant.periods.map(|(active, idle)| Periods::from_millis(active, idle)),
        is_persistent: constant.is_persistent,
        user_agent: constant.user_agent,
        address: constant.address,
        actor_session: constant.actor_session,
        data: data.map(str::to_owned),
        data_revision,
        rotation,
        credential,
    })
}

/// Encodes the value of a guest: the revision of its data, its expiry time, the hash of its secret, and
/// its data. The expiry time is at the same position as the idle timeout of a session, so that one script
/// can delete both.
pub(super) fn write_guest(guest: &GuestRecord) -> String {
    let GuestRecord { data, data_revision, expires_at, .. } = guest;
    format!("{data_revision} {} {} {data}", expires_at.as_millis(), hash_text(&guest.secret_hash))
}

pub(super) fn read_guest(id: SessionId, value: &[u8]) -> Result<GuestRecord, StoreError> {
    read_guest_value(id, value).ok_or_else(|| unreadable("guest", id))
}

fn read_guest_value(id: SessionId, value: &[u8]) -> Option<GuestRecord> {
    let mut parts = std::str::from_utf8(value).ok()?.splitn(4, ' ');
    Some(GuestRecord {
        id,
        data_revision: parts.next()?.parse().ok()?,
        expires_at: read_time(parts.next()?)?,
        secret_hash: read_hash(parts.next()?)?,
        data: parts.next()?.to_owned(),
    })
}

fn read_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_millis)
}

fn read_hash(text: &str) -> Option<SecretHash> {
    read_bytes(text).map(SecretHash::from_bytes)
}

fn read_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn users() -> impl Strategy<Value = UserId> {
        prop_oneof![
            any::<i64>().prop_map(UserId::Integer),
            any::<u128>().prop_map(|id| UserId::Uuid(Uuid::from_u128(id))),
            any::<String>().prop_map(UserId::Text),
            any::<i64>().prop_map(|id| UserId::Text(id.to_string())),
        ]
    }

    proptest! {
        #[test]
        fn a_session_round_trips(
            id: [u8; 16],
            secret_hash: [u8; 32],
            user_id in users(),
            times: [i64; 7],
            periods in prop::option::of((0..i64::MAX, 0..i64::MAX)),
            is_persistent: bool,
            texts: [Option<String>; 3],
            actor_session: Option<[u8; 16]>,
            data_revision: i64,
            rotation: Option<([u8; 32], [u8; 32])>,
            credential: Option<[u8; 32]>,
        ) {
            let [created_at, authenticated_at, renewed_at, active, idle, absolute, rotated_at] =
                times.map(Timestamp::from_millis);
            let [user_agent, address, data] = texts;
            let session = SessionRecord {
                id: SessionId::from_bytes(id),
                secret_hash: SecretHash::from_bytes(secret_hash),
                user_id,
                created_at,
                authenticated_at,
                renewed_at,
                active_expires_at: active,
                idle_expires_at: idle,
                absolute_expires_at: absolute,
                periods: periods.map(|(active, idle)| Periods::from_millis(active, idle)),
                is_persistent,
                user_agent,
                address,
                actor_session: actor_session.map(SessionId::from_bytes),
                data,
                data_revision,
                rotation: rotation.map(|(previous, salt)| Rotation {
                    previous: SecretHash::from_bytes(previous),
                    salt,
                    rotated_at,
                }),
                credential: credential.map(CredentialHash::from_bytes),
            };
            let value = write(&session).unwrap();
            prop_assert_eq!(read(session.id, value.as_bytes()).ok(), Some(session.clone()));
            let (head, _) = value.split_once('}').unwrap();
            prop_assert!(read(session.id, head.as_bytes()).is_err(), "truncated JSON is refused");
            prop_assert!((GRACE..=MAX_TIME_TO_LIVE).contains(&time_to_live(&session)));
        }

        #[test]
        fn a_session_written_without_a_credential_is_read(rotated: bool) {
            let rotation = if rotated { "A".repeat(96) } else { "-".to_owned() };
            let value = format!(
                "1 2 3 4 {} 5 {rotation} {{\"user\":\"i:7\",\"created_at\":6,\
                 \"absolute_expires_at\":8,\"is_persistent\":true,\"user_agent\":null,\
                 \"address\":null}}",
                "A".repeat(43)
            );
            let session = read(SessionId::from_bytes([7; 16]), value.as_bytes()).unwrap();
            prop_assert_eq!(session.credential, None);
            prop_assert_eq!(session.rotation.is_some(), rotated);
            prop_assert_eq!(write(&session).unwrap(), value, "it is written back unchanged");
        }

        #[test]
        fn a_guest_round_trips(
            id: [u8; 16],
            secret_hash: [u8; 32],
            data: String,
            data_revision: i64,
            expires_at: i64,
        ) {
            let guest = GuestRecord {
                id: SessionId::from_bytes(id),
                secret_hash: SecretHash::from_bytes(secret_hash),
                data,
                data_revision,
                expires_at: Timestamp::from_millis(expires_at),
            };
            let value = write_guest(&guest);
            prop_assert_eq!(read_guest(guest.id, value.as_bytes()).ok(), Some(guest.clone()));
            prop_assert!((GRACE..=MAX_TIME_TO_LIVE).contains(&guest_time_to_live(&guest)));
        }

        #[test]
        fn invalid_values_are_refused(value: Vec<u8>) {
            prop_assert!(read(SessionId::from_bytes([7; 16]), &value).is_err());
            prop_assert!(read_guest(SessionId::from_bytes([7; 16]), &value).is_err());
        }
    }
}
