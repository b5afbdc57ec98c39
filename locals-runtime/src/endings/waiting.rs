//! Who waits, and how they are told. `sync` and `Notify` are those of the module above: the usual
//! ones, and in one test those of a scheduler that tries the orders in which threads can run.

use std::{collections::HashMap, fmt};

use super::{
    Notify,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use crate::{token::SessionId, user::UserId};

/// The sessions that somebody waits for.
#[derive(Default)]
pub(crate) struct Endings(Mutex<HashMap<SessionId, Weak<Ending>>>);

/// The end of one session, while somebody waits for it.
pub(crate) struct Ending {
    user: UserId,
    /// The session that must live as long as this one does, and its user.
    actor: Option<(SessionId, UserId)>,
    has_come: AtomicBool,
    came: Notify,
}

impl Endings {
    /// The end of a session, for as long as this is held.
    pub(crate) fn of(
        &self,
        id: SessionId,
        user: UserId,
        actor: Option<(SessionId, UserId)>,
    ) -> Arc<Ending> {
        let mut waiting = self.waiting();
        if let Some(ending) = waiting.get(&id).and_then(Weak::upgrade) {
            return ending;
        }
        // Nobody waits any more for those that are gone. The room left makes it rare to look.
        if waiting.len() == waiting.capacity() {
            waiting.retain(|_, ending| ending.strong_count() > 0);
            let living = waiting.len();
            waiting.reserve(living + 1);
        }
        let ending =
            Arc::new(Ending { user, actor, has_come: AtomicBool::new(false), came: Notify::new() });
        waiting.insert(id, Arc::downgrade(&ending));
        ending
    }

    /// A session has ended.
    pub(crate) fn session_ended(&self, ended: SessionId) {
        self.end(|id, ending| {
            id == ended || ending.actor.as_ref().is_some_and(|(actor, _)| *actor == ended)
        });
    }

    /// The sessions of a user have ended, but the one that was kept.
    pub(crate) fn sessions_of_user_ended(&self, user: &UserId, kept: Option<SessionId>) {
        let has_ended = |id, whose: &UserId| whose == user && Some(id) != kept;
        self.end(|id, ending| {
            let actor = ending.actor.as_ref();
            has_ended(id, &ending.user) || actor.is_some_and(|(id, whose)| has_ended(*id, whose))
        });
    }

    fn end(&self, has_ended: impl Fn(SessionId, &Ending) -> bool) {
        self.waiting().retain(|id, ending| {
            let Some(ending) = ending.upgrade() else { return false };
            if !has_ended(*id, &ending) {
                return true;
            }
            ending.has_come.store(true, Ordering::Release);
            ending.came.notify_waiters();
            false
        });
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, HashMap<SessionId, Weak<Ending>>> {
        // No operation leaves the map half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
}

impl fmt::Debug for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endings").field("waiting", &self.waiting().len()).finish()
    }
}
