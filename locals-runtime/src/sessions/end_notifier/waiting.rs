//! Who waits, and how they are told. `sync` and `Notify` are those of the module above: the usual
//! ones, and in one test those of a scheduler that tries the orders in which threads can run.

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

/// The sessions that somebody waits for.
#[derive(Default)]
pub(crate) struct EndNotifier(Arc<Mutex<Waiting>>);

/// Those sessions, and which of them end together: an end costs what it ends, however many wait.
#[derive(Default)]
pub(super) struct Waiting {
    sessions: HashMap<SessionId, Weak<Ending>>,
    /// By the session from which they were begun.
    by_actor: HashMap<SessionId, HashSet<SessionId>>,
    /// By their user, and by that of the session from which they were begun.
    by_user: HashMap<UserId, HashSet<SessionId>>,
}

/// The end of one session, while somebody waits for it.
pub(crate) struct Ending {
    id: SessionId,
    user: UserId,
    /// The session that must live as long as this one does, and its user.
    actor: Option<(SessionId, UserId)>,
    has_come: AtomicBool,
    came: Notify,
    waiting: Weak<Mutex<Waiting>>,
}

impl EndNotifier {
    /// The end of a session, for as long as this is held.
    pub(crate) fn of(
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
            has_come: AtomicBool::new(false),
            came: Notify::new(),
            waiting: Arc::downgrade(&self.0),
        });
        waiting.insert(&ending);
        ending
    }

    /// A session has ended.
    pub(crate) fn session_ended(&self, ended: SessionId) {
        self.end(|waiting| waiting.with_session(ended), |_| true);
    }

    /// The sessions of a user have ended, but the one that was kept.
    pub(crate) fn sessions_of_user_ended(&self, user: &UserId, kept: Option<SessionId>) {
        self.end(|waiting| waiting.with_user(user), |ending| ending.ends_with_user(user, kept));
    }

    fn end(
        &self,
        whom: impl FnOnce(&Waiting) -> Vec<Arc<Ending>>,
        has_ended: impl Fn(&Ending) -> bool,
    ) {
        // Those who leave take the lock: none is let go of while it is held.
        let touched = {
            let mut waiting = self.waiting();
            let touched = whom(&waiting);
            for ending in touched.iter().filter(|ending| has_ended(ending)) {
                waiting.remove(ending);
            }
            touched
        };
        for ending in touched.iter().filter(|ending| has_ended(ending)) {
            ending.has_come.store(true, Ordering::Release);
            ending.came.notify_waiters();
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
            leave(&mut self.by_actor, actor, &ending.id);
        }
        for user in ending.users() {
            leave(&mut self.by_user, user, &ending.id);
        }
        give_back(&mut self.sessions);
    }

    /// Those who wait for this session, and for those that were begun from it.
    pub(super) fn with_session(&self, id: SessionId) -> Vec<Arc<Ending>> {
        self.living(self.by_actor.get(&id).into_iter().flatten().chain([&id]))
    }

    /// Those who wait for a session of this user, or for one that was begun from such.
    pub(super) fn with_user(&self, user: &UserId) -> Vec<Arc<Ending>> {
        self.living(self.by_user.get(user).into_iter().flatten())
    }

    fn living<'a>(&self, ids: impl Iterator<Item = &'a SessionId>) -> Vec<Arc<Ending>> {
        ids.filter_map(|id| self.sessions.get(id)?.upgrade()).collect()
    }

    /// How many entries there are, and for how many there is room.
    #[cfg(test)]
    #[allow(
        dead_code,
        reason = "this file is compiled twice, and one of the two tests has no need"
    )]
    pub(super) fn size(&self) -> (usize, usize) {
        let sets = self.by_actor.values().chain(self.by_user.values());
        let (entries, room) =
            sets.fold((0, 0), |(entries, room), set| (entries + set.len(), room + set.capacity()));
        let maps = self.sessions.capacity() + self.by_actor.capacity() + self.by_user.capacity();
        (self.sessions.len() + entries, room + maps)
    }
}

/// Takes a session out of the set of this key, and the set away with its last one.
fn leave<K: Hash + Eq>(sets: &mut HashMap<K, HashSet<SessionId>>, key: &K, id: &SessionId) {
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(id);
    if set.is_empty() {
        sets.remove(key);
        give_back(sets);
    } else if has_much_room(set.len(), set.capacity()) {
        set.shrink_to_fit();
    }
}

fn give_back<K: Hash + Eq, V>(map: &mut HashMap<K, V>) {
    if has_much_room(map.len(), map.capacity()) {
        map.shrink_to_fit();
    }
}

/// Rarely enough that it costs little for each who leaves.
fn has_much_room(used: usize, room: usize) -> bool {
    room > 32 && used < room / 4
}

impl Ending {
    /// Waits until the session is said to have ended.
    pub(crate) async fn come(&self) {
        let mut came = std::pin::pin!(self.came.notified());
        // It counts from here, so that an end between the question and the wait is not missed.
        came.as_mut().enable();
        if !self.has_come.load(Ordering::Acquire) {
            came.await;
        }
    }

    /// Whether it ends with the sessions of this user, but the one that is kept.
    fn ends_with_user(&self, user: &UserId, kept: Option<SessionId>) -> bool {
        let has_ended = |id, whose: &UserId| whose == user && Some(id) != kept;
        let actor = self.actor.as_ref();
        has_ended(self.id, &self.user) || actor.is_some_and(|(id, whose)| has_ended(*id, whose))
    }

    fn users(&self) -> impl Iterator<Item = &UserId> {
        [&self.user].into_iter().chain(self.actor.as_ref().map(|(_, user)| user))
    }
}

/// Who waits no more leaves nothing behind.
impl Drop for Ending {
    fn drop(&mut self) {
        let Some(waiting) = self.waiting.upgrade() else { return };
        let mut waiting = lock(&waiting);
        // It may have ended, and somebody may wait for the same session again by now.
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
