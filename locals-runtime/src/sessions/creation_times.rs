//! The creation times of the sessions of this process, which increase for each user.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::model::{
    time::{TOLERANCE, Timestamp},
    user_id::UserId,
};

/// The number of separate creation times; users with the same hash share one.
const SLOTS: usize = 256;

/// The times at which this process has created sessions. Of two sessions of a user the later one
/// has the later time, even within a millisecond, and even if the clock has gone back slightly.
#[derive(Debug)]
pub(crate) struct CreationTimes {
    /// The latest time of the users with each hash.
    latest: [AtomicI64; SLOTS],
}

impl Default for CreationTimes {
    fn default() -> Self {
        Self { latest: [const { AtomicI64::new(i64::MIN) }; SLOTS] }
    }
}

impl CreationTimes {
    /// Returns the creation time of a session of this user that is created now.
    pub(crate) fn next(&self, user: &UserId, now: Timestamp) -> Timestamp {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        let slot = usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0);
        let next = |latest| Some(after(Timestamp::from_millis(latest), now).as_millis());
        let slot = &self.latest[slot];
        let before = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        // The closure always returns a value, so the update never fails.
        let (Ok(before) | Err(before)) = before;
        after(Timestamp::from_millis(before), now)
    }
}

/// Returns the time of a session that is created now, after one that was created at `latest`.
pub(super) fn after(latest: Timestamp, now: Timestamp) -> Timestamp {
    if latest >= now && latest <= now + TOLERANCE { latest + Duration::from_millis(1) } else { now }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_new_session_is_the_newest_even_if_the_clock_goes_back_up_to_a_minute() {
        for (latest, now, expected) in [
            (i64::MIN, 5, 5),
            (4, 5, 5),
            (5, 5, 6),
            (6, 5, 7),
            (60_005, 5, 60_006),
            (60_006, 5, 5),
            (i64::MAX, 5, 5),
            (i64::MAX, i64::MAX, i64::MAX),
        ] {
            assert_eq!(after(at(latest), at(now)), at(expected), "{latest} {now}");
        }
    }

    proptest! {
        #[test]
        fn the_creation_times_of_a_user_increase(
            steps in prop::collection::vec(-60_000_i64..2_000, 1..50),
        ) {
            let creation_times = CreationTimes::default();
            let user = UserId::Integer(7);
            let (mut furthest, mut last) = (1_000_000, at(i64::MIN));
            for step in steps {
                // Never further back than a minute from the latest that was shown.
                let now = (furthest + step).max(last.as_millis().saturating_sub(60_000));
                furthest = furthest.max(now);
                let next = creation_times.next(&user, at(now));
                prop_assert!(next > last && next >= at(now) && next <= at(now + 60_001));
                last = next;
            }
        }
    }
}
