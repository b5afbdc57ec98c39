//! The clock of an app, and a clock for tests.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::Notify;

use crate::model::time::Timestamp;

/// The source of the time. Apps use [`SystemClock`]; tests use [`ManualClock`].
///
/// ```
/// use locals::{Clock, SystemClock, Timestamp};
///
/// /// A clock that is a minute ahead of the system's clock.
/// struct Fast;
///
/// impl Clock for Fast {
///     fn now(&self) -> Timestamp {
///         SystemClock.now() + std::time::Duration::from_mins(1)
///     }
/// }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Waits until the clock shows `time` or later, or has been set back. In the second case the
    /// caller must check the time again, since the clock may never show `time`. Needs a Tokio
    /// runtime, which every Actix app has.
    fn wait_until(&self, time: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut last = self.now();
            loop {
                let now = self.now();
                let Some(pause) = pause_until_next_check(time, last, now) else { return };
                last = now;
                tokio::time::sleep(pause).await;
            }
        })
    }
}

/// Returns how long to sleep before the next check of the clock, which may be set in the meantime;
/// `None` if the wait is over.
fn pause_until_next_check(until: Timestamp, last: Timestamp, now: Timestamp) -> Option<Duration> {
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

/// A clock that moves only when a test moves it, so that tests need not sleep.
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
pub struct ManualClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    time: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    /// Returns a clock that shows `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(Shared { time: AtomicI64::new(time.as_millis()), moved: Notify::new() }))
    }

    /// Sets the clock to `time`, which may be in the past.
    pub fn set(&self, time: Timestamp) {
        self.0.time.store(time.as_millis(), Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now() + duration);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.time.load(Ordering::SeqCst))
    }

    fn wait_until(&self, time: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut last = self.now();
            loop {
                let mut moved = std::pin::pin!(self.0.moved.notified());
                // Enabled before the time is read, so that no move is missed.
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

    /// Counts how often a future is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_clock_that_reaches_the_time_ends_the_wait() {
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
    fn a_clock_that_is_set_back_ends_the_wait() {
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
    fn the_clock_is_checked_each_minute_until_the_time_is_reached_or_it_is_set_back() {
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
            assert_eq!(
                pause_until_next_check(at(90_000), at(last), at(now)),
                expected,
                "{last} {now}"
            );
        }
    }

    #[test]
    fn the_system_clock_shows_the_system_time() {
        let before: Timestamp = SystemTime::now().into();
        let shown = SystemClock.now();
        assert!(before <= shown && shown <= SystemTime::now().into());
    }

    #[test]
    fn a_clock_has_a_debug_representation() {
        let clock: &dyn Clock = &SystemClock;
        assert_eq!(format!("{clock:?}"), "Clock");
    }

    #[test]
    fn waiting_for_a_past_time_ends_immediately() {
        let mut context = Context::from_waker(Waker::noop());
        let past = SystemClock.now();
        assert!(pin!(SystemClock.wait_until(past)).poll(&mut context).is_ready());
    }
}
