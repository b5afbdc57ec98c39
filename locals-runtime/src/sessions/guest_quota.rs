//! Whether a store has room for one more guest, without a query for each of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, futures::Notified};

use crate::model::{settings::GUEST_COUNT_LASTS, time::Timestamp};

/// The number of guests, as far as this process knows it: those of the last count, plus those that
/// it has added since, minus those that it has ended.
///
/// A single process never exceeds the limit. Several processes may exceed it by as many as the
/// others add between two counts.
#[derive(Debug, Default)]
pub(crate) struct GuestQuota {
    state: Mutex<State>,
    /// Notified when the first count is over, whether it succeeded or not.
    counted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When the last count was started; `None` if the next check must count.
    counted_at: Option<Timestamp>,
    /// Whether the first count is running.
    is_first_count: bool,
    /// How many first counts have failed.
    failures: u64,
    /// `None` before the first count.
    guests: Option<u64>,
    /// Guests that are being written; a count may or may not include them.
    pending: u64,
    /// The total number of guests admitted by this process.
    admitted: u64,
    /// Whether there may be fewer than `guests`, because some may not have been written, or may
    /// have been counted twice. A store that seems full is then counted again before it counts as
    /// full.
    may_overcount: bool,
    /// When it was last counted again for that reason.
    recounted_at: Option<Timestamp>,
    warned_at: Option<Timestamp>,
}

/// Whether one more guest is admitted.
#[derive(Debug)]
pub(crate) enum QuotaCheck<'a> {
    Free(GuestSlot<'a>),
    /// `should_warn`: whether no warning has been logged for a minute.
    Full {
        should_warn: bool,
    },
    /// The caller must count the guests.
    Unknown(Count<'a>),
    /// Another request makes the first count: try again after that.
    BeingCounted(FirstCount<'a>),
}

/// Waits for the first count, which another request makes.
#[derive(Debug)]
pub(crate) struct FirstCount<'a> {
    quota: &'a GuestQuota,
    is_over: Notified<'a>,
    failures: u64,
}

impl FirstCount<'_> {
    /// Waits until it is over. Returns `false` if it has failed. If the request that counts is
    /// canceled, this returns `true`, and the next request counts.
    pub(crate) async fn has_not_failed(self) -> bool {
        self.is_over.await;
        self.quota.state().failures == self.failures
    }
}

impl GuestQuota {
    /// Admits one more guest, if there are fewer than `limit`.
    pub(crate) fn reserve(&self, now: Timestamp, limit: u64) -> QuotaCheck<'_> {
        let mut state = self.state();
        match state.guests.filter(|_| is_within(state.counted_at, now)) {
            Some(guests) if guests < limit => {
                state.guests = Some(guests + 1);
                state.admitted += 1;
                state.pending += 1;
                QuotaCheck::Free(GuestSlot { quota: self, is_taken: false })
            }
            Some(_) if !state.may_overcount || is_within(state.recounted_at, now) => {
                let should_warn = !is_within(state.warned_at, now);
                if should_warn {
                    state.warned_at = Some(now);
                }
                QuotaCheck::Full { should_warn }
            }
            // Created while the state is locked, so it misses no notification.
            _ if state.is_first_count => QuotaCheck::BeingCounted(FirstCount {
                quota: self,
                is_over: self.counted.notified(),
                failures: state.failures,
            }),
            known => {
                if known.is_some() {
                    state.recounted_at = Some(now);
                }
                // Meanwhile other requests use the last count, if there is one.
                state.counted_at = state.guests.map(|_| now);
                state.is_first_count = state.guests.is_none();
                state.may_overcount = false;
                let (admitted, pending) = (state.admitted, state.pending);
                QuotaCheck::Unknown(Count {
                    quota: self,
                    started_at: now,
                    admitted,
                    pending,
                    is_done: false,
                })
            }
        }
    }

    /// Records that a guest has ended. A running count may still have included them, and is valid
    /// for its minute.
    pub(crate) fn release_one(&self) {
        let mut state = self.state();
        state.guests = state.guests.map(|guests| guests.saturating_sub(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No operation leaves the numbers inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reserved slot for a guest that is about to be written.
#[derive(Debug)]
pub(crate) struct GuestSlot<'a> {
    quota: &'a GuestQuota,
    is_taken: bool,
}

impl GuestSlot<'_> {
    /// Records that the guest has been written.
    pub(crate) fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for GuestSlot<'_> {
    fn drop(&mut self) {
        let mut state = self.quota.state();
        state.pending -= 1;
        // If the write failed, it is not known whether the guest exists: the next count decides.
        state.may_overcount |= !self.is_taken;
    }
}

/// A running count of the guests. If it fails or is dropped, the next request counts again.
#[derive(Debug)]
pub(crate) struct Count<'a> {
    quota: &'a GuestQuota,
    started_at: Timestamp,
    /// The numbers when it was started.
    admitted: u64,
    pending: u64,
    is_done: bool,
}

