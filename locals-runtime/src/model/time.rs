//! Timestamps: milliseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How far in the future a stored time of an event may lie, because the clocks of two nodes differ a
/// little. A time further ahead was noted by a clock that was wrong.
pub(crate) const TOLERANCE: Duration = Duration::from_mins(1);

/// A point in time in UTC, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Serialized as that number, which is what JavaScript's `new Date(..)` takes.
///
/// ```
/// use std::time::Duration;
/// use locals::Timestamp;
///
/// let start = Timestamp::from_millis(1_000);
/// assert_eq!((start + Duration::from_secs(2)).as_millis(), 3_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp from milliseconds since 1970-01-01T00:00:00Z (before it, if negative).
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns how long ago this was at `now`. `None` if it lies more than [`TOLERANCE`] ahead: the clock
    /// that noted it was wrong, its real age is unknown, and it counts as old.
    pub(crate) fn age_at(self, now: Self) -> Option<Duration> {
        (self.since(now) <= TOLERANCE).then(|| now.since(self))
    }
}

/// Returns the whole milliseconds of a duration, saturating at `i64::MAX`.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Saturates instead of overflowing.
impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = Duration::from_millis(timestamp.0.unsigned_abs());
        if timestamp.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_more_than_a_minute_ahead_has_no_age() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = |millis: i64| Timestamp::from_millis(now.as_millis() + millis);
        for (millis, age) in [
            (-3_600_000, Some(3_600_000)),
            (-1, Some(1)),
            (0, Some(0)),
            (1, Some(0)),
            (60_000, Some(0)),
            (60_001, None),
            (3_600_000, None),
        ] {
            assert_eq!(at(millis).age_at(now), age.map(Duration::from_millis), "{millis}");
        }
        let ends = [i64::MIN, i64::MAX].map(Timestamp::from_millis);
        assert!(ends[0].age_at(ends[1]).is_some());
        assert_eq!(ends[1].age_at(ends[0]), None);
    }

    #[test]
    fn differences_are_never_negative_and_sums_saturate() {
        let at = Timestamp::from_millis;
        assert_eq!(at(7).since(at(5)), Duration::from_millis(2));
        assert_eq!(at(5).since(at(7)), Duration::ZERO);
        assert_eq!(at(i64::MAX) + Duration::from_millis(1), at(i64::MAX));
        assert_eq!(at(5) + Duration::MAX, at(i64::MAX));
        assert_eq!(at(5) + Duration::from_millis(2), at(7));
        assert_eq!(millis(Duration::MAX), i64::MAX);
        assert_eq!(millis(Duration::from_micros(2_999)), 2);
    }

    #[test]
    fn system_times_round_trip_even_before_1970() {
        for millis in [-86_400_001, -1, 0, 1, 1_800_000_000_123] {
            let time = Timestamp::from_millis(millis);
            let distance = Duration::from_millis(millis.unsigned_abs());
            let expected = if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
            assert_eq!(SystemTime::from(time), expected);
            assert_eq!(Timestamp::from(expected), time);
        }
    }

    #[test]
    fn a_timestamp_is_serialized_as_a_number_and_round_trips() {
        for millis in [i64::MIN, -1, 0, 1_800_000_000_123, i64::MAX] {
            let text = serde_json::to_string(&Timestamp::from_millis(millis)).unwrap();
            assert_eq!(text, millis.to_string());
            let read: Timestamp = serde_json::from_str(&text).unwrap();
            assert_eq!(read.as_millis(), millis);
        }
    }
}
