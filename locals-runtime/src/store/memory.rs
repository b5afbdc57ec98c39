//! Sessions and users in memory, for tests.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{SessionStore, SessionUserStore, StoreFuture};
use crate::{
    clock::Timestamp,
    error::StoreError,
    session::{Renewal, SessionRecord},
    token::SessionId,
    user::{AuthUser, UserId, UserKey},
};

/// Sessions and users in memory: for tests, and gone with the process.
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
    users: HashMap<UserId, T>,
}

impl<T: AuthUser> MemoryStore<T> {
    /// An empty store.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Content { sessions: HashMap::new(), users: HashMap::new() })))
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
        // No operation leaves the maps half-changed, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<V: Send + 'static>(
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

    /// Deletes up to `limit` sessions that match.
    fn delete(&mut self, limit: usize, matches: impl Fn(&SessionRecord) -> bool) -> u64 {
        let before = self.sessions.len();
        let found = self.sessions.values().filter(|session| matches(session));
        let ids: Vec<SessionId> = found.map(|session| session.id).take(limit).collect();
        for id in ids {
            self.sessions.remove(&id);
        }
        (before - self.sessions.len()) as u64
    }
}

impl<T: AuthUser> SessionStore for MemoryStore<T> {
    fn create<'a>(&'a self, session: &'a SessionRecord) -> StoreFuture<'a, ()> {
        self.answer(|content| match content.sessions.entry(session.id) {
            std::collections::hash_map::Entry::Occupied(_) => Err(StoreError::Collision),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(session.clone());
                Ok(())
            }
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        self.answer(|content| Ok(content.find(id).map(|(session, _)| session.clone())))
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        self.answer(|content| {
            let session = content.sessions.get_mut(&id);
            let Some(session) =
                session.filter(|session| session.active_expires_at <= renewal.replaces)
            else {
                return Ok(false);
            };
            session.active_expires_at = renewal.active_expires_at;
            session.idle_expires_at = renewal.idle_expires_at;
            Ok(true)
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.answer(|content| Ok(content.sessions.remove(&id).is_some()))
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.answer(|content| {
            Ok(content
                .delete(usize::MAX, |session| session.user_id == *user && Some(session.id) != keep))
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        self.answer(|content| {
            let sessions = content.sessions.values();
            let mut list: Vec<_> =
                sessions.filter(|session| session.user_id == *user).cloned().collect();
            list.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
            Ok(list)
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.answer(|content| {
            Ok(content.delete(limit as usize, |session| session.idle_expires_at <= now))
        })
    }
}

impl<T: AuthUser + Clone> SessionUserStore<T> for MemoryStore<T> {
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        self.answer(|content| {
            Ok(content.find(id).map(|(session, user)| (session.clone(), user.clone())))
        })
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
