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

    /// Waits until the clock shows `time` or later. Needs a Tokio runtime, as every Actix app has.
    fn wait_until(&self, time: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let left = time.since(self.now());
                if left.is_zero() {
                    return;
                }
                // The clock may be set meanwhile.
                tokio::time::sleep(left.min(Duration::from_mins(1))).await;
            }
        })
    }
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
            loop {
                let mut moved = std::pin::pin!(self.0.moved.notified());
                // A move counts from here, so that none is missed after looking at the time.
                moved.as_mut().enable();
                if self.now() >= time {
                    return;
                }
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
        for (moved, time) in [(1, 19), (2, 5), (3, 19)] {
            clock.clone().set(Timestamp::from_millis(time));
            assert_eq!(woken.0.load(Ordering::SeqCst), moved);
            assert!(waiting.as_mut().poll(&mut context).is_pending(), "it shows {time}");
        }
        clock.advance(Duration::from_millis(1));
        assert_eq!(woken.0.load(Ordering::SeqCst), 4);
        assert!(waiting.poll(&mut context).is_ready());
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
