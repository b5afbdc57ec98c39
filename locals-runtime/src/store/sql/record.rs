//! Converts sessions and guests to and from rows.

use sqlx::error::BoxDynError;

use crate::{
    model::{
        error::StoreError,
        hashes::{CredentialHash, SecretHash},
        record::{GuestRecord, Periods, Rotation, SessionRecord, SessionTimes, TokenChange},
        session_id::SessionId,
        time::Timestamp,
        user::AuthUser,
        user_id::UserKey,
    },
    store::sql::driver::{Dialect, Value},
};

pub fn integer(number: i64) -> Value<'static> {
    Value::Integer(Some(number))
}

pub fn time(time: Timestamp) -> Value<'static> {
    integer(time.as_millis())
}

pub fn id_value(id: &SessionId) -> Value<'_> {
    Value::Bytes(Some(id.as_bytes()))
}

pub fn credential_value(credential: Option<&CredentialHash>) -> Value<'_> {
    Value::Bytes(credential.map(|credential| &credential.as_bytes()[..]))
}

pub fn hash_value(hash: &SecretHash) -> Value<'_> {
    Value::Bytes(Some(hash.as_bytes()))
}

/// Returns the columns of a session in the order of every `INSERT` of the dialects.
pub fn record_values<'a>(session: &'a SessionRecord, user: Value<'a>) -> Vec<Value<'a>> {
    let (active, idle) = session.periods.map(Periods::to_millis).unzip();
    vec![
        hash_value(&session.secret_hash),
        user,
        time(session.created_at),
        time(session.authenticated_at),
        time(session.active_expires_at),
        time(session.idle_expires_at),
        time(session.absolute_expires_at),
        Value::Text(session.user_agent.as_deref()),
        Value::Text(session.address.as_deref()),
        time(session.renewed_at),
        Value::Integer(active),
        Value::Integer(idle),
        integer(session.is_persistent.into()),
        Value::Bytes(session.actor_session.as_ref().map(|id| &id.as_bytes()[..])),
        Value::Text(session.data.as_deref()),
        integer(session.data_revision),
        Value::Rotation(session.rotation.as_ref()),
        credential_value(session.credential.as_ref()),
        id_value(&session.id),
    ]
}

/// Returns the parameters of every `change_token` of the dialects, in order.
pub fn token_values<'a>(id: &'a SessionId, change: &'a TokenChange) -> [Value<'a>; 6] {
    [
        hash_value(&change.secret_hash),
        Value::Rotation(change.rotation.as_ref()),
        time(change.authenticated_at),
        credential_value(change.credential.as_ref()),
        id_value(id),
        hash_value(&change.replaces),
    ]
}

/// Returns the columns of a guest in the order of every `create_guest` of the dialects.
pub fn guest_values(guest: &GuestRecord) -> [Value<'_>; 5] {
    [
        hash_value(&guest.secret_hash),
        Value::Text(Some(&guest.data)),
        integer(guest.data_revision),
        time(guest.expires_at),
        id_value(&guest.id),
    ]
}

/// Reads the session whose columns begin at `first`. If no `id` is given, it is read from the column after
/// them.
pub fn read_record<D: Dialect, T: AuthUser>(
    row: &D::Row,
    first: usize,
    id: Option<SessionId>,
) -> Result<SessionRecord, StoreError> {
    let read = || -> Result<SessionRecord, BoxDynError> {
        let time = |column| D::integer(row, first + column).map(Timestamp::from_millis);
        let (others, id_column) = if D::SQL.is_packed {
            (read_packed::<D>(row, first + 10)?, first + 11)
        } else {
            (read_columns::<D>(row, first + 10)?, first + 18)
        };
        Ok(SessionRecord {
            secret_hash: read_hash::<D>(row, first)?,
            user_id: D::user_id(row, first + 1, T::Id::KIND)?,
            created_at: time(2)?,
            authenticated_at: time(3)?,
            active_expires_at: time(4)?,
            idle_expires_at: time(5)?,
            absolute_expires_at: time(6)?,
            user_agent: D::text(row, first + 7)?,
            address: D::text(row, first + 8)?,
            renewed_at: time(9)?,
            periods: others.periods,
            is_persistent: others.is_persistent,
            actor_session: others.actor_session,
            data: others.data,
            data_revision: others.data_revision,
            rotation: others.rotation,
            credential: others.credential,
            id: match id {
                Some(id) => id,
                None => SessionId::from_bytes(D::bytes(row, id_column)?.try_into()?),
            },
        })
    };
    read().map_err(|error| corrupt(&error))
}

