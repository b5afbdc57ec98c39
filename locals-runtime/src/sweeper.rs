//! Deletes the rows of ended sessions now and then.

use std::time::{Duration, Instant};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    clock::Timestamp,
    error::{Error, chain},
    session_manager::{SWEEP_BATCH, SessionManager},
};

/// How far the clock may run from the time that passes before it is not believed.
const TOLERANCE: Duration = Duration::from_mins(1);

/// How long nothing is deleted after the clock has jumped.
const RESPITE: Duration = Duration::from_hours(1);

/// How many times as long as a statement took the sweeper rests after it. So it works a twentieth
/// of the time, and the few requests that meet it do not show in the 99th percentile.
const REST: u32 = 19;

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
    /// # fn example(auth: Auth<Account>) {
    /// let sweeper = auth.spawn_sweeper(Duration::from_mins(10));
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a Tokio runtime, which Actix's `main` is, and if `interval` is zero.
    pub fn spawn_sweeper(&self, interval: Duration) -> Sweeper {
        Sweeper(tokio::spawn(sweep_forever(self.clone(), interval)))
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
            tracing::warn!("the clock has jumped: no session is swept for {RESPITE:?}");
            return Ok(());
        }
        if sessions.sweep_batch(sessions.now()).await? < u64::from(SWEEP_BATCH) {
            return Ok(());
        }
        sleep(REST * start.elapsed()).await;
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
            self.respite = Some(passed + RESPITE);
        }
        (self.wall, self.passed) = (wall, passed);
        self.respite.is_none_or(|respite| passed >= respite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_clock_that_goes_on_as_time_does_is_believed() {
        let (wall, start) = (Timestamp::from_millis(0), Instant::now());
        let mut watch = Watch::new(wall, start);
        for minutes in 1..100 {
            assert!(watch.is_steady(wall + minutes * MINUTE, start + minutes * MINUTE));
        }
    }

    #[test]
    fn a_clock_that_jumps_forward_or_back_is_not_believed_for_an_hour() {
        for jump in [86_400_000 * 3_650, -3_600_000] {
            let (wall, start) = (Timestamp::from_millis(1_800_000_000_000), Instant::now());
            let mut watch = Watch::new(wall, start);
            let jumped = Timestamp::from_millis(wall.as_millis() + jump);
            for minutes in 1..=60 {
                let now = start + minutes * MINUTE;
                assert!(!watch.is_steady(jumped + minutes * MINUTE, now), "minute {minutes}");
            }
            assert!(watch.is_steady(jumped + 62 * MINUTE, start + 62 * MINUTE));
        }
    }
}
