//! Those who write the data of one session, or one guest, in this process take turns.
//!
//! The revision that a write names keeps writes from being lost, also between processes. Alone, it lets
//! all but one of those who write at once try again, and again. So within a process each waits for the one
//! before, and is told what that has left.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{clock::Clock, token::SessionId};

/// How long somebody waits for their turn. Then they write without one, and the revision decides: the
/// one before may be held up by a store that does not answer, or by a handler that does not go on.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who writes, and who waits for it. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<SessionId, Queue>>>);

/// Those who wait, in the order in which they came. Nobody is in it who has the turn.
type Queue = VecDeque<oneshot::Sender<Turn>>;

/// Data as the last who had the turn has written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newest {
    pub data: String,
    pub revision: i64,
}

/// The turn of one who writes. When it is dropped, the next one has it.
pub(crate) struct Turn {
    turns: Turns,
    id: SessionId,
    newest: Option<Newest>,
    /// Whether somebody else has it by now.
    is_over: bool,
}

impl Turns {
    /// Waits for the turn to write to this session or guest; `None` if that takes too long.
    pub(crate) async fn take(&self, id: SessionId, clock: &dyn Clock) -> Option<Turn> {
        let waiting = match self.queues().entry(id) {
            Entry::Vacant(free) => {
                free.insert(Queue::new());
                None
            }
            Entry::Occupied(mut taken) => Some(wait(taken.get_mut())),
        };
        let Some(waiting) = waiting else { return Some(self.turn(id)) };
        tokio::select! {
            biased;
            turn = waiting => turn.ok(),
            () = clock.wait_until(clock.now() + PATIENCE) => None,
        }
    }

