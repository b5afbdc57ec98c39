//! The implementation of the store contract by Redis.

use super::operations::{MAX_CONCURRENT, script};
use super::store::RedisStore;
use super::{
    record::{self, GRACE, MAX_TIME_TO_LIVE},
    scripts,
};
use crate::model::{
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::{Timestamp, millis},
    user_id::UserId,
};
use crate::store::{Ends, SessionStore, StoreFuture, contract::readable};
use futures_util::future::join_all;

/// # Why every session is in the index of its user
///
/// A session and its index are two keys, on two nodes of a cluster, so no step can change both
/// atomically. This invariant holds at every moment: a session that exists is in the index of its user.
///
/// - The entry is added before the session is created, and expires after the session. When a session is
///   renewed, the entry is extended first.
/// - An entry is removed only after its session has been deleted (ids are random and never reused, so no
///   other session can have it), or when it has expired.
///
/// The entry of a session that does not exist must not be removed as a cleanup: the session may be
/// about to be created.
///
/// So a `delete_by_user` that starts after `create` has returned finds the session in the index and
/// deletes it. One that runs at the same time may miss the session, as if it had been created later; the
/// next call finds it. An operation that is interrupted leaves at most an entry without a session, which
/// lists leave out and which expires.
impl SessionStore for RedisStore {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let exists = record::time_to_live(session);
            self.add_to_index(&session.user_id, session.id, exists).await?;
            self.set_new(self.session_key(session.id), record::write(session)?, exists).await?;
            let ended = self.end_all(ends).await;
            if !matches!(ended, Ok(true))
                && let Err(error) = self.delete(session.id).await
            {
                tracing::warn!(%error, session = %session.id, "the session of a login that failed could not be deleted");
            }
            ended
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(self.value(id))
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let key = self.session_key(id);
            let mut read = ::redis::pipe();
            read.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
            let (value, left): (Option<Vec<u8>>, i64) = self.connection.pipeline(&read).await?;
            let Some(value) = value else {
                return Ok(false);
            };
            let session = record::read(id, &value)?;
            if session.active_expires_at != renewal.replaces
                || session.secret_hash != renewal.secret_hash
            {
                return Ok(false);
            }
            let moved = millis(renewal.idle_expires_at.since(session.idle_expires_at));
            let least = record::time_to_live_of(&renewal);
            let exists = left.max(GRACE).saturating_add(moved).max(least);
            self.add_to_index(&session.user_id, id, exists).await?;
            let mut renew = script(scripts::RENEW, &key);
            renew
                .arg(renewal.replaces.as_millis())
                .arg(renewal.active_expires_at.as_millis())
                .arg(renewal.idle_expires_at.as_millis())
                .arg(renewal.renewed_at.as_millis())
                .arg(least)
                .arg(MAX_TIME_TO_LIVE)
                .arg(record::hash_text(&renewal.secret_hash));
            self.change(&renew, "session", id).await
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut script = script(scripts::CHANGE_TOKEN, &self.session_key(id));
            script.arg(record::hash_text(&change.replaces)).arg(record::changed_token(change));
            self.change(&script, "session", id).await
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut script = script(scripts::WRITE_DATA, &self.session_key(id));
            script.arg(change.replaces).arg(change.replaces.wrapping_add(1)).arg(&change.data);
            self.change(&script, "session", id).await
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let end = script(scripts::DELETE, &self.session_key(id));
            let value: Option<Vec<u8>> = self.connection.query(&end).await?;
            match &value {
                Some(value) => self.after_delete(id, value).await?,
                // It may have been deleted by an attempt that was not confirmed.
                None => self.confirm(id).await?,
            }
            Ok(value.is_some())
        })
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let mut ids = self.index(user).await?;
            ids.retain(|id| Some(*id) != keep);
            let (mut deleted, mut absent) = (Vec::new(), Vec::new());
            let user_text = user.to_text();
            for ids in ids.chunks(MAX_CONCURRENT) {
                let ends = ids.iter().map(|&id| self.delete_of_user(&user_text, id));
                for (&id, ended) in ids.iter().zip(join_all(ends).await) {
                    match ended? {
                        1 => deleted.push(id),
                        0 => absent.push(id),
                        _ => {}
                    }
                }
            }
            // Absent ones too: they may have been deleted by an attempt that was not confirmed.
            for id in deleted.iter().chain(&absent) {
                self.confirm(*id).await?;
            }
            self.remove_from_index(user, &deleted).await;
            Ok(deleted.len() as u64)
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            let mut list = Vec::new();
            for ids in self.index(user).await?.chunks(MAX_CONCURRENT) {
                let found = join_all(ids.iter().map(|&id| self.value(id))).await;
                list.extend(readable(found.into_iter().filter_map(Result::transpose))?);
            }
            // After a `create` that was refused, an entry may have no session, or even the session of
            // another user.
            list.retain(|session| session.user_id == *user);
            list.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
            Ok(list)
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        Box::pin(async move {
            let mut list = Vec::new();
            for ids in self.index(user).await?.chunks(MAX_CONCURRENT) {
                let found = join_all(ids.iter().map(|&id| self.head(id))).await;
                list.extend(readable(found.into_iter().filter_map(Result::transpose))?);
            }
            list.retain(|session| session.user_id == *user);
            Ok(list.iter().map(SessionTimes::from).collect())
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut left = u64::from(limit);
            for node in self.connection.nodes().await? {
                left -= self.sweep(&node, now, left).await?;
            }
            Ok(u64::from(limit) - left)
        })
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        Box::pin(async move {
            let value = self.get(self.guest_key(id)).await?;
            value.map(|value| record::read_guest(id, &value)).transpose()
        })
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let (key, exists) = (self.guest_key(guest.id), record::guest_time_to_live(guest));
            let Some(revision) = replaces else {
                // Added first: if the operation is interrupted in between, a missing guest is counted
                // rather than an existing one missed.
                self.add_guest_to_index(guest, "NX").await?;
                self.set_new(key, record::write_guest(guest), exists).await?;
                return Ok(true);
            };
            let mut script = script(scripts::WRITE_GUEST, &key);
            script
                .arg(revision)
                .arg(guest.data_revision)
                .arg(guest.expires_at.as_millis())
                .arg(&guest.data)
                .arg(exists);
            let is_written = self.change(&script, "guest", guest.id).await?;
            if is_written && let Err(error) = self.add_guest_to_index(guest, "CH").await {
                tracing::debug!(%error, "the index of guests still has the old expiry time of a guest");
            }
            Ok(is_written)
        })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let mut delete = ::redis::cmd("DEL");
            let is_deleted = self.connection.query(delete.arg(self.guest_key(id))).await?;
            self.remove_guests_from_index(&[&id.to_string()]).await;
            Ok(is_deleted)
        })
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut count = script(scripts::COUNT_GUESTS, &self.guests_key());
            self.connection.read(count.arg(now.as_millis()).arg(record::LINGER)).await
        })
    }
}