/// Reads the columns of every `list_times_by_user` of the dialects.
pub fn read_times<D: Dialect>(row: &D::Row) -> Result<SessionTimes, StoreError> {
    let read = || -> Result<SessionTimes, BoxDynError> {
        let time = |column| D::integer(row, column).map(Timestamp::from_millis);
        Ok(SessionTimes {
            id: SessionId::from_bytes(D::bytes(row, 0)?.try_into()?),
            created_at: time(1)?,
            renewed_at: time(2)?,
            idle_expires_at: time(3)?,
            absolute_expires_at: time(4)?,
            actor_session: match D::optional_bytes(row, 5)? {
                Some(id) => Some(SessionId::from_bytes(id.try_into()?)),
                None => None,
            },
        })
    };
    read().map_err(|error| corrupt(&error))
}

/// The fields that have their default value in most sessions.
struct Others {
    periods: Option<Periods>,
    is_persistent: bool,
    actor_session: Option<SessionId>,
    data: Option<String>,
    data_revision: i64,
    rotation: Option<Rotation>,
    credential: Option<CredentialHash>,
}

impl Default for Others {
    fn default() -> Self {
        Self {
            periods: None,
            is_persistent: true,
            actor_session: None,
            data: None,
            data_revision: 0,
            rotation: None,
            credential: None,
        }
    }
}

/// Reads these fields from separate columns, beginning at `first`.
fn read_columns<D: Dialect>(row: &D::Row, first: usize) -> Result<Others, BoxDynError> {
    Ok(Others {
        periods: match D::optional_integer(row, first)? {
            Some(active) => Some(Periods::from_millis(active, D::integer(row, first + 1)?)),
            None => None,
        },
        is_persistent: D::integer(row, first + 2)? != 0,
        actor_session: match D::optional_bytes(row, first + 3)? {
            Some(id) => Some(SessionId::from_bytes(id.try_into()?)),
            None => None,
        },
        data: D::text(row, first + 4)?,
        data_revision: D::integer(row, first + 5)?,
        rotation: match D::optional_bytes(row, first + 6)? {
            Some(bytes) => Some(Rotation::from_bytes(bytes.try_into()?)),
            None => None,
        },
        credential: match D::optional_bytes(row, first + 7)? {
            Some(bytes) => Some(CredentialHash::from_bytes(bytes.try_into()?)),
            None => None,
        },
    })
}

/// Reads these fields from the single column that `select_packed!` of the dialects makes.
fn read_packed<D: Dialect>(row: &D::Row, column: usize) -> Result<Others, BoxDynError> {
    D::text(row, column)?.map_or_else(|| Ok(Others::default()), |text| read_others(&text))
}

fn read_others(text: &str) -> Result<Others, BoxDynError> {
    let mut parts = text.splitn(8, ' ');
    let mut part = || parts.next().ok_or("a part of the packed column is missing");
    let mut filled = || part().map(|text| Some(text).filter(|text| !text.is_empty()));
    Ok(Others {
        is_persistent: filled()? != Some("0"),
        periods: match (filled()?, filled()?) {
            (Some(active), Some(idle)) => {
                Some(Periods::from_millis(active.parse()?, idle.parse()?))
            }
            _ => None,
        },
        actor_session: filled()?.map(from_hex).transpose()?.map(SessionId::from_bytes),
        rotation: filled()?.map(from_hex).transpose()?.map(|bytes| Rotation::from_bytes(&bytes)),
        credential: filled()?.map(from_hex).transpose()?.map(CredentialHash::from_bytes),
        data_revision: part()?.parse()?,
        data: part()?.strip_prefix('=').map(str::to_owned),
    })
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], BoxDynError> {
    if text.len() != 2 * N || !text.is_ascii() {
        return Err("wrong number of hexadecimal digits".into());
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16)?;
    }
    Ok(bytes)
}

/// Reads the columns of every `find_guest` of the dialects.
pub fn read_guest<D: Dialect>(row: &D::Row, id: SessionId) -> Result<GuestRecord, StoreError> {
    let read = || -> Result<GuestRecord, BoxDynError> {
        Ok(GuestRecord {
            id,
            secret_hash: read_hash::<D>(row, 0)?,
            data: D::text(row, 1)?.unwrap_or_default(),
            data_revision: D::integer(row, 2)?,
            expires_at: Timestamp::from_millis(D::integer(row, 3)?),
        })
    };
    read().map_err(|error| corrupt(&error))
}

fn read_hash<D: Dialect>(row: &D::Row, column: usize) -> Result<SecretHash, BoxDynError> {
    Ok(SecretHash::from_bytes(D::bytes(row, column)?.try_into()?))
}

fn corrupt(error: &BoxDynError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
