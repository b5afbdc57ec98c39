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

use crate::{
    model::session_id::SessionId,
    sessions::clock::{Clock, SystemClock},
};

/// How long one may have the turn while others wait. Then the first of those goes on, and the revision
/// decides between the two: a store may not answer, or a handler not go on.
///
/// It is no limit of the whole wait. Were those at the end of a long queue to write without a turn, they
/// would all write at once.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Who writes, and who waits for it. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct WritePermits(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    queues: HashMap<SessionId, Queue>,
    /// How many turns there were, of all queues.
    count: u64,
}

/// Who writes the data of one session or guest, and who waits for it.
struct Queue {
    /// The number of the turn that counts.
    permit: u64,
    /// Those who wait, in the order in which they came.
    waiting: VecDeque<oneshot::Sender<WritePermit>>,
}

/// Data as the last who had the turn has written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatestData {
    pub data: String,
    pub revision: i64,
}

/// The turn of one who writes. When it is dropped, the next one has it.
pub(crate) struct WritePermit {
    permits: WritePermits,
    id: SessionId,
    /// Another one counts once this was held for too long.
    number: u64,
    latest: Option<LatestData>,
    /// Whether it was refused, and handed on already.
    is_over: bool,
}

impl WritePermits {
    /// Waits for the turn to write to this session or guest.
    pub(crate) async fn take(&self, id: SessionId, clock: &dyn Clock) -> Option<WritePermit> {
        // Also where the clock of the app stands still nobody waits for ever.
        self.take_by(id, [clock, &SystemClock]).await
    }

    /// The same, with a patience that is over by the first of two clocks.
    async fn take_by(&self, id: SessionId, clocks: [&dyn Clock; 2]) -> Option<WritePermit> {
        let mut waiting = match self.enter(id) {
            Ok(permit) => return Some(permit),
            Err(waiting) => waiting,
        };
        loop {
            let current = self.current(id);
            let until = clocks.map(|clock| clock.now() + TIMEOUT);
            tokio::select! {
                biased;
                permit = &mut waiting => return permit.ok(),
                () = clocks[0].wait_until(until[0]) => {}
                () = clocks[1].wait_until(until[1]) => {}
            }
            // A clock that was set back ends the waiting, too.
            let is_over = clocks.iter().zip(until).any(|(clock, until)| clock.now() >= until);
            if let Some(current) = current.filter(|_| is_over) {
                // Does nothing if the turn has moved meanwhile.
                self.hand_on(id, current, None);
            }
        }
    }

    /// The turn, if nobody has it, or else a place in the queue.
    fn enter(&self, id: SessionId) -> Result<WritePermit, oneshot::Receiver<WritePermit>> {
        let mut state = self.state();
        let State { queues, count } = &mut *state;
        match queues.entry(id) {
            Entry::Vacant(free) => {
                *count += 1;
                free.insert(Queue { permit: *count, waiting: VecDeque::new() });
                Ok(self.permit(id, *count))
            }
            Entry::Occupied(mut taken) => Err(wait(&mut taken.get_mut().waiting)),
        }
    }

