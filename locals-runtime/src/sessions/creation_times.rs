//! When the sessions of this process were created: each of a user's later than the one before.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::model::{
    time::{TOLERANCE, Timestamp},
    user_id::UserId,
};

/// How many users' times of creation are told apart.
const PLACES: usize = 256;

/// The times at which this process has created sessions, so that of two sessions of a user the later
/// one is the newer one also within one millisecond, and where the clock has gone back a little.
#[derive(Debug)]
pub(crate) struct CreationTimes {
    /// The latest time for the users with each hash.
    latest: [AtomicI64; PLACES],
}

impl Default for CreationTimes {
    fn default() -> Self {
        Self { latest: [const { AtomicI64::new(i64::MIN) }; PLACES] }
    }
}

impl CreationTimes {
    /// The time of creation of a session of this user that is created now.
    pub(crate) fn next(&self, user: &UserId, now: Timestamp) -> Timestamp {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        let next = |latest| Some(after(Timestamp::from_millis(latest), now).as_millis());
        let place = &self.latest[place];
        let before = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        // It always gives the next one, and so is never refused.
        let (Ok(before) | Err(before)) = before;
        after(Timestamp::from_millis(before), now)
    }
}

/// The time of what is created now, after something that was created at `latest`.
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
    fn a_clock_that_goes_back_a_minute_or_stands_still_makes_no_session_older() {
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
        fn of_a_users_sessions_the_later_one_is_the_newer_one(
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
