//! Whether a store has room for one more guest, without a question for each of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, futures::Notified};

use crate::model::{settings::GUEST_COUNT_LASTS, time::Timestamp};

/// How many guests there are, as far as this process knows: those that were counted, with those that
/// it has added since and without those that it has ended.
///
/// Within a process there are never more than there may be. Others may add as many more as they do
/// between two counts.
#[derive(Debug, Default)]
pub(crate) struct GuestQuota {
    state: Mutex<State>,
    /// Told when the first count is over, in whatever way.
    counted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When the last count was asked for; `None` if there is to be another.
    counted_at: Option<Timestamp>,
    /// Whether the first count is under way.
    is_first_count: bool,
    /// How many first counts have failed.
    failures: u64,
    /// `None` before the first count.
    guests: Option<u64>,
    /// Those that are being written: a count may or may not find them.
    pending: u64,
    /// All that were ever given a place here.
    found_session: u64,
    /// There may be fewer than `guests`, because it is not known whether all of them were written or
    /// seen twice: a full store is counted once more before it is said to be.
    may_be_fewer: bool,
    /// When it was last counted once more for that.
    counted_more_at: Option<Timestamp>,
    warned_at: Option<Timestamp>,
}

/// Whether one more may come.
#[derive(Debug)]
pub(crate) enum QuotaCheck<'a> {
    Free(GuestSlot<'a>),
    /// `is_news`: nobody has been told for a while.
    Full {
        is_news: bool,
    },
    /// The guests are to be counted.
    Unknown(Count<'a>),
    /// Somebody else counts them for the first time: to be asked again after that.
    BeingCounted(FirstCount<'a>),
}

/// Waits for the first count, which somebody else makes.
#[derive(Debug)]
pub(crate) struct FirstCount<'a> {
    quota: &'a GuestQuota,
    is_over: Notified<'a>,
    failures: u64,
}

impl FirstCount<'_> {
    /// Waits until it is over; `false` if it has failed. Where it was given up by who has gone away, the
    /// next one counts.
    pub(crate) async fn has_not_failed(self) -> bool {
        self.is_over.await;
        self.quota.state().failures == self.failures
    }
}

impl GuestQuota {
    /// Gives a place to one more guest, if there are fewer than `most`.
    pub(crate) fn enter(&self, now: Timestamp, most: u64) -> QuotaCheck<'_> {
        let mut state = self.state();
        match state.guests.filter(|_| is_within(state.counted_at, now)) {
            Some(guests) if guests < most => {
                state.guests = Some(guests + 1);
                state.found_session += 1;
                state.pending += 1;
                QuotaCheck::Free(GuestSlot { quota: self, is_taken: false })
            }
            Some(_) if !state.may_be_fewer || is_within(state.counted_more_at, now) => {
                let is_news = !is_within(state.warned_at, now);
                if is_news {
                    state.warned_at = Some(now);
                }
                QuotaCheck::Full { is_news }
            }
            // Created while the state is locked, it misses no end.
            _ if state.is_first_count => QuotaCheck::BeingCounted(FirstCount {
                quota: self,
                is_over: self.counted.notified(),
                failures: state.failures,
            }),
            known => {
                if known.is_some() {
                    state.counted_more_at = Some(now);
                }
                // Meanwhile the others go by the last count, if there is one.
                state.counted_at = state.guests.map(|_| now);
                state.is_first_count = state.guests.is_none();
                state.may_be_fewer = false;
                let (found_session, pending) = (state.found_session, state.pending);
                QuotaCheck::Unknown(Count {
                    quota: self,
                    asked_at: now,
                    found_session,
                    pending,
                    is_done: false,
                })
            }
        }
    }

    /// Notes that a guest who was there has ended. A count that is under way may have seen them, and
    /// holds for its minute.
    pub(crate) fn release_one(&self) {
        let mut state = self.state();
        state.guests = state.guests.map(|guests| guests.saturating_sub(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers are never left half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for a guest who is about to be written.
#[derive(Debug)]
pub(crate) struct GuestSlot<'a> {
    quota: &'a GuestQuota,
    is_taken: bool,
}

impl GuestSlot<'_> {
    /// The guest is there.
    pub(crate) fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for GuestSlot<'_> {
    fn drop(&mut self) {
        let mut state = self.quota.state();
        state.pending -= 1;
        // It is not known whether one whose writing failed is there: the next count tells.
        state.may_be_fewer |= !self.is_taken;
    }
}

/// A count of the guests that is under way. One that fails or is dropped is asked for again.
#[derive(Debug)]
pub(crate) struct Count<'a> {
    quota: &'a GuestQuota,
    asked_at: Timestamp,
    /// As they were when it was asked for.
    found_session: u64,
    pending: u64,
    is_done: bool,
}

