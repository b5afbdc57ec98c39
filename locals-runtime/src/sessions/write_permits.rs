//! Permits that let the writers of one session's or guest's data in this process take turns.
//!
//! The revision that a write names prevents lost writes, even between processes. But with the
//! revision alone, all concurrent writers except one must try again, repeatedly. So within a
//! process each writer waits for the previous one, and receives the data that it has written.

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

/// How long a writer may hold the permit while others wait. After that the first of those gets one
/// too, and the revision decides between the two. This covers a store that does not respond, and a
/// handler that does not finish.
///
/// It does not limit the whole wait: if the writers at the end of a long queue wrote without a
/// permit, they would all write at the same time.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The writers and the queues of those that wait. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct WritePermits(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    queues: HashMap<SessionId, Queue>,
    /// The number of permits given so far, in all queues.
    count: u64,
}

/// The writer of one session's or guest's data, and those that wait.
struct Queue {
    /// The number of the current permit.
    permit: u64,
    /// The waiting writers, in order.
    waiting: VecDeque<oneshot::Sender<WritePermit>>,
}

/// The data that the last writer has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatestData {
    pub data: String,
    pub revision: i64,
}

/// The permit to write. When it is dropped, the next writer gets it.
pub(crate) struct WritePermit {
    permits: WritePermits,
    id: SessionId,
    /// The permit is no longer the current one after it was held for too long.
    number: u64,
    latest: Option<LatestData>,
    /// Whether the receiver was gone, and the permit has been passed on already.
    is_over: bool,
}

impl WritePermits {
    /// Waits for the permit to write to this session or guest.
    pub(crate) async fn take(&self, id: SessionId, clock: &dyn Clock) -> Option<WritePermit> {
        // With the system's clock too, so that nobody waits forever if the app's clock stands
        // still.
        self.take_by(id, [clock, &SystemClock]).await
    }

    /// Does the same with two clocks; the timeout is over when the first of them reaches it.
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
            // A clock that was set back ends the wait, too.
            let is_over = clocks.iter().zip(until).any(|(clock, until)| clock.now() >= until);
            if let Some(current) = current.filter(|_| is_over) {
                // Does nothing if the permit has been passed on in the meantime.
                self.pass_on(id, current, None);
            }
        }
    }

    /// Returns the permit if it is free, or else a place in the queue.
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
        // No operation leaves it inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the current permit.
    fn current(&self, id: SessionId) -> Option<u64> {
        self.state().queues.get(&id).map(|queue| queue.permit)
    }

    /// Passes the permit, and the data that were written, to the first waiting writer, unless this
    /// permit is no longer the current one.
    fn pass_on(&self, id: SessionId, mut number: u64, mut latest: Option<LatestData>) {
        while let Some((next, following)) = self.next(id, number) {
            let mut permit = self.permit(id, following);
            permit.latest = latest.take();
            match next.send(permit) {
                Ok(()) => return,
                // The waiting writer is gone.
                Err(mut unwanted) => {
                    latest = unwanted.latest.take();
                    unwanted.is_over = true;
                    number = following;
                }
            }
        }
    }

    /// Returns the next writer after the permit of this number, with the number of the new permit.
    /// If nobody waits, returns `None`, and the permit is free.
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
    // Canceled writers are removed before the queue grows.
    if queue.len() == queue.capacity() {
        queue.retain(|waiting| !waiting.is_closed());
    }
    let (next, waiting) = oneshot::channel();
    queue.push_back(next);
    waiting
}

impl WritePermit {
    /// Returns the data that the previous writer has left, if they are newer than this revision.
    pub(crate) fn newer_than(&mut self, revision: i64) -> Option<LatestData> {
        self.latest.take().filter(|latest| latest.revision > revision)
    }

    /// Keeps the written data for the next writer, if one waits and it is still the same session or
    /// guest.
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
            self.permits.pass_on(self.id, self.number, self.latest.take());
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

    /// A permit that is free.
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
    fn each_writer_waits_for_the_previous_one_and_receives_its_data() {
        let (permits, clock) = (WritePermits::default(), clock());
        let mut current = permit(&permits, ONE, &clock);
        drop(permit(&permits, TWO, &clock));
        let mut waiting: Vec<_> = (0..5).map(|_| take(&permits, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        for (revision, mut next) in (1..).zip(waiting) {
            assert!(poll(&mut next).is_pending());
            current.has_written(ONE, &revision.to_string(), revision);
            drop(current);
            let Poll::Ready(Some(permit)) = poll(&mut next) else { panic!("it has the permit") };
            current = permit;
            assert_eq!(current.newer_than(revision - 1), Some(latest(revision)));
            assert_eq!(current.newer_than(revision - 1), None);
        }
        current.has_written(ONE, "9", 9);
        assert_eq!(current.latest, None, "no writer waits for them");
        drop(current);
        assert!(permits.state().queues.is_empty());
    }

    #[test]
    fn a_writer_with_newer_data_keeps_them() {
        let (permits, clock) = (WritePermits::default(), clock());
        let mut first = permit(&permits, ONE, &clock);
        let mut next = take(&permits, ONE, &clock);
        assert!(poll(&mut next).is_pending());
        first.has_written(ONE, "3", 3);
        drop(first);
        let Poll::Ready(Some(mut next)) = poll(&mut next) else { panic!("it has the permit") };
        assert_eq!(next.newer_than(3), None);
    }

    #[test]
    fn a_writer_that_is_canceled_while_waiting_or_writing_blocks_nobody() {
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
                    // The first of them has received the permit, but has not been polled yet.
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
                        panic!("{gone:b} {is_given}: nothing blocks it")
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
            Poll::Ready(permit) => Some(permit.expect("nobody writes outside of the queue")),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_writer_waits_for_a_moving_queue_however_long_it_is() {
        let (permits, clock) = (WritePermits::default(), clock());
        let mut current = permit(&permits, ONE, &clock);
        let mut waiting: Vec<_> = (0..100).map(|_| take(&permits, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        while !waiting.is_empty() {
            clock.advance(TIMEOUT.checked_sub(Duration::from_millis(1)).unwrap());
            assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
            drop(current);
            current = is_ready(&mut waiting.remove(0)).expect("it has the permit");
        }
        drop(current);
    }

    #[test]
    fn behind_a_blocked_writer_the_others_continue_one_at_a_time() {
        let (permits, clock) = (WritePermits::default(), clock());
        let hung = permit(&permits, ONE, &clock);
        let mut waiting: Vec<_> = (0..5).map(|_| take(&permits, ONE, &clock)).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        clock.advance(TIMEOUT);
        // Whichever is polled first, only the first in the queue continues.
        assert!(waiting.iter_mut().rev().take(4).all(|waiting| poll(waiting).is_pending()));
        let first = is_ready(&mut waiting.remove(0)).expect("it has waited long enough");
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        // The blocked writer has no permit to pass on any more.
        drop(hung);
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
        drop(first);
        for mut next in waiting {
            drop(is_ready(&mut next).expect("the previous one has written"));
        }
        drop(permit(&permits, ONE, &clock));
    }

    #[test]
    fn if_one_clock_stands_still_or_is_set_back_the_other_ends_the_wait() {
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
    fn canceled_writers_take_no_memory() {
        let (permits, clock) = (WritePermits::default(), clock());
        let first = permit(&permits, ONE, &clock);
        for _ in 0..10_000 {
            assert!(poll(&mut take(&permits, ONE, &clock)).is_pending());
        }
        assert!(permits.state().queues[&ONE].waiting.capacity() < 64);
        drop(first);
    }
}
