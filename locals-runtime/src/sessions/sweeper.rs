//! Deletes the rows of ended sessions, at an interval.

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

/// How many rows one statement of the sweeper deletes at most, so that it blocks nobody.
pub(crate) const SWEEP_BATCH: u32 = 1_000;

impl SessionManager {
    /// Deletes the rows of all sessions that have ended, a thousand at a time; says how many.
    ///
    /// Ended sessions are refused with or without it: it saves space, nothing else.
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
    /// [`Error::Store`] if the store fails. What was deleted until then stays deleted.
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

    /// Deletes a batch of sessions that have ended at `now`; a smaller one is the last.
    pub(crate) async fn sweep_batch(&self, now: Timestamp) -> Result<u64, Error> {
        Ok(self.context().store.delete_expired(now, SWEEP_BATCH).await?)
    }
}

/// How long nothing is deleted after the clock has jumped.
const PAUSE_AFTER_JUMP: Duration = Duration::from_hours(1);

/// How many times as long as a statement took the sweeper rests after it. So it works a twentieth
/// of the time, and the few requests that meet it do not show in the 99th percentile.
const PAUSE_FACTOR: u32 = 19;

/// Sweeps in the background until it is dropped. Made by [`SessionManager::spawn_sweeper`].
#[derive(Debug)]
#[must_use = "the sweeper stops when it is dropped"]
pub struct Sweeper(JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SessionManager {
    /// Starts to delete the rows of ended sessions, every `interval`, at most a thousand in one
    /// statement and with a pause nineteen times as long as the statement took after each, so
    /// that requests hardly notice. Stops when the [`Sweeper`] is dropped. Any number of nodes may
    /// sweep at once.
    ///
    /// When the clock has jumped, it deletes nothing for an hour: the time may be wrong, and
    /// what is deleted does not come back.
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
    /// Outside a Tokio runtime, which Actix's `main` is.
    pub fn spawn_sweeper(&self, interval: Duration) -> Result<Sweeper, ConfigError> {
        if interval.is_zero() {
            let reason = "the interval of `spawn_sweeper` is zero, but it must rest between sweeps: \
                          give it ten minutes, for example";
            return Err(ConfigError(reason.to_owned()));
        }
        Ok(Sweeper(tokio::spawn(sweep_forever(self.clone(), interval))))
    }
}

async fn sweep_forever(sessions: SessionManager, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(sessions.now(), Instant::now());
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(&sessions, &mut watch).await {
            tracing::warn!(cause = chain(&error), "the sweeper met a fault; it goes on later");
        }
    }
}

async fn sweep(sessions: &SessionManager, watch: &mut Watch) -> Result<(), Error> {
    loop {
        let start = Instant::now();
        if !watch.is_steady(sessions.now(), start) {
            tracing::warn!("the clock has jumped: no session is swept for {PAUSE_AFTER_JUMP:?}");
            return Ok(());
        }
        if sessions.sweep_batch(sessions.now()).await? < u64::from(SWEEP_BATCH) {
            return Ok(());
        }
        sleep(PAUSE_FACTOR * start.elapsed()).await;
    }
}

/// Compares the clock with the time that really passes.
struct Watch {
    wall: Timestamp,
    passed: Instant,
    respite: Option<Instant>,
}

impl Watch {
    fn new(wall: Timestamp, passed: Instant) -> Self {
        Self { wall, passed, respite: None }
    }

    /// Whether the clock has gone on as time has since the last look, and for a while before.
    fn is_steady(&mut self, wall: Timestamp, passed: Instant) -> bool {
        let by_clock = wall.since(self.wall);
        let really = passed.saturating_duration_since(self.passed);
        if by_clock > really + TOLERANCE || wall < self.wall {
            self.respite = Some(passed + PAUSE_AFTER_JUMP);
        }
        (self.wall, self.passed) = (wall, passed);
        self.respite.is_none_or(|respite| passed >= respite)
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

    /// A watch that has just looked, and what it saw.
    fn watch() -> (Watch, Timestamp, Instant) {
        let (wall, start) = (Timestamp::from_millis(1_800_000_000_000), Instant::now());
        (Watch::new(wall, start), wall, start)
    }

    #[test]
    fn a_clock_that_goes_on_as_time_does_is_believed() {
        let (mut watch, wall, start) = watch();
        for minutes in 1..100 {
            assert!(watch.is_steady(wall + minutes * MINUTE, start + minutes * MINUTE));
        }
    }

    #[test]
    fn a_clock_that_jumps_forward_or_back_is_not_believed_for_an_hour() {
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
    fn a_clock_may_gain_a_minute_between_two_looks_and_not_a_millisecond_more() {
        for (gained, is_steady) in
            [(MINUTE.checked_sub(TICK).unwrap(), true), (MINUTE, true), (MINUTE + TICK, false)]
        {
            let (mut watch, wall, start) = watch();
            let (later, passed) = (wall + 10 * MINUTE + gained, start + 10 * MINUTE);
            assert_eq!(watch.is_steady(later, passed), is_steady, "{gained:?}");
        }
    }

    #[test]
    fn a_clock_may_stand_still_and_lose_and_not_go_back_by_a_millisecond() {
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
    fn the_respite_is_over_at_the_hour_to_the_millisecond_and_begins_anew_at_each_jump() {
        let (mut watch, wall, start) = watch();
        let jumped = at(wall, -1);
        assert!(!watch.is_steady(jumped, start));
        let nearly = PAUSE_AFTER_JUMP.checked_sub(TICK).unwrap();
        assert!(!watch.is_steady(jumped + nearly, start + nearly));
        assert!(watch.is_steady(jumped + PAUSE_AFTER_JUMP, start + PAUSE_AFTER_JUMP));
        assert!(!watch.is_steady(jumped, start + PAUSE_AFTER_JUMP), "back again");
        assert!(!watch.is_steady(jumped + PAUSE_AFTER_JUMP, start + PAUSE_AFTER_JUMP + nearly));
        assert!(watch.is_steady(jumped + PAUSE_AFTER_JUMP, start + 2 * PAUSE_AFTER_JUMP));
    }
}
