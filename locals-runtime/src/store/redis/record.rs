//! What Redis holds of a session and of a user: names of keys, and the value of a session.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::StoreError,
    session::SessionRecord,
    token::{SecretHash, SessionId},
    user::UserId,
};

/// How long a session that has ended stays in Redis.
///
/// Whether a session has ended is for the app's clock to say. Redis only tidies up, and must not
/// be the faster of the two: its clock may be ahead, or be set.
pub(super) const GRACE: i64 = 60 * 60 * 1_000;

/// No key lives longer: a time that Redis can still add to its own without an overflow.
pub(super) const LONGEST: i64 = 100_000_000_000_000;

/// The key of a session.
pub(super) fn session_key(prefix: &str, id: SessionId) -> String {
    format!("{prefix}s:{id}")
}

/// The key of the index of a user's sessions.
pub(super) fn index_key(prefix: &str, user: &UserId) -> String {
    format!("{prefix}u:{}", user_text(user))
}

/// The pattern that all keys of sessions match, and no others.
pub(super) fn session_pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for character in prefix.chars() {
        if "*?[]\\".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "s:*"
}

/// The id of a user with its kind: ids that differ have texts that differ.
pub(super) fn user_text(user: &UserId) -> String {
    match user {
        UserId::Integer(id) => format!("i:{id}"),
        UserId::Uuid(id) => format!("u:{id}"),
        UserId::Text(id) => format!("t:{id}"),
    }
}

fn read_user(text: &str) -> Option<UserId> {
    match text.split_once(':')? {
        ("i", id) => id.parse().ok().map(UserId::Integer),
        ("u", id) => id.parse().ok().map(UserId::Uuid),
        ("t", id) => Some(UserId::Text(id.to_owned())),
        _ => None,
    }
}

/// For how many milliseconds Redis keeps a session that is created now.
pub(super) fn time_to_live(session: &SessionRecord) -> i64 {
    let left = session.idle_expires_at.since(session.created_at);
    millis(left).saturating_add(GRACE).min(LONGEST)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The part of a session that never changes, as JSON.
#[derive(Serialize, Deserialize)]
struct Constant {
    secret_hash: String,
    user: String,
    created_at: i64,
    authenticated_at: i64,
    absolute_expires_at: i64,
    user_agent: Option<String>,
    address: Option<String>,
}

/// The value of a session: the two expiries that a renewal moves, and the rest as JSON.
///
/// The scripts read the expiries, and the user in the JSON; they never write the JSON.
pub(super) fn write(session: &SessionRecord) -> Result<String, StoreError> {
    let constant = Constant {
        secret_hash: URL_SAFE_NO_PAD.encode(session.secret_hash.as_bytes()),
        user: user_text(&session.user_id),
        created_at: session.created_at.as_millis(),
        authenticated_at: session.authenticated_at.as_millis(),
        absolute_expires_at: session.absolute_expires_at.as_millis(),
        user_agent: session.user_agent.clone(),
        address: session.address.clone(),
    };
    let constant = serde_json::to_string(&constant).map_err(StoreError::backend)?;
    let active = session.active_expires_at.as_millis();
    let idle = session.idle_expires_at.as_millis();
    Ok(format!("{active} {idle} {constant}"))
}

pub(super) fn read(id: SessionId, value: &[u8]) -> Result<SessionRecord, StoreError> {
    // The value is not in the message: it may hold anything.
    read_value(id, value)
        .ok_or_else(|| StoreError::Corrupt(format!("the value of the session {id} in Redis")))
}

fn read_value(id: SessionId, value: &[u8]) -> Option<SessionRecord> {
    let (active, rest) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let (idle, constant) = rest.split_once(' ')?;
    let constant: Constant = serde_json::from_str(constant).ok()?;
    let secret_hash = URL_SAFE_NO_PAD.decode(constant.secret_hash).ok()?;
    Some(SessionRecord {
        id,
        secret_hash: SecretHash::from_bytes(secret_hash.try_into().ok()?),
        user_id: read_user(&constant.user)?,
        created_at: Timestamp::from_millis(constant.created_at),
        authenticated_at: Timestamp::from_millis(constant.authenticated_at),
        active_expires_at: Timestamp::from_millis(active.parse().ok()?),
        idle_expires_at: Timestamp::from_millis(idle.parse().ok()?),
        absolute_expires_at: Timestamp::from_millis(constant.absolute_expires_at),
        user_agent: constant.user_agent,
        address: constant.address,
    })
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
        fn a_session_reads_back_as_written(
            id: [u8; 16],
            secret_hash: [u8; 32],
            user_id in users(),
            times: [i64; 5],
            user_agent: Option<String>,
            address: Option<String>,
        ) {
            let [created_at, authenticated_at, active, idle, absolute] =
                times.map(Timestamp::from_millis);
            let session = SessionRecord {
                id: SessionId::from_bytes(id),
                secret_hash: SecretHash::from_bytes(secret_hash),
                user_id,
                created_at,
                authenticated_at,
                active_expires_at: active,
                idle_expires_at: idle,
                absolute_expires_at: absolute,
                user_agent,
                address,
            };
            let value = write(&session).unwrap();
            prop_assert_eq!(read(session.id, value.as_bytes()).ok(), Some(session.clone()));
            prop_assert!(read(session.id, &value.as_bytes()[..value.len() - 1]).is_err());
            prop_assert!((GRACE..=LONGEST).contains(&time_to_live(&session)));
        }

        #[test]
        fn what_is_no_session_is_refused(value: Vec<u8>) {
            prop_assert!(read(SessionId::from_bytes([7; 16]), &value).is_err());
        }

        #[test]
        fn different_users_have_different_texts(one in users(), other in users()) {
            prop_assert_eq!(user_text(&one) == user_text(&other), one == other);
        }
    }
}
