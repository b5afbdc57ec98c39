//! The sweeper: deletes the rows of expired sessions at an interval.

use std::time::{Duration, Instant};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    model::{
        error::{ConfigError, Error, chain},
        time::{TOLERANCE, Timestamp},
    },
    sessions::manager::SessionManager,
};

/// The maximum number of rows that one statement deletes, so that it does not block others for
/// long.
pub(crate) const SWEEP_BATCH: u32 = 1_000;

impl SessionManager {
    /// Deletes the rows of all expired sessions, a thousand at a time, and returns their number.
    ///
    /// Expired sessions are refused in any case; deleting their rows only saves space.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>) -> Result<(), Error> {
    /// let deleted = auth.delete_expired_sessions().await?;
    /// println!("{deleted} rows less");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails. Rows deleted before that stay deleted.
    pub async fn delete_expired_sessions(&self) -> Result<u64, Error> {
        let now = self.now();
        let mut total = 0;
        loop {
            let deleted = self.sweep_batch(now).await?;
            total += deleted;
            if deleted < u64::from(SWEEP_BATCH) {
                return Ok(total);
            }
        }
    }

    /// Deletes a batch of sessions that have expired at `now`. The last batch is smaller than the
    /// others.
    pub(crate) async fn sweep_batch(&self, now: Timestamp) -> Result<u64, Error> {
        Ok(self.context().store.delete_expired(now, SWEEP_BATCH).await?)
    }
}

/// How long the sweeper pauses after the clock has jumped.
const PAUSE_AFTER_JUMP: Duration = Duration::from_hours(1);

/// The pause after a statement, as a multiple of its duration. So the sweeper works a twentieth of
/// the time, and the few requests that it slows down do not show in the 99th percentile.
const PAUSE_FACTOR: u32 = 19;

/// Deletes expired sessions in the background until it is dropped. Made by
/// [`SessionManager::spawn_sweeper`].
#[derive(Debug)]
#[must_use = "the sweeper stops when it is dropped"]
pub struct Sweeper(JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SessionManager {
    /// Starts a task that deletes the rows of expired sessions every `interval`. It stops when the
    /// [`Sweeper`] is dropped. Any number of nodes may run one at the same time.
    ///
    /// Each statement deletes at most a thousand rows and is followed by a pause of nineteen times
    /// its duration, so that requests hardly slow down.
    ///
    /// After the clock has jumped it deletes nothing for an hour, because the time may be wrong and
    /// deleted rows cannot be restored.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use locals::{Auth, AuthUser};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # fn example(auth: Auth<Account>) -> Result<(), locals::ConfigError> {
    /// let sweeper = auth.spawn_sweeper(Duration::from_mins(10))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] if `interval` is zero.
    ///
    /// # Panics
    /// Outside a Tokio runtime. Actix's `main` macro provides one.
    pub fn spawn_sweeper(&self, interval: Duration) -> Result<Sweeper, ConfigError> {
        if interval.is_zero() {
            let reason = "the interval of `spawn_sweeper` is zero, but it must be longer: \
                          use ten minutes, for example";
            return Err(ConfigError(reason.to_owned()));
        }
        Ok(Sweeper(tokio::spawn(sweep_forever(self.clone(), interval))))
    }
}

async fn sweep_forever(sessions: SessionManager, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = ClockWatch::new(sessions.now(), Instant::now());
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(&sessions, &mut watch).await {
            tracing::warn!(
                cause = chain(&error),
                "the sweeper failed; it will try again at the next interval"
            );
        }
    }
}

async fn sweep(sessions: &SessionManager, watch: &mut ClockWatch) -> Result<(), Error> {
    loop {
        let start = Instant::now();
        if !watch.is_steady(sessions.now(), start) {
            tracing::warn!("the clock has jumped: no session is deleted for {PAUSE_AFTER_JUMP:?}");
            return Ok(());
        }
        if sessions.sweep_batch(sessions.now()).await? < u64::from(SWEEP_BATCH) {
            return Ok(());
        }
        sleep(PAUSE_FACTOR * start.elapsed()).await;
    }
}

