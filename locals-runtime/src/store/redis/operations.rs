//! What the operations of the store are made of.

use super::store::{Confirmation, RedisStore};
use super::{
    connection::Node,
    record::{self, GRACE, MAX_TIME_TO_LIVE},
    scripts,
};
use crate::model::{
    error::StoreError,
    record::{GuestRecord, SessionRecord},
    session_id::SessionId,
    time::{Timestamp, millis},
    user_id::UserId,
};
use crate::store::{End, Ends, GuestChange, SessionStore};
use ::redis::Cmd;
use futures_util::future::join_all;

/// How many commands are under way at once for one operation.
pub(super) const MAX_CONCURRENT: usize = 100;

impl RedisStore {
    pub(super) async fn value(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let value = self.get(self.session_key(id)).await?;
        value.map(|value| record::read(id, &value)).transpose()
    }

    /// A session without its data.
    pub(super) async fn head(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let head = script(scripts::GET_WITHOUT_DATA, &self.session_key(id));
        let value: Option<Vec<u8>> = self.connection.read(&head).await?;
        value.map(|value| record::read(id, &value)).transpose()
    }

    pub(super) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection.read(::redis::cmd("GET").arg(key)).await
    }

    /// The ids in the index of a user: of all their sessions, and of some that are no more.
    pub(super) async fn index(&self, user: &UserId) -> Result<Vec<SessionId>, StoreError> {
        let mut range = ::redis::cmd("ZRANGE");
        range.arg(self.index_key(user)).arg(0).arg(-1);
        let ids: Vec<String> = self.connection.read(&range).await?;
        let id = |id: String| id.parse().map_err(|_| unreadable_index(user));
        ids.into_iter().map(id).collect()
    }

    /// Puts a session into the index of its user, for as long as it may exist and a bit longer:
    /// in a cluster the two have different clocks.
    pub(super) async fn enter(
        &self,
        user: &UserId,
        id: SessionId,
        exists: i64,
    ) -> Result<(), StoreError> {
        let mut enter = script(scripts::ADD_TO_INDEX, &self.index_key(user));
        enter.arg(id.to_string()).arg(exists.saturating_add(GRACE).min(MAX_TIME_TO_LIVE));
        self.connection.query(&enter).await
    }

    /// Takes ended sessions out of the index of their user.
    ///
    /// They are gone in any case, and a list leaves them out; so it is no error if this fails.
    pub(super) async fn leave(&self, user: &UserId, ids: &[SessionId]) {
        if ids.is_empty() {
            return;
        }
        let mut remove = ::redis::cmd("ZREM");
        remove.arg(self.index_key(user));
        for id in ids {
            remove.arg(id.to_string());
        }
        if let Err(error) = self.connection.query::<()>(&remove).await {
            tracing::debug!(%error, "the index of a user keeps sessions that have ended");
        }
    }

    /// Puts a guest into the index of all guests. `how` is that of the script.
    pub(super) async fn enter_guest(
        &self,
        guest: &GuestRecord,
        how: &str,
    ) -> Result<(), StoreError> {
        let mut enter = script(scripts::ADD_GUEST_TO_INDEX, &self.guests_key());
        enter
            .arg(guest.id.to_string())
            .arg(guest.expires_at.as_millis())
            .arg(record::guest_time_to_live(guest))
            .arg(how);
        self.connection.query(&enter).await
    }

    /// Takes guests that were deleted out of the index. They are gone in any case: if this fails, they are
    /// counted until their time has passed.
    pub(super) async fn leave_guests(&self, ids: &[&str]) {
        if ids.is_empty() {
            return;
        }
        let mut remove = ::redis::cmd("ZREM");
        remove.arg(self.guests_key()).arg(ids);
        if let Err(error) = self.connection.query::<()>(&remove).await {
            tracing::debug!(%error, "the index of the guests keeps some that have ended");
        }
    }

    /// Waits until enough replicas know that a session has ended.
    ///
    /// The end is written again on the connection that waits, because `WAIT` speaks of the writes
    /// of its own connection. So it holds as well if another server has become the primary since
    /// the session was deleted.
    pub(super) async fn confirm(&self, id: SessionId) -> Result<(), StoreError> {
        let Some(confirmation) = &self.confirmation else {
            return Ok(());
        };
        let &Confirmation { replicas, timeout, .. } = confirmation;
        let mut end_and_wait = ::redis::pipe();
        end_and_wait
            .add_command(script(scripts::WRITE_AND_DELETE, &self.session_key(id)))
            .ignore()
            .cmd("WAIT")
            .arg(replicas)
            .arg(millis(timeout));
        let (confirmed,): (u32,) = confirmation.connection.pipeline(&end_and_wait).await?;
        if confirmed < replicas {
            return Err(StoreError::backend(format!(
                "the session has ended, but {confirmed} of {replicas} replicas have confirmed it \
                 within {timeout:?}"
            )));
        }
        Ok(())
    }

    /// Ends a session unless it is another user's: 1, 0 if there is none, -1 if it is another's.
    pub(super) async fn end_of_user(&self, user: &str, id: SessionId) -> Result<i8, StoreError> {
        let mut end = script(scripts::DELETE_OF_USER, &self.session_key(id));
        self.connection.query(end.arg(user)).await
    }

    /// Stores a value under a key that is free.
    pub(super) async fn set_new(
        &self,
        key: String,
        value: String,
        exists: i64,
    ) -> Result<(), StoreError> {
        let mut set = ::redis::cmd("SET");
        set.arg(key).arg(value).arg("NX").arg("PX").arg(exists);
        let is_set: bool = self.connection.query(&set).await?;
        if is_set { Ok(()) } else { Err(StoreError::Collision) }
    }

    /// Runs a script that changes a value; says whether it did.
    pub(super) async fn change(
        &self,
        script: &Cmd,
        what: &str,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        match self.connection.query(script).await? {
            -1_i8 => Err(record::unreadable(what, id)),
            done => Ok(done == 1),
        }
    }

    /// Ends what ends with the creation of a session; `false` if one of those whose data are taken
    /// over has changed. Nothing else has ended then. Then, and after a fault, a guest is put back.
    pub(super) async fn end_all(&self, ends: Ends<'_>) -> Result<bool, StoreError> {
        let before = match ends.guest {
            Some(change) => {
                let Some(before) = self.overwrite_guest(change).await? else {
                    return Ok(false);
                };
                Some((before, change.record.data_revision))
            }
            None => None,
        };
        let ended = self.end_sessions(ends.sessions).await;
        if let (Some((guest, replaces)), Ok(false) | Err(_)) = (before, &ended) {
            self.put_back(&guest, replaces).await;
        }
        ended
    }

    /// Overwrites a guest if their data have the revision that was read; gives what was there.
    pub(super) async fn overwrite_guest(
        &self,
        change: GuestChange<'_>,
    ) -> Result<Option<GuestRecord>, StoreError> {
        let before = self.find_guest(change.record.id).await?;
        let Some(before) = before.filter(|guest| guest.data_revision == change.replaces) else {
            return Ok(None);
        };
        // Where the revision is still that one, so is all the rest.
        let is_written = self.write_guest(change.record, Some(change.replaces)).await?;
        Ok(is_written.then_some(before))
    }

    /// Ends these sessions, those first that are named with the revision of their data; `false`, and no
    /// other has ended, if one of them has another.
    pub(super) async fn end_sessions(&self, sessions: &[End]) -> Result<bool, StoreError> {
        for end in sessions {
            let Some(revision) = end.data_revision else { continue };
            let mut unchanged = script(scripts::DELETE_IF_UNCHANGED, &self.session_key(end.id));
            let ended: Option<Vec<u8>> = self.connection.query(unchanged.arg(revision)).await?;
            let Some(value) = ended else { return Ok(false) };
            self.has_deleted(end.id, &value).await?;
        }
        for end in sessions.iter().filter(|end| end.data_revision.is_none()) {
            self.delete(end.id).await?;
        }
        Ok(true)
    }

    /// Puts a guest back who was overwritten a moment ago, by data of this revision.
    pub(super) async fn put_back(&self, guest: &GuestRecord, replaces: i64) {
        match self.write_guest(guest, Some(replaces)).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!("a guest has ended during a login that was refused"),
            Err(error) => {
                tracing::warn!(%error, "a login that was refused has lost the data of a guest");
            }
        }
    }

    /// What follows the deletion of a session that had this value.
    pub(super) async fn has_deleted(&self, id: SessionId, value: &[u8]) -> Result<(), StoreError> {
        self.confirm(id).await?;
        // One that cannot be read is deleted as well.
        if let Ok(session) = record::read(id, value) {
            self.leave(&session.user_id, &[id]).await;
        }
        Ok(())
    }

    /// Ends at most so many sessions or guests of a node that have ended at `now`, by a walk over
    /// its keys; says how many.
    pub(super) async fn sweep(
        &self,
        node: &Node,
        now: Timestamp,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let pattern = record::pattern(&self.prefix);
        let (mut left, mut cursor) = (limit, 0);
        while left > 0 {
            let (next, keys) = self.connection.walk(node, cursor, &pattern).await?;
            let mut keys = &keys[..];
            while left > 0 && !keys.is_empty() {
                let at_once =
                    keys.len().min(MAX_CONCURRENT).min(left.try_into().unwrap_or(MAX_CONCURRENT));
                let (some, others) = keys.split_at(at_once);
                left -= self.end_expired(some, now).await?;
                keys = others;
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        Ok(limit - left)
    }

    /// Ends those of these sessions and guests that have ended at `now`; says how many.
    pub(super) async fn end_expired(
        &self,
        keys: &[String],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let ends = keys.iter().map(|key| async move {
            let mut end = script(scripts::DELETE_IF_EXPIRED, key);
            self.connection.query::<u64>(end.arg(now.as_millis())).await
        });
        let ended = join_all(ends).await;
        let guests = keys.iter().zip(&ended).filter(|(_, ended)| matches!(ended, Ok(1)));
        let guests = guests.filter_map(|(key, _)| record::guest_of_key(&self.prefix, key));
        self.leave_guests(&guests.collect::<Vec<_>>()).await;
        ended.into_iter().sum()
    }
}

/// A script on one key, to which its arguments are added.
pub(super) fn script(source: &str, key: &str) -> Cmd {
    let mut script = ::redis::cmd("EVAL");
    script.arg(source).arg(1).arg(key);
    script
}

pub(super) fn unreadable_index(user: &UserId) -> StoreError {
    StoreError::Corrupt(format!("the index of the user {user} in Redis"))
}
