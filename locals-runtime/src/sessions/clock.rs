//! The clock of an app, and one that tests move by hand.

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
        Self(Arc::new(Hands { time: AtomicI64::new(time.as_millis()), moved: Notify::new() }))
    }

    /// Sets the clock to `time`, which may lie in its past.
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
    fn the_clock_of_the_system_has_passed_what_is_past() {
        let mut context = Context::from_waker(Waker::noop());
        let past = SystemClock.now();
        assert!(pin!(SystemClock.wait_until(past)).poll(&mut context).is_ready());
    }
}
