//! A store in memory, for tests.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Ends, SessionStore, SessionUserStore, StoreFuture};
use crate::model::{
    error::StoreError,
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::Timestamp,
    user::AuthUser,
    user_id::{UserId, UserKey},
};

/// A store that keeps sessions and users in memory, for tests. Its content is lost when the process
/// ends.
///
/// Clones share their content.
///
/// ```
/// use locals::{Auth, AuthUser, store::MemoryStore};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64 }
///
/// let store = MemoryStore::new();
/// store.insert_user(Account { id: 1 });
/// let auth = Auth::<Account>::builder(store).build()?;
/// # Ok::<(), locals::ConfigError>(())
/// ```
pub struct MemoryStore<T>(Arc<Mutex<Content<T>>>);

struct Content<T> {
    sessions: HashMap<SessionId, SessionRecord>,
    guests: HashMap<SessionId, GuestRecord>,
    users: HashMap<UserId, T>,
}

impl<T: AuthUser> MemoryStore<T> {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Content {
            sessions: HashMap::new(),
            guests: HashMap::new(),
            users: HashMap::new(),
        })))
    }

    /// Adds a user, or replaces the one with the same id.
    pub fn insert_user(&self, user: T) {
        self.content().users.insert(user.id().to_user_id(), user);
    }

    /// Removes a user, and their sessions with them.
    pub fn remove_user(&self, id: impl Into<UserId>) {
        let id = id.into();
        let mut content = self.content();
        content.users.remove(&id);
        content.sessions.retain(|_, session| session.user_id != id);
    }

    fn content(&self) -> MutexGuard<'_, Content<T>> {
        // No operation leaves the maps in an inconsistent state, so a poisoned lock can be used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<V: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Content<T>) -> Result<V, StoreError>,
    ) -> StoreFuture<'static, V> {
        Box::pin(std::future::ready(operation(&mut self.content())))
    }
}

impl<T> Content<T> {
    fn find(&self, id: SessionId) -> Option<(&SessionRecord, &T)> {
        let session = self.sessions.get(&id)?;
        Some((session, self.users.get(&session.user_id)?))
    }

    /// Whether none of the data that are taken over have changed since they were read.
    fn allows(&self, ends: Ends<'_>) -> bool {
        let sessions = ends
            .sessions
            .iter()
            .all(|end| end.allows(self.sessions.get(&end.id).map(|session| session.data_revision)));
        let guest = ends.guest.is_none_or(|change| {
            let stored = self.guests.get(&change.record.id);
            stored.is_some_and(|stored| stored.data_revision == change.replaces)
        });
        sessions && guest
    }

    /// Overwrites a guest if its data have this revision. Returns whether it did.
    fn overwrite(&mut self, guest: &GuestRecord, replaces: i64) -> bool {
        let stored = self.guests.get_mut(&guest.id);
        let Some(stored) = stored.filter(|stored| stored.data_revision == replaces) else {
            return false;
        };
        *stored = GuestRecord { secret_hash: stored.secret_hash, ..guest.clone() };
        true
    }

    /// Changes a session if it exists and matches. Returns whether it did.
    fn change(
        &mut self,
        id: SessionId,
        matches: impl FnOnce(&SessionRecord) -> bool,
        change: impl FnOnce(&mut SessionRecord),
    ) -> bool {
        let session = self.sessions.get_mut(&id).filter(|session| matches(session));
        session.map(change).is_some()
    }
}

/// Inserts a record, unless its id is taken.
fn insert<R: Clone>(
    records: &mut HashMap<SessionId, R>,
    id: SessionId,
    record: &R,
) -> Result<(), StoreError> {
    match records.entry(id) {
        Entry::Occupied(_) => Err(StoreError::Collision),
        Entry::Vacant(free) => {
            free.insert(record.clone());
            Ok(())
        }
    }
}

