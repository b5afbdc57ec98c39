//! The building blocks of the operations of the store.

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

/// The maximum number of concurrent commands of one operation.
pub(super) const MAX_CONCURRENT: usize = 100;

impl RedisStore {
    pub(super) async fn value(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let value = self.get(self.session_key(id)).await?;
        value.map(|value| record::read(id, &value)).transpose()
    }

    /// Reads a session without its data.
    pub(super) async fn head(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let head = script(scripts::GET_WITHOUT_DATA, &self.session_key(id));
        let value: Option<Vec<u8>> = self.connection.read(&head).await?;
        value.map(|value| record::read(id, &value)).transpose()
    }

    pub(super) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection.read(::redis::cmd("GET").arg(key)).await
    }

    /// Returns the ids in the index of a user: those of all their sessions, and perhaps of some that no
    /// longer exist.
    pub(super) async fn index(&self, user: &UserId) -> Result<Vec<SessionId>, StoreError> {
        let mut range = ::redis::cmd("ZRANGE");
        range.arg(self.index_key(user)).arg(0).arg(-1);
        let ids: Vec<String> = self.connection.read(&range).await?;
        let id = |id: String| id.parse().map_err(|_| unreadable_index(user));
        ids.into_iter().map(id).collect()
    }

    /// Adds a session to the index of its user, for as long as it may exist and a little longer, because
    /// in a cluster the two keys may be on nodes with different clocks.
    pub(super) async fn add_to_index(
        &self,
        user: &UserId,
        id: SessionId,
        exists: i64,
    ) -> Result<(), StoreError> {
        let mut add = script(scripts::ADD_TO_INDEX, &self.index_key(user));
        add.arg(id.to_string()).arg(exists.saturating_add(GRACE).min(MAX_TIME_TO_LIVE));
        self.connection.query(&add).await
    }

    /// Removes ended sessions from the index of their user.
    ///
    /// A failure is only logged: the sessions have ended in any case, and lists leave them out.
    pub(super) async fn remove_from_index(&self, user: &UserId, ids: &[SessionId]) {
        if ids.is_empty() {
            return;
        }
        let mut remove = ::redis::cmd("ZREM");
        remove.arg(self.index_key(user));
        for id in ids {
            remove.arg(id.to_string());
        }
        if let Err(error) = self.connection.query::<()>(&remove).await {
            tracing::debug!(%error, "ended sessions could not be removed from the index of their user");
        }
    }

    /// Adds a guest to the index of all guests. `mode` is the `ZADD` mode of the script.
    pub(super) async fn add_guest_to_index(
        &self,
        guest: &GuestRecord,
        mode: &str,
    ) -> Result<(), StoreError> {
        let mut add = script(scripts::ADD_GUEST_TO_INDEX, &self.guests_key());
        add.arg(guest.id.to_string())
            .arg(guest.expires_at.as_millis())
            .arg(record::guest_time_to_live(guest))
            .arg(mode);
        self.connection.query(&add).await
    }

    /// Removes deleted guests from the index. A failure is only logged: the guests are then counted until
    /// they would have expired.
    pub(super) async fn remove_guests_from_index(&self, ids: &[&str]) {
        if ids.is_empty() {
            return;
        }
        let mut remove = ::redis::cmd("ZREM");
        remove.arg(self.guests_key()).arg(ids);
        if let Err(error) = self.connection.query::<()>(&remove).await {
            tracing::debug!(%error, "deleted guests could not be removed from the index of guests");
        }
    }

    /// Waits until enough replicas have confirmed that a session has ended.
    ///
    /// The deletion is written again on the waiting connection, because `WAIT` applies to the writes of
    /// its own connection. So it also holds if another server has become the primary since the session
    /// was deleted.
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
                "the session has ended, but only {confirmed} of {replicas} replicas have confirmed \
                 it within {timeout:?}"
            )));
        }
        Ok(())
    }

    /// Deletes a session if it belongs to this user. Returns 1; 0 if there is no such session; -1 if it
    /// belongs to another user.
    pub(super) async fn delete_of_user(&self, user: &str, id: SessionId) -> Result<i8, StoreError> {
        let mut end = script(scripts::DELETE_OF_USER, &self.session_key(id));
        self.connection.query(end.arg(user)).await
    }

    /// Stores a value under a new key.
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

    /// Runs a script that changes a value. Returns whether it did.
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

    /// Ends the sessions and overwrites the guest named by the creation of a session. Returns `false` if
    /// the data of one of those that are taken over have changed. In that case, and after an error, the
    /// guest is restored.
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
            self.restore_guest(&guest, replaces).await;
        }
        ended
    }

    /// Overwrites a guest if its data still have the revision that was read. Returns the previous record.
    pub(super) async fn overwrite_guest(
        &self,
        change: GuestChange<'_>,
    ) -> Result<Option<GuestRecord>, StoreError> {
        let before = self.find_guest(change.record.id).await?;
        let Some(before) = before.filter(|guest| guest.data_revision == change.replaces) else {
            return Ok(None);
        };
        // If the write finds the same revision, the record that was read is still the stored one.
        let is_written = self.write_guest(change.record, Some(change.replaces)).await?;
        Ok(is_written.then_some(before))
    }

    /// Ends these sessions, first those named with the revision of their data. If one of these has another
    /// revision, stops and returns `false`.
    pub(super) async fn end_sessions(&self, sessions: &[End]) -> Result<bool, StoreError> {
        for end in sessions {
            let Some(revision) = end.data_revision else { continue };
            let mut unchanged = script(scripts::DELETE_IF_UNCHANGED, &self.session_key(end.id));
            let ended: Option<Vec<u8>> = self.connection.query(unchanged.arg(revision)).await?;
            let Some(value) = ended else { return Ok(false) };
            self.after_delete(end.id, &value).await?;
        }
        for end in sessions.iter().filter(|end| end.data_revision.is_none()) {
            self.delete(end.id).await?;
        }
        Ok(true)
    }

    /// Restores a guest that was just overwritten with data of this revision.
    pub(super) async fn restore_guest(&self, guest: &GuestRecord, replaces: i64) {
        match self.write_guest(guest, Some(replaces)).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!("a guest ended during a login that was refused"),
            Err(error) => {
                tracing::warn!(%error, "the data of a guest were lost by a login that was refused");
            }
        }
    }

    /// Completes the deletion of a session that had this value: waits for the replicas and updates the
    /// index.
    pub(super) async fn after_delete(&self, id: SessionId, value: &[u8]) -> Result<(), StoreError> {
        self.confirm(id).await?;
        // An unreadable session has been deleted as well, but its user is unknown.
        if let Ok(session) = record::read(id, value) {
            self.remove_from_index(&session.user_id, &[id]).await;
        }
        Ok(())
    }

    /// Deletes at most `limit` sessions and guests of a node that have expired at `now`, by a scan of its
    /// keys. Returns how many.
    pub(super) async fn sweep(
        &self,
        node: &Node,
        now: Timestamp,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let pattern = record::pattern(&self.prefix);
        let (mut left, mut cursor) = (limit, 0);
        while left > 0 {
            let (next, keys) = self.connection.scan(node, cursor, &pattern).await?;
            let mut keys = &keys[..];
            while left > 0 && !keys.is_empty() {
                let batch =
                    keys.len().min(MAX_CONCURRENT).min(left.try_into().unwrap_or(MAX_CONCURRENT));
                let (some, others) = keys.split_at(batch);
                left -= self.delete_expired_keys(some, now).await?;
                keys = others;
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        Ok(limit - left)
    }

    /// Deletes those of these sessions and guests that have expired at `now`. Returns how many.
    pub(super) async fn delete_expired_keys(
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
        self.remove_guests_from_index(&guests.collect::<Vec<_>>()).await;
        ended.into_iter().sum()
    }
}

/// Returns the command that runs a script on one key. The caller adds the arguments.
pub(super) fn script(source: &str, key: &str) -> Cmd {
    let mut script = ::redis::cmd("EVAL");
    script.arg(source).arg(1).arg(key);
    script
}

pub(super) fn unreadable_index(user: &UserId) -> StoreError {
    StoreError::Corrupt(format!("the index of the user {user} in Redis"))
}