    fn turn(&self, id: SessionId) -> Turn {
        Turn { turns: self.clone(), id, newest: None, is_over: false }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<SessionId, Queue>> {
        // No operation leaves the map half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is next; `None`, and nobody has the turn any more, if nobody waits.
    fn next(&self, id: SessionId) -> Option<oneshot::Sender<Turn>> {
        let mut queues = self.queues();
        let next = queues.get_mut(&id)?.pop_front();
        if next.is_none() {
            queues.remove(&id);
        }
        next
    }
}

fn wait(queue: &mut Queue) -> oneshot::Receiver<Turn> {
    // Those who have gone away leave their place when there is no room for others.
    if queue.len() == queue.capacity() {
        queue.retain(|waiting| !waiting.is_closed());
    }
    let (next, waiting) = oneshot::channel();
    queue.push_back(next);
    waiting
}

impl Turn {
    /// What the one before has left, if that is newer than this revision.
    pub(crate) fn newer_than(&mut self, revision: i64) -> Option<Newest> {
        self.newest.take().filter(|newest| newest.revision > revision)
    }

    /// Hands on what was written, if somebody waits for it and it is still the same session or guest.
    pub(crate) fn has_written(&mut self, id: SessionId, data: &str, revision: i64) {
        if id != self.id {
            return;
        }
        let is_awaited = self.turns.queues().get(&self.id).is_some_and(|queue| !queue.is_empty());
        self.newest = is_awaited.then(|| Newest { data: data.to_owned(), revision });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut newest = self.newest.take();
        while let Some(next) = self.turns.next(self.id) {
            let mut turn = self.turns.turn(self.id);
            turn.newest = newest.take();
            match next.send(turn) {
                Ok(()) => return,
                // Whoever waited has gone away.
                Err(mut unwanted) => {
                    newest = unwanted.newest.take();
                    unwanted.is_over = true;
                }
            }
        }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("taken", &self.queues().len()).finish()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    const ONE: SessionId = SessionId::from_bytes([1; 16]);
    const TWO: SessionId = SessionId::from_bytes([2; 16]);

    type Waiting<'a> = Pin<Box<dyn Future<Output = Option<Turn>> + 'a>>;

    fn clock() -> ManualClock {
        ManualClock::at(Timestamp::from_millis(0))
    }

    fn poll(waiting: &mut Waiting<'_>) -> Poll<Option<Turn>> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn take<'a>(turns: &'a Turns, id: SessionId, clock: &'a ManualClock) -> Waiting<'a> {
        Box::pin(turns.take(id, clock))
    }

    /// Whose turn it is at once.
    fn turn(turns: &Turns, id: SessionId, clock: &ManualClock) -> Turn {
        let Poll::Ready(Some(turn)) = poll(&mut take(turns, id, clock)) else {
            panic!("somebody has the turn")
        };
        turn
    }

    fn newest(revision: i64) -> Newest {
        Newest { data: revision.to_string(), revision }
    }

    #[test]
    fn each_waits_for_the_one_before_and_is_told_what_that_has_left() {
        let (turns, clock) = (Turns::default(), clock());
        let mut current = turn(&turns, ONE, &clock);
        drop(turn(&turns, TWO, &clock));
        let mut waiting: Vec<_> = (0..5).map(|_| take(&turns, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        for (revision, mut next) in (1..).zip(waiting) {
            assert!(poll(&mut next).is_pending());
            current.has_written(ONE, &revision.to_string(), revision);
            drop(current);
            let Poll::Ready(Some(turn)) = poll(&mut next) else { panic!("it is its turn") };
            current = turn;
            assert_eq!(current.newer_than(revision - 1), Some(newest(revision)));
            assert_eq!(current.newer_than(revision - 1), None);
        }
        current.has_written(ONE, "9", 9);
        assert_eq!(current.newest, None, "nobody waits for it");
        drop(current);
        assert!(turns.queues().is_empty());
    }

    #[test]
    fn who_has_newer_data_than_the_one_before_keeps_them() {
        let (turns, clock) = (Turns::default(), clock());
        let mut first = turn(&turns, ONE, &clock);
        let mut next = take(&turns, ONE, &clock);
        assert!(poll(&mut next).is_pending());
        first.has_written(ONE, "3", 3);
        drop(first);
        let Poll::Ready(Some(mut next)) = poll(&mut next) else { panic!("it is its turn") };
        assert_eq!(next.newer_than(3), None);
    }

    #[test]
    fn who_goes_away_while_they_wait_or_have_the_turn_keeps_nobody_waiting() {
        for gone in 0..1 << 4 {
            for is_given in [false, true] {
                let (turns, clock) = (Turns::default(), clock());
                let mut first = turn(&turns, ONE, &clock);
                let mut waiting: Vec<_> = (0..4).map(|_| Some(take(&turns, ONE, &clock))).collect();
                for waiting in waiting.iter_mut().flatten() {
                    assert!(poll(waiting).is_pending());
                }
                first.has_written(ONE, "1", 1);
                let mut first = Some(first);
                if is_given {
                    // The first of them has been given the turn, and has not seen it yet.
                    first = None;
                }
                for (number, waiting) in waiting.iter_mut().enumerate() {
                    if gone & (1 << number) != 0 {
                        *waiting = None;
                    }
                }
                drop(first);
                for waiting in waiting.iter_mut().flatten() {
                    let Poll::Ready(Some(turn)) = poll(waiting) else {
                        panic!("{gone:b} {is_given}: it waits for nobody")
                    };
                    drop(turn);
                }
                drop(waiting);
                assert!(turns.queues().is_empty(), "{gone:b} {is_given}");
            }
        }
    }

    #[test]
    fn who_waits_too_long_writes_without_a_turn() {
        let (turns, clock) = (Turns::default(), clock());
        let first = turn(&turns, ONE, &clock);
        let mut waiting = take(&turns, ONE, &clock);
        assert!(poll(&mut waiting).is_pending());
        clock.advance(PATIENCE.checked_sub(Duration::from_millis(1)).unwrap());
        assert!(poll(&mut waiting).is_pending());
        clock.advance(Duration::from_millis(1));
        assert!(matches!(poll(&mut waiting), Poll::Ready(None)));
        drop(waiting);
        drop(first);
        assert!(turns.queues().is_empty());
    }

    #[test]
    fn who_has_gone_away_takes_no_room() {
        let (turns, clock) = (Turns::default(), clock());
        let first = turn(&turns, ONE, &clock);
        for _ in 0..10_000 {
            assert!(poll(&mut take(&turns, ONE, &clock)).is_pending());
        }
        assert!(turns.queues()[&ONE].capacity() < 64);
        drop(first);
    }
}