/// Compares the wall clock with the monotonic clock.
struct ClockWatch {
    wall: Timestamp,
    monotonic: Instant,
    paused_until: Option<Instant>,
}

impl ClockWatch {
    fn new(wall: Timestamp, monotonic: Instant) -> Self {
        Self { wall, monotonic, paused_until: None }
    }

    /// Whether the clock has advanced as real time has since the last check, and for an hour
    /// before.
    fn is_steady(&mut self, wall: Timestamp, monotonic: Instant) -> bool {
        let by_clock = wall.since(self.wall);
        let elapsed = monotonic.saturating_duration_since(self.monotonic);
        if by_clock > elapsed + TOLERANCE || wall < self.wall {
            self.paused_until = Some(monotonic + PAUSE_AFTER_JUMP);
        }
        (self.wall, self.monotonic) = (wall, monotonic);
        self.paused_until.is_none_or(|until| monotonic >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const TICK: Duration = Duration::from_millis(1);

    fn at(time: Timestamp, millis: i64) -> Timestamp {
        Timestamp::from_millis(time.as_millis() + millis)
    }

    /// A new watch, and its two start times.
    fn watch() -> (ClockWatch, Timestamp, Instant) {
        let (wall, start) = (Timestamp::from_millis(1_800_000_000_000), Instant::now());
        (ClockWatch::new(wall, start), wall, start)
    }

    #[test]
    fn a_clock_that_advances_with_real_time_is_steady() {
        let (mut watch, wall, start) = watch();
        for minutes in 1..100 {
            assert!(watch.is_steady(wall + minutes * MINUTE, start + minutes * MINUTE));
        }
    }

    #[test]
    fn a_clock_that_jumps_forward_or_back_is_not_steady_for_an_hour() {
        for jump in [86_400_000 * 3_650, -3_600_000] {
            let (mut watch, wall, start) = watch();
            let jumped = at(wall, jump);
            for minutes in 1..=60 {
                let now = start + minutes * MINUTE;
                assert!(!watch.is_steady(jumped + minutes * MINUTE, now), "minute {minutes}");
            }
            assert!(watch.is_steady(jumped + 62 * MINUTE, start + 62 * MINUTE));
        }
    }

    #[test]
    fn a_clock_may_gain_a_minute_between_two_checks_and_not_a_millisecond_more() {
        for (gained, is_steady) in
            [(MINUTE.checked_sub(TICK).unwrap(), true), (MINUTE, true), (MINUTE + TICK, false)]
        {
            let (mut watch, wall, start) = watch();
            let (later, monotonic) = (wall + 10 * MINUTE + gained, start + 10 * MINUTE);
            assert_eq!(watch.is_steady(later, monotonic), is_steady, "{gained:?}");
        }
    }

    #[test]
    fn a_clock_may_stand_still_but_not_go_back_by_a_millisecond() {
        for (millis, is_steady) in [(1, true), (0, true), (-1, false)] {
            let (mut watch, wall, start) = watch();
            assert_eq!(
                watch.is_steady(at(wall, millis), start + 10 * MINUTE),
                is_steady,
                "{millis}"
            );
        }
    }

    #[test]
    fn the_pause_lasts_exactly_an_hour_and_restarts_at_each_jump() {
        let (mut watch, wall, start) = watch();
        let jumped = at(wall, -1);
        assert!(!watch.is_steady(jumped, start));
        let nearly = PAUSE_AFTER_JUMP.checked_sub(TICK).unwrap();
        assert!(!watch.is_steady(jumped + nearly, start + nearly));
        assert!(watch.is_steady(jumped + PAUSE_AFTER_JUMP, start + PAUSE_AFTER_JUMP));
        assert!(!watch.is_steady(jumped, start + PAUSE_AFTER_JUMP), "set back again");
        assert!(!watch.is_steady(jumped + PAUSE_AFTER_JUMP, start + PAUSE_AFTER_JUMP + nearly));
        assert!(watch.is_steady(jumped + PAUSE_AFTER_JUMP, start + 2 * PAUSE_AFTER_JUMP));
    }
}