    fn permit(&self, id: SessionId, number: u64) -> WritePermit {
        WritePermit { permits: self.clone(), id, number, latest: None, is_over: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No operation leaves it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the turn that counts.
    fn current(&self, id: SessionId) -> Option<u64> {
        self.state().queues.get(&id).map(|queue| queue.permit)
    }

    /// Gives the turn after this one to the first who waits, with what was written, unless this one does
    /// not count any more.
    fn hand_on(&self, id: SessionId, mut number: u64, mut latest: Option<LatestData>) {
        while let Some((next, following)) = self.next(id, number) {
            let mut permit = self.permit(id, following);
            permit.latest = latest.take();
            match next.send(permit) {
                Ok(()) => return,
                // Whoever waited has gone away.
                Err(mut unwanted) => {
                    latest = unwanted.latest.take();
                    unwanted.is_over = true;
                    number = following;
                }
            }
        }
    }

    /// Who is next after the turn of this number, and the number of theirs; `None`, and nobody has the
    /// turn any more, if nobody waits.
    fn next(&self, id: SessionId, number: u64) -> Option<(oneshot::Sender<WritePermit>, u64)> {
        let mut state = self.state();
        let State { queues, count } = &mut *state;
        let queue = queues.get_mut(&id).filter(|queue| queue.permit == number)?;
        let Some(next) = queue.waiting.pop_front() else {
            queues.remove(&id);
            return None;
        };
        *count += 1;
        queue.permit = *count;
        Some((next, queue.permit))
    }
}

fn wait(queue: &mut VecDeque<oneshot::Sender<WritePermit>>) -> oneshot::Receiver<WritePermit> {
    // Those who have gone away leave their place when there is no room for others.
    if queue.len() == queue.capacity() {
        queue.retain(|waiting| !waiting.is_closed());
    }
    let (next, waiting) = oneshot::channel();
    queue.push_back(next);
    waiting
}

impl WritePermit {
    /// What the one before has left, if that is newer than this revision.
    pub(crate) fn newer_than(&mut self, revision: i64) -> Option<LatestData> {
        self.latest.take().filter(|latest| latest.revision > revision)
    }

    /// Hands on what was written, if somebody waits for it and it is still the same session or guest.
    pub(crate) fn has_written(&mut self, id: SessionId, data: &str, revision: i64) {
        if id != self.id {
            return;
        }
        let is_awaited = self
            .permits
            .state()
            .queues
            .get(&self.id)
            .is_some_and(|queue| queue.permit == self.number && !queue.waiting.is_empty());
        self.latest = is_awaited.then(|| LatestData { data: data.to_owned(), revision });
    }
}

impl Drop for WritePermit {
    fn drop(&mut self) {
        if !self.is_over {
            self.permits.hand_on(self.id, self.number, self.latest.take());
        }
    }
}

impl fmt::Debug for WritePermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePermits").field("taken", &self.state().queues.len()).finish()
    }
}