/// Deletes up to `limit` records that match. Returns how many.
fn delete<R>(
    records: &mut HashMap<SessionId, R>,
    limit: usize,
    matches: impl Fn(&R) -> bool,
) -> usize {
    let matching = records.iter().filter(|(_, record)| matches(record));
    let ids: Vec<SessionId> = matching.map(|(id, _)| *id).take(limit).collect();
    for id in &ids {
        records.remove(id);
    }
    ids.len()
}

impl<T: AuthUser> SessionStore for MemoryStore<T> {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        self.run(|content| {
            if !content.users.contains_key(&session.user_id) {
                return Err(StoreError::UserGone);
            }
            if content.sessions.contains_key(&session.id) {
                return Err(StoreError::Collision);
            }
            if !content.allows(ends) {
                return Ok(false);
            }
            for end in ends.sessions {
                content.sessions.remove(&end.id);
            }
            if let Some(change) = ends.guest {
                content.overwrite(change.record, change.replaces);
            }
            content.sessions.insert(session.id, session.clone());
            Ok(true)
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        self.run(|content| Ok(content.find(id).map(|(session, _)| session.clone())))
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        self.run(|content| {
            let is_unchanged = |session: &SessionRecord| {
                session.active_expires_at == renewal.replaces
                    && session.secret_hash == renewal.secret_hash
            };
            Ok(content.change(id, is_unchanged, |session| {
                session.active_expires_at = renewal.active_expires_at;
                session.idle_expires_at = renewal.idle_expires_at;
                session.renewed_at = renewal.renewed_at;
            }))
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        self.run(|content| {
            let is_unchanged = |session: &SessionRecord| session.secret_hash == change.replaces;
            Ok(content.change(id, is_unchanged, |session| {
                session.secret_hash = change.secret_hash;
                session.rotation = change.rotation;
                session.authenticated_at = change.authenticated_at;
                session.credential = change.credential.or(session.credential);
            }))
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        self.run(|content| {
            let is_unchanged = |session: &SessionRecord| session.data_revision == change.replaces;
            Ok(content.change(id, is_unchanged, |session| {
                session.data = Some(change.data.clone());
                session.data_revision += 1;
            }))
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.run(|content| Ok(content.sessions.remove(&id).is_some()))
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.run(|content| {
            let ends =
                |session: &SessionRecord| session.user_id == *user && Some(session.id) != keep;
            Ok(delete(&mut content.sessions, usize::MAX, ends) as u64)
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        self.run(|content| {
            let sessions = content.sessions.values();
            let mut list: Vec<_> =
                sessions.filter(|session| session.user_id == *user).cloned().collect();
            list.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
            Ok(list)
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        self.run(|content| {
            let own = content.sessions.values().filter(|session| session.user_id == *user);
            Ok(own.map(SessionTimes::from).collect())
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.run(|content| {
            let limit = limit as usize;
            let has_expired = |session: &SessionRecord| session.idle_expires_at <= now;
            let sessions = delete(&mut content.sessions, limit, has_expired);
            let has_expired = |guest: &GuestRecord| guest.expires_at <= now;
            let guests = delete(&mut content.guests, limit - sessions, has_expired);
            Ok((sessions + guests) as u64)
        })
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        self.run(|content| Ok(content.guests.get(&id).cloned()))
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        self.run(|content| {
            let Some(revision) = replaces else {
                insert(&mut content.guests, guest.id, guest)?;
                return Ok(true);
            };
            Ok(content.overwrite(guest, revision))
        })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.run(|content| Ok(content.guests.remove(&id).is_some()))
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        self.run(|content| {
            let current = content.guests.values().filter(|guest| guest.expires_at > now);
            Ok(current.count() as u64)
        })
    }
}

impl<T: AuthUser + Clone> SessionUserStore<T> for MemoryStore<T> {
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        self.run(|content| {
            Ok(content.find(id).map(|(session, user)| (session.clone(), user.clone())))
        })
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<T>> {
        self.run(|content| Ok(content.users.get(id).cloned()))
    }
}

impl<T> Clone for MemoryStore<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: AuthUser> Default for MemoryStore<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for MemoryStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
