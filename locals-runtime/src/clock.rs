//! The time: one kind of instant, and a clock that can be moved by hand.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// How far ahead of the clock an instant may lie that was noted as "now": the clocks of two nodes
/// differ a little. What lies further ahead was noted by a clock that was wrong.
pub(crate) const TOLERANCE: Duration = Duration::from_mins(1);

/// An instant in UTC, counted in milliseconds since 1970-01-01T00:00:00Z.
///
/// Serialised as that number, which is what JavaScript's `new Date(..)` takes.
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
    /// The instant this many milliseconds after 1970-01-01T00:00:00Z (before it, if negative).
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How long ago this was at `now`. `None` if it lies more than [`TOLERANCE`] ahead: then the
    /// clock was wrong, how long ago it really was nobody knows, and it counts as old.
    pub(crate) fn age_at(self, now: Self) -> Option<Duration> {
        (self.since(now) <= TOLERANCE).then(|| now.since(self))
    }
}

/// The whole milliseconds of a duration; at most as many as an `i64` can count.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Saturates at the ends of the range instead of wrapping.
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

/// Where the time comes from. The app's clock is [`SystemClock`]; tests move a [`ManualClock`].
///
/// ```
/// use locals::{Clock, SystemClock, Timestamp};
///
/// /// A clock that is a minute ahead of that of the system, to try what that does.
/// struct Fast;
///
/// impl Clock for Fast {
///     fn now(&self) -> Timestamp {
///         SystemClock.now() + std::time::Duration::from_mins(1)
///     }
/// }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits until the clock shows `time` or later, or has been set back, so that whoever waits can
    /// look again: it may never show `time`. Needs a Tokio runtime, as every Actix app has.
    fn wait_until(&self, time: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut last = self.now();
            loop {
                let now = self.now();
                let Some(pause) = next_look(time, last, now) else { return };
                last = now;
                tokio::time::sleep(pause).await;
            }
        })
    }
}

/// How long to sleep until the clock is looked at again, which may be set meanwhile; `None` if the
/// wait is over.
fn next_look(until: Timestamp, last: Timestamp, now: Timestamp) -> Option<Duration> {
    let is_over = now >= until || now < last;
    (!is_over).then(|| until.since(now).min(Duration::from_mins(1)))
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands still until it is moved, so that tests never sleep.
///
/// Clones share one time.
///
/// ```
/// use std::time::Duration;
/// use locals::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp::from_millis(0));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().as_millis(), 60_000);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    time: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    /// A clock that shows `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(Hands { time: AtomicI64::new(time.0), moved: Notify::new() }))
    }

    /// Sets the clock to `time`, which may lie in its past.
    pub fn set(&self, time: Timestamp) {
        self.0.time.store(time.0, Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now() + duration);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.time.load(Ordering::SeqCst))
    }

    fn wait_until(&self, time: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut last = self.now();
            loop {
                let mut moved = std::pin::pin!(self.0.moved.notified());
                // A move counts from here, so that none is missed after looking at the time.
                moved.as_mut().enable();
                let now = self.now();
                if now >= time || now < last {
                    return;
                }
                last = now;
                moved.await;
            }
        })
    }
}

impl fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::AtomicUsize,
        task::{Context, Wake, Waker},
    };

    use super::*;

    /// Counts how often a future asks to be looked at.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_clock_that_is_moved_wakes_those_who_wait_for_what_it_shows_then() {
        let clock = ManualClock::at(Timestamp::from_millis(10));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        assert!(pin!(clock.wait_until(Timestamp::from_millis(10))).poll(&mut context).is_ready());

        let mut waiting = pin!(clock.wait_until(Timestamp::from_millis(20)));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        for (moved, time) in [(1, 15), (2, 15), (3, 19)] {
            clock.clone().set(Timestamp::from_millis(time));
            assert_eq!(woken.0.load(Ordering::SeqCst), moved);
            assert!(waiting.as_mut().poll(&mut context).is_pending(), "it shows {time}");
        }
        clock.advance(Duration::from_millis(1));
        assert_eq!(woken.0.load(Ordering::SeqCst), 4);
        assert!(waiting.poll(&mut context).is_ready());
    }

    #[test]
    fn a_clock_that_is_set_back_wakes_those_who_wait_so_that_they_look_again() {
        let clock = ManualClock::at(Timestamp::from_millis(10));
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = pin!(clock.wait_until(Timestamp::from_millis(20)));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        clock.set(Timestamp::from_millis(15));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        clock.set(Timestamp::from_millis(14));
        assert!(waiting.poll(&mut context).is_ready());
    }

    #[test]
    fn a_clock_is_looked_at_once_a_minute_until_it_shows_the_time_or_was_set_back() {
        let at = Timestamp::from_millis;
        let minute = Duration::from_mins(1);
        for (last, now, expected) in [
            (0, 0, Some(minute)),
            (0, 30_000, Some(minute)),
            (0, 30_001, Some(Duration::from_millis(59_999))),
            (0, 89_999, Some(Duration::from_millis(1))),
            (0, 90_000, None),
            (0, 90_001, None),
            (5, 4, None),
            (i64::MAX, i64::MIN, None),
        ] {
            assert_eq!(next_look(at(90_000), at(last), at(now)), expected, "{last} {now}");
        }
    }

    #[test]
    fn what_lies_further_ahead_than_a_minute_has_no_age() {
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
    fn the_time_since_what_is_later_is_zero_and_a_sum_saturates() {
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
    fn a_time_of_the_system_reads_back_before_1970_too() {
        for millis in [-86_400_001, -1, 0, 1, 1_800_000_000_123] {
            let time = Timestamp::from_millis(millis);
            let distance = Duration::from_millis(millis.unsigned_abs());
            let expected = if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
            assert_eq!(SystemTime::from(time), expected);
            assert_eq!(Timestamp::from(expected), time);
        }
    }

    #[test]
    fn the_clock_of_the_system_shows_the_time_of_the_system() {
        let before: Timestamp = SystemTime::now().into();
        let shown = SystemClock.now();
        assert!(before <= shown && shown <= SystemTime::now().into());
    }

    #[test]
    fn a_clock_says_of_itself_that_it_is_one() {
        let clock: &dyn Clock = &SystemClock;
        assert_eq!(format!("{clock:?}"), "Clock");
    }

    #[test]
    fn a_time_is_serialised_as_a_number_and_reads_back() {
        for millis in [i64::MIN, -1, 0, 1_800_000_000_123, i64::MAX] {
            let text = serde_json::to_string(&Timestamp::from_millis(millis)).unwrap();
            assert_eq!(text, millis.to_string());
            let read: Timestamp = serde_json::from_str(&text).unwrap();
            assert_eq!(read.as_millis(), millis);
        }
    }

    #[test]
    fn the_clock_of_the_system_has_passed_what_is_past() {
        let mut context = Context::from_waker(Waker::noop());
        let past = SystemClock.now();
        assert!(pin!(SystemClock.wait_until(past)).poll(&mut context).is_ready());
    }
}