impl Count<'_> {
    /// Records the number that the store has counted.
    pub(crate) fn finish(mut self, counted: u64) {
        let mut state = self.quota.state();
        let unseen = self.pending + (state.admitted - self.admitted);
        state.guests = Some(counted.saturating_add(unseen));
        state.counted_at = Some(self.started_at);
        state.may_overcount |= unseen > 0;
        drop(state);
        self.is_done = true;
    }

    /// Records that the count failed. Requests that wait for the first count then fail too, instead
    /// of counting one after the other.
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

/// Whether a time is less than a minute ago. A time in the future, after the clock was set back, is
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
    fn a_count_is_valid_for_a_minute_and_includes_the_guests_added_since() {
        let quota = GuestQuota::default();
        unknown(quota.reserve(at(0), 3)).finish(1);
        free(quota.reserve(at(0), 3)).take();
        free(quota.reserve(at(59), 3)).take();
        assert!(is_full(&quota.reserve(at(59), 3)));
        unknown(quota.reserve(at(60), 3)).finish(2);
        free(quota.reserve(at(60), 3)).take();
        assert!(is_full(&quota.reserve(at(119), 3)));
    }

    #[test]
    fn a_count_from_the_future_is_not_valid() {
        let quota = GuestQuota::default();
        unknown(quota.reserve(at(1_000), 3)).finish(0);
        drop(unknown(quota.reserve(at(999), 3)));
    }

    #[test]
    fn a_full_store_should_warn_once_a_minute() {
        let quota = GuestQuota::default();
        let should_warn = |now| loop {
            match quota.reserve(now, 1) {
                QuotaCheck::Unknown(count) => count.finish(1),
                QuotaCheck::Full { should_warn } => break should_warn,
                other => panic!("not full: {other:?}"),
            }
        };
        let warned = [0, 1, 59, 60, 61, 119, 120].map(|second| should_warn(at(second)));
        assert_eq!(warned, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_guest_that_ends_makes_room_without_another_count() {
        let quota = GuestQuota::default();
        unknown(quota.reserve(at(0), 2)).finish(2);
        for second in 1..59 {
            assert!(is_full(&quota.reserve(at(second), 2)));
            quota.release_one();
            free(quota.reserve(at(second), 2)).take();
            assert!(is_full(&quota.reserve(at(second), 2)));
        }
        unknown(quota.reserve(at(60), 2)).finish(0);
        quota.release_one();
        free(quota.reserve(at(60), 2)).take();
        free(quota.reserve(at(60), 2)).take();
        assert!(is_full(&quota.reserve(at(60), 2)), "a guest that was not counted makes no room");
    }

    fn first_count(quota: QuotaCheck<'_>) -> FirstCount<'_> {
        match quota {
            QuotaCheck::BeingCounted(count) => count,
            other => panic!("not being counted: {other:?}"),
        }
    }

    /// The result for a request that waits for a count.
    fn found(count: FirstCount<'_>) -> Option<bool> {
        let waiting = std::pin::pin!(count.has_not_failed());
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => Some(found),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_request_makes_the_first_count_and_the_others_wait() {
        let quota = GuestQuota::default();
        let count = unknown(quota.reserve(at(0), 3));
        let [early, late] = [0, 1].map(|second| first_count(quota.reserve(at(second), 3)));
        assert_eq!(found(early), None);
        count.finish(1);
        assert_eq!(found(late), Some(true));
        free(quota.reserve(at(1), 3)).take();
        // During later counts the last one is used.
        let count = unknown(quota.reserve(at(60), 3));
        free(quota.reserve(at(60), 3)).take();
        drop(count);
    }

    #[test]
    fn if_the_first_count_is_canceled_the_next_request_counts() {
        let quota = GuestQuota::default();
        let count = unknown(quota.reserve(at(0), 1));
        let waiting = first_count(quota.reserve(at(0), 1));
        drop(count);
        assert_eq!(found(waiting), Some(true));
        let count = unknown(quota.reserve(at(0), 1));
        drop(first_count(quota.reserve(at(0), 1)));
        count.finish(1);
        assert!(is_full(&quota.reserve(at(0), 1)));
    }

    #[test]
    fn requests_that_wait_for_a_failed_first_count_do_not_count_again() {
        let quota = GuestQuota::default();
        let count = unknown(quota.reserve(at(0), 1));
        let waiting = first_count(quota.reserve(at(0), 1));
        count.fail();
        assert_eq!(found(waiting), Some(false));
        drop(unknown(quota.reserve(at(0), 1)));
    }

    #[test]
    fn places_that_were_not_taken_have_a_full_store_counted_once_more_in_a_minute() {
        let quota = GuestQuota::default();
        unknown(quota.reserve(at(0), 1)).finish(0);
        drop(free(quota.reserve(at(1), 1)));
        unknown(quota.reserve(at(2), 1)).finish(0);
        for second in 3..60 {
            if let QuotaCheck::Free(slot) = quota.reserve(at(second), 1) {
                drop(slot);
            }
            assert!(is_full(&quota.reserve(at(second), 1)), "at {second}");
        }
    }

    #[test]
    fn pending_guests_count_whether_the_store_has_counted_them_or_not() {
        for found in [0, 1] {
            let quota = GuestQuota::default();
            unknown(quota.reserve(at(0), 2)).finish(0);
            let slot = free(quota.reserve(at(0), 2));
            unknown(quota.reserve(at(60), 2)).finish(found);
            slot.take();
            let mut admitted = 1;
            for _ in 0..4 {
                match quota.reserve(at(60), 2) {
                    QuotaCheck::Free(slot) => {
                        slot.take();
                        admitted += 1;
                    }
                    QuotaCheck::Unknown(count) => count.finish(admitted),
                    QuotaCheck::Full { .. } => {}
                    QuotaCheck::BeingCounted(count) => panic!("counted already: {count:?}"),
                }
            }
            assert_eq!(admitted, 2, "neither one more nor one less, where {found} was found");
        }
    }

    #[test]
    fn guests_during_a_count_use_the_last_one_and_are_added_to_the_next() {
        let quota = GuestQuota::default();
        unknown(quota.reserve(at(0), 4)).finish(1);
        let count = unknown(quota.reserve(at(60), 4));
        free(quota.reserve(at(60), 4)).take();
        free(quota.reserve(at(60), 4)).take();
        count.finish(1);
        free(quota.reserve(at(60), 4)).take();
        drop(unknown(quota.reserve(at(60), 4)));
    }

    #[test]
    fn after_a_failed_count_the_next_request_counts() {
        let quota = GuestQuota::default();
        drop(unknown(quota.reserve(at(0), 1)));
        unknown(quota.reserve(at(0), 1)).finish(0);
        drop(unknown(quota.reserve(at(60), 1)));
        drop(unknown(quota.reserve(at(60), 1)));
    }

    #[test]
    fn a_slot_that_is_not_taken_makes_a_full_store_be_counted_again() {
        let quota = GuestQuota::default();
        unknown(quota.reserve(at(0), 1)).finish(0);
        drop(free(quota.reserve(at(0), 1)));
        unknown(quota.reserve(at(0), 1)).finish(0);
        free(quota.reserve(at(0), 1)).take();
    }
}