impl fmt::Debug for WritePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePermit").field("id", &self.id).finish_non_exhaustive()
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
    use crate::{model::time::Timestamp, sessions::clock::ManualClock};

    const ONE: SessionId = SessionId::from_bytes([1; 16]);
    const TWO: SessionId = SessionId::from_bytes([2; 16]);

    type Waiting<'a> = Pin<Box<dyn Future<Output = Option<WritePermit>> + 'a>>;

    fn clock() -> ManualClock {
        ManualClock::at(Timestamp::from_millis(0))
    }

    fn poll(waiting: &mut Waiting<'_>) -> Poll<Option<WritePermit>> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn take<'a>(permits: &'a WritePermits, id: SessionId, clock: &'a ManualClock) -> Waiting<'a> {
        Box::pin(permits.take_by(id, [clock, clock]))
    }

    /// Whose turn it is at once.
    fn permit(permits: &WritePermits, id: SessionId, clock: &ManualClock) -> WritePermit {
        let Poll::Ready(Some(permit)) = poll(&mut take(permits, id, clock)) else {
            panic!("somebody has the permit")
        };
        permit
    }

    fn latest(revision: i64) -> LatestData {
        LatestData { data: revision.to_string(), revision }
    }

    #[test]
    fn each_waits_for_the_one_before_and_is_told_what_that_has_left() {
        let (permits, clock) = (WritePermits::default(), clock());
        let mut current = permit(&permits, ONE, &clock);
        drop(permit(&permits, TWO, &clock));
        let mut waiting: Vec<_> = (0..5).map(|_| take(&permits, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        for (revision, mut next) in (1..).zip(waiting) {
            assert!(poll(&mut next).is_pending());
            current.has_written(ONE, &revision.to_string(), revision);
            drop(current);
            let Poll::Ready(Some(permit)) = poll(&mut next) else { panic!("it is its permit") };
            current = permit;
            assert_eq!(current.newer_than(revision - 1), Some(latest(revision)));
            assert_eq!(current.newer_than(revision - 1), None);
        }
        current.has_written(ONE, "9", 9);
        assert_eq!(current.latest, None, "nobody waits for it");
        drop(current);
        assert!(permits.state().queues.is_empty());
    }

    #[test]
    fn who_has_newer_data_than_the_one_before_keeps_them() {
        let (permits, clock) = (WritePermits::default(), clock());
        let mut first = permit(&permits, ONE, &clock);
        let mut next = take(&permits, ONE, &clock);
        assert!(poll(&mut next).is_pending());
        first.has_written(ONE, "3", 3);
        drop(first);
        let Poll::Ready(Some(mut next)) = poll(&mut next) else { panic!("it is its permit") };
        assert_eq!(next.newer_than(3), None);
    }

    #[test]
    fn who_goes_away_while_they_wait_or_have_the_turn_keeps_nobody_waiting() {
        for gone in 0..1 << 4 {
            for is_given in [false, true] {
                let (permits, clock) = (WritePermits::default(), clock());
                let mut first = permit(&permits, ONE, &clock);
                let mut waiting: Vec<_> =
                    (0..4).map(|_| Some(take(&permits, ONE, &clock))).collect();
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
                    let Poll::Ready(Some(permit)) = poll(waiting) else {
                        panic!("{gone:b} {is_given}: it waits for nobody")
                    };
                    drop(permit);
                }
                drop(waiting);
                assert!(permits.state().queues.is_empty(), "{gone:b} {is_given}");
            }
        }
    }

    fn is_ready(waiting: &mut Waiting<'_>) -> Option<WritePermit> {
        match poll(waiting) {
            Poll::Ready(permit) => Some(permit.expect("nobody writes beside the queue")),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_queue_that_moves_is_waited_for_however_long_it_is() {
        let (permits, clock) = (WritePermits::default(), clock());
        let mut current = permit(&permits, ONE, &clock);
        let mut waiting: Vec<_> = (0..100).map(|_| take(&permits, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        while !waiting.is_empty() {
            clock.advance(TIMEOUT.checked_sub(Duration::from_millis(1)).unwrap());
            assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
            drop(current);
            current = is_ready(&mut waiting.remove(0)).expect("it is its permit");
        }
        drop(current);
    }

    #[test]
    fn behind_one_who_does_not_go_on_they_go_on_one_at_a_time() {
        let (permits, clock) = (WritePermits::default(), clock());
        let hung = permit(&permits, ONE, &clock);
        let mut waiting: Vec<_> = (0..5).map(|_| take(&permits, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        clock.advance(TIMEOUT);
        // Whoever looks first: it is the first in the queue who goes on.
        assert!(waiting.iter_mut().rev().take(4).all(|waiting| poll(waiting).is_pending()));
        let first = is_ready(&mut waiting.remove(0)).expect("it has waited long enough");
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        // What was held up has no turn to hand on any more.
        drop(hung);
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        drop(first);
        for mut next in waiting {
            drop(is_ready(&mut next).expect("the one before has written"));
        }
        drop(permit(&permits, ONE, &clock));
    }

    #[test]
    fn where_one_clock_stands_still_or_is_set_back_the_other_ends_the_wait() {
        for moved in [0, 1] {
            let permits = WritePermits::default();
            let clocks = [clock(), clock()];
            let hung = permit(&permits, ONE, &clocks[0]);
            let mut waiting: Waiting<'_> = Box::pin(permits.take_by(ONE, [&clocks[0], &clocks[1]]));
            assert!(is_ready(&mut waiting).is_none());
            clocks[moved].set(Timestamp::from_millis(-60_000));
            assert!(is_ready(&mut waiting).is_none(), "set back");
            clocks[moved].advance(TIMEOUT);
            assert!(is_ready(&mut waiting).is_some());
            drop(hung);
        }
    }

    #[test]
    fn who_has_gone_away_takes_no_room() {
        let (permits, clock) = (WritePermits::default(), clock());
        let first = permit(&permits, ONE, &clock);
        for _ in 0..10_000 {
            assert!(poll(&mut take(&permits, ONE, &clock)).is_pending());
        }
        assert!(permits.state().queues[&ONE].waiting.capacity() < 64);
        drop(first);
    }
}