impl Count<'_> {
    /// What the store has counted.
    pub(crate) fn finish(mut self, counted: u64) {
        let mut state = self.quota.state();
        let unseen = self.pending + (state.found_session - self.found_session);
        state.guests = Some(counted.saturating_add(unseen));
        state.counted_at = Some(self.asked_at);
        state.may_be_fewer |= unseen > 0;
        drop(state);
        self.is_done = true;
    }

    /// The store could not say. Those who wait for the first count are not to ask it one after the
    /// other.
    pub(crate) fn fail(self) {
        self.quota.state().failures += 1;
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        let mut state = self.quota.state();
        if !self.is_done {
            state.counted_at = None;
        }
        if std::mem::take(&mut state.is_first_count) {
            self.quota.counted.notify_waiters();
        }
    }
}

/// Whether a time lies less than a minute back. One that lies ahead, on a clock that was set back, does
/// not.
fn is_within(time: Option<Timestamp>, now: Timestamp) -> bool {
    time.is_some_and(|time| time <= now && now < time + GUEST_COUNT_LASTS)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn free(quota: QuotaCheck<'_>) -> GuestSlot<'_> {
        match quota {
            QuotaCheck::Free(slot) => slot,
            other => panic!("not free: {other:?}"),
        }
    }

    fn unknown(quota: QuotaCheck<'_>) -> Count<'_> {
        match quota {
            QuotaCheck::Unknown(count) => count,
            other => panic!("known: {other:?}"),
        }
    }

    fn is_full(quota: &QuotaCheck<'_>) -> bool {
        matches!(quota, QuotaCheck::Full { .. })
    }

    #[test]
    fn a_count_is_good_for_a_minute_and_goes_on_by_what_is_added() {
        let quota = GuestQuota::default();
        unknown(quota.enter(at(0), 3)).finish(1);
        free(quota.enter(at(0), 3)).take();
        free(quota.enter(at(59), 3)).take();
        assert!(is_full(&quota.enter(at(59), 3)));
        unknown(quota.enter(at(60), 3)).finish(2);
        free(quota.enter(at(60), 3)).take();
        assert!(is_full(&quota.enter(at(119), 3)));
    }

    #[test]
    fn a_count_of_a_time_ahead_is_none() {
        let quota = GuestQuota::default();
        unknown(quota.enter(at(1_000), 3)).finish(0);
        drop(unknown(quota.enter(at(999), 3)));
    }

    #[test]
    fn a_full_store_is_news_once_a_minute() {
        let quota = GuestQuota::default();
        let is_news = |now| loop {
            match quota.enter(now, 1) {
                QuotaCheck::Unknown(count) => count.finish(1),
                QuotaCheck::Full { is_news } => break is_news,
                other => panic!("not full: {other:?}"),
            }
        };
        let news = [0, 1, 59, 60, 61, 119, 120].map(|second| is_news(at(second)));
        assert_eq!(news, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_guest_who_has_ended_leaves_room_without_another_count() {
        let quota = GuestQuota::default();
        unknown(quota.enter(at(0), 2)).finish(2);
        for second in 1..59 {
            assert!(is_full(&quota.enter(at(second), 2)));
            quota.release_one();
            free(quota.enter(at(second), 2)).take();
            assert!(is_full(&quota.enter(at(second), 2)));
        }
        unknown(quota.enter(at(60), 2)).finish(0);
        quota.release_one();
        free(quota.enter(at(60), 2)).take();
        free(quota.enter(at(60), 2)).take();
        assert!(is_full(&quota.enter(at(60), 2)), "none that was not counted leaves room");
    }

    fn first_count(quota: QuotaCheck<'_>) -> FirstCount<'_> {
        match quota {
            QuotaCheck::BeingCounted(count) => count,
            other => panic!("not being counted: {other:?}"),
        }
    }

    /// What those who wait for a count find once it is over.
    fn found(count: FirstCount<'_>) -> Option<bool> {
        let waiting = std::pin::pin!(count.has_not_failed());
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => Some(found),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_counts_first_and_the_others_wait_for_it() {
        let quota = GuestQuota::default();
        let count = unknown(quota.enter(at(0), 3));
        let [early, late] = [0, 1].map(|second| first_count(quota.enter(at(second), 3)));
        assert_eq!(found(early), None);
        count.finish(1);
        assert_eq!(found(late), Some(true));
        free(quota.enter(at(1), 3)).take();
        // Later ones go by the last count meanwhile.
        let count = unknown(quota.enter(at(60), 3));
        free(quota.enter(at(60), 3)).take();
        drop(count);
    }

    #[test]
    fn who_goes_away_during_the_first_count_leaves_it_to_the_next_one() {
        let quota = GuestQuota::default();
        let count = unknown(quota.enter(at(0), 1));
        let waiting = first_count(quota.enter(at(0), 1));
        drop(count);
        assert_eq!(found(waiting), Some(true));
        let count = unknown(quota.enter(at(0), 1));
        drop(first_count(quota.enter(at(0), 1)));
        count.finish(1);
        assert!(is_full(&quota.enter(at(0), 1)));
    }

    #[test]
    fn those_who_wait_for_a_first_count_that_fails_do_not_count_one_after_the_other() {
        let quota = GuestQuota::default();
        let count = unknown(quota.enter(at(0), 1));
        let waiting = first_count(quota.enter(at(0), 1));
        count.fail();
        assert_eq!(found(waiting), Some(false));
        drop(unknown(quota.enter(at(0), 1)));
    }

    #[test]
    fn places_that_were_not_taken_have_a_full_store_counted_once_more_in_a_minute() {
        let quota = GuestQuota::default();
        unknown(quota.enter(at(0), 1)).finish(0);
        drop(free(quota.enter(at(1), 1)));
        unknown(quota.enter(at(2), 1)).finish(0);
        for second in 3..60 {
            if let QuotaCheck::Free(slot) = quota.enter(at(second), 1) {
                drop(slot);
            }
            assert!(is_full(&quota.enter(at(second), 1)), "at {second}");
        }
    }

    #[test]
    fn those_that_are_being_written_are_counted_whether_the_count_has_found_them_or_not() {
        for found in [0, 1] {
            let quota = GuestQuota::default();
            unknown(quota.enter(at(0), 2)).finish(0);
            let slot = free(quota.enter(at(0), 2));
            unknown(quota.enter(at(60), 2)).finish(found);
            slot.take();
            let mut found_session = 1;
            for _ in 0..4 {
                match quota.enter(at(60), 2) {
                    QuotaCheck::Free(slot) => {
                        slot.take();
                        found_session += 1;
                    }
                    QuotaCheck::Unknown(count) => count.finish(found_session),
                    QuotaCheck::Full { .. } => {}
                    QuotaCheck::BeingCounted(count) => panic!("counted already: {count:?}"),
                }
            }
            assert_eq!(found_session, 2, "neither one more nor one less, where {found} was found");
        }
    }

    #[test]
    fn those_who_come_during_a_count_go_by_the_last_one_and_are_added_to_the_next() {
        let quota = GuestQuota::default();
        unknown(quota.enter(at(0), 4)).finish(1);
        let count = unknown(quota.enter(at(60), 4));
        free(quota.enter(at(60), 4)).take();
        free(quota.enter(at(60), 4)).take();
        count.finish(1);
        free(quota.enter(at(60), 4)).take();
        drop(unknown(quota.enter(at(60), 4)));
    }

    #[test]
    fn a_count_that_fails_is_asked_for_again_by_the_next() {
        let quota = GuestQuota::default();
        drop(unknown(quota.enter(at(0), 1)));
        unknown(quota.enter(at(0), 1)).finish(0);
        drop(unknown(quota.enter(at(60), 1)));
        drop(unknown(quota.enter(at(60), 1)));
    }

    #[test]
    fn a_place_that_is_not_taken_has_a_full_store_counted_again() {
        let quota = GuestQuota::default();
        unknown(quota.enter(at(0), 1)).finish(0);
        drop(free(quota.enter(at(0), 1)));
        unknown(quota.enter(at(0), 1)).finish(0);
        free(quota.enter(at(0), 1)).take();
    }
}
