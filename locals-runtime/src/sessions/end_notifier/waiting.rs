//! The waiters, and how they are notified. `sync` and `Notify` come from the parent module: the
//! usual ones, or in one test those of a scheduler that tries the orders in which threads can run.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
};

use super::{
    Notify,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use crate::model::{session_id::SessionId, user_id::UserId};

/// The sessions for whose end somebody waits.
#[derive(Default)]
pub(crate) struct EndNotifier(Arc<Mutex<Waiting>>);

/// These sessions, and which of them end together. The cost of an end depends on the sessions that
/// it ends, not on how many are waited for.
#[derive(Default)]
pub(super) struct Waiting {
    sessions: HashMap<SessionId, Weak<Ending>>,
    /// By the actor's own session.
    by_actor: HashMap<SessionId, HashSet<SessionId>>,
    /// By their user, and by the actor.
    by_user: HashMap<UserId, HashSet<SessionId>>,
}

/// The end of one session, while somebody waits for it.
pub(crate) struct Ending {
    id: SessionId,
    user: UserId,
    /// The actor's own session, with which this one ends, and its user.
    actor: Option<(SessionId, UserId)>,
    is_ended: AtomicBool,
    notify: Notify,
    waiting: Weak<Mutex<Waiting>>,
}

impl EndNotifier {
    /// Watches for the end of a session, as long as the result is held.
    pub(crate) fn watch(
        &self,
        id: SessionId,
        user: UserId,
        actor: Option<(SessionId, UserId)>,
    ) -> Arc<Ending> {
        let mut waiting = self.waiting();
        if let Some(ending) = waiting.sessions.get(&id).and_then(Weak::upgrade) {
            return ending;
        }
        let ending = Arc::new(Ending {
            id,
            user,
            actor,
            is_ended: AtomicBool::new(false),
            notify: Notify::new(),
            waiting: Arc::downgrade(&self.0),
        });
        waiting.insert(&ending);
        ending
    }

    /// Notifies the waiters that a session has ended.
    pub(crate) fn session_ended(&self, ended: SessionId) {
        self.end(|waiting| waiting.with_session(ended), |_| true);
    }

    /// Notifies the waiters that the sessions of a user have ended, except the one that was kept.
    pub(crate) fn sessions_of_user_ended(&self, user: &UserId, kept: Option<SessionId>) {
        self.end(|waiting| waiting.with_user(user), |ending| ending.ends_with_user(user, kept));
    }

    fn end(
        &self,
        select: impl FnOnce(&Waiting) -> Vec<Arc<Ending>>,
        has_ended: impl Fn(&Ending) -> bool,
    ) {
        // Dropping an `Ending` takes the lock, so none is dropped while the lock is held.
        let touched = {
            let mut waiting = self.waiting();
            let touched = select(&waiting);
            for ending in touched.iter().filter(|ending| has_ended(ending)) {
                waiting.remove(ending);
            }
            touched
        };
        for ending in touched.iter().filter(|ending| has_ended(ending)) {
            ending.is_ended.store(true, Ordering::Release);
            ending.notify.notify_waiters();
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.0)
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    // No operation leaves the maps half-changed.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    fn insert(&mut self, ending: &Arc<Ending>) {
        self.sessions.insert(ending.id, Arc::downgrade(ending));
        if let Some((actor, _)) = &ending.actor {
            self.by_actor.entry(*actor).or_default().insert(ending.id);
        }
        for user in ending.users() {
            self.by_user.entry(user.clone()).or_default().insert(ending.id);
        }
    }

    fn remove(&mut self, ending: &Ending) {
        self.sessions.remove(&ending.id);
        if let Some((actor, _)) = &ending.actor {
            remove_from(&mut self.by_actor, actor, &ending.id);
        }
        for user in ending.users() {
            remove_from(&mut self.by_user, user, &ending.id);
        }
        shrink(&mut self.sessions);
    }

    /// Returns the waiters for this session, and for the impersonations that it has started.
    pub(super) fn with_session(&self, id: SessionId) -> Vec<Arc<Ending>> {
        self.upgrade(self.by_actor.get(&id).into_iter().flatten().chain([&id]))
    }

    /// Returns the waiters for a session of this user, or for an impersonation by this user.
    pub(super) fn with_user(&self, user: &UserId) -> Vec<Arc<Ending>> {
        self.upgrade(self.by_user.get(user).into_iter().flatten())
    }

    fn upgrade<'a>(&self, ids: impl Iterator<Item = &'a SessionId>) -> Vec<Arc<Ending>> {
        ids.filter_map(|id| self.sessions.get(id)?.upgrade()).collect()
    }

    /// Returns the number of entries, and the capacity.
    #[cfg(test)]
    #[allow(
        dead_code,
        reason = "this file is compiled twice, and only one of the two tests uses it"
    )]
    pub(super) fn size(&self) -> (usize, usize) {
        let sets = self.by_actor.values().chain(self.by_user.values());
        let (entries, capacity) = sets.fold((0, 0), |(entries, capacity), set| {
            (entries + set.len(), capacity + set.capacity())
        });
        let maps = self.sessions.capacity() + self.by_actor.capacity() + self.by_user.capacity();
        (self.sessions.len() + entries, capacity + maps)
    }
}

/// Removes a session from the set of this key, and the set if it is then empty.
fn remove_from<K: Hash + Eq>(sets: &mut HashMap<K, HashSet<SessionId>>, key: &K, id: &SessionId) {
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(id);
    if set.is_empty() {
        sets.remove(key);
        shrink(sets);
    } else if is_mostly_empty(set.len(), set.capacity()) {
        set.shrink_to_fit();
    }
}

fn shrink<K: Hash + Eq, V>(map: &mut HashMap<K, V>) {
    if is_mostly_empty(map.len(), map.capacity()) {
        map.shrink_to_fit();
    }
}

/// Whether to shrink: rarely enough that the average cost of a removal is small.
fn is_mostly_empty(used: usize, capacity: usize) -> bool {
    capacity > 32 && used < capacity / 4
}

impl Ending {
    /// Waits until the session has ended.
    pub(crate) async fn wait(&self) {
        let mut notified = std::pin::pin!(self.notify.notified());
        // Enabled before the check, so that an end between the two is not missed.
        notified.as_mut().enable();
        if !self.is_ended.load(Ordering::Acquire) {
            notified.await;
        }
    }

    /// Whether it ends with the sessions of this user, except the one that is kept.
    fn ends_with_user(&self, user: &UserId, kept: Option<SessionId>) -> bool {
        let has_ended = |id, whose: &UserId| whose == user && Some(id) != kept;
        let actor = self.actor.as_ref();
        has_ended(self.id, &self.user) || actor.is_some_and(|(id, whose)| has_ended(*id, whose))
    }

    fn users(&self) -> impl Iterator<Item = &UserId> {
        [&self.user].into_iter().chain(self.actor.as_ref().map(|(_, user)| user))
    }
}

/// Removes the entries of a session for which nobody waits any longer.
impl Drop for Ending {
    fn drop(&mut self) {
        let Some(waiting) = self.waiting.upgrade() else { return };
        let mut waiting = lock(&waiting);
        // The session may have ended, and somebody may wait for it again by now.
        if waiting.sessions.get(&self.id).is_some_and(|ending| ending.strong_count() == 0) {
            waiting.remove(self);
        }
    }
}

impl fmt::Debug for EndNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndNotifier").field("waiting", &self.waiting().sessions.len()).finish()
    }
}
