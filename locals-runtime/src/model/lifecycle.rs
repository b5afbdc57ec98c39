//! Decides when a session is active, idle or expired: pure functions of (lifetime, session, now).

use std::time::Duration;

use crate::model::{
    error::ConfigError,
    record::{Periods, Renewal, SessionRecord, SessionState, SessionTimes},
    time::{TOLERANCE, Timestamp},
};

const DAY: Duration = Duration::from_hours(24);

/// How long sessions last.
///
/// A session is *active* for the active period, then *idle* for the idle period, then expired.
/// Using an active session writes nothing. Using an idle session renews it: both periods start again.
/// No matter how much it is used, a session expires after the maximum lifetime.
///
/// | | active | idle | maximum | source |
/// |---|---|---|---|---|
/// | [`Lifetime::default`] | 24 h | 14 d | 30 d | NIST SP 800-63B-4 §2.1.3 caps AAL1 at 30 d |
/// | [`Lifetime::aal2`] | 1 min | 59 min | 24 h | NIST SP 800-63B-4 §2.2.3: 1 h unused, 24 h in all |
/// | [`Lifetime::aal3`] | 1 min | 14 min | 12 h | NIST SP 800-63B-4 §2.3.3: 15 min unused, 12 h in all |
///
/// ```
/// use std::time::Duration;
///
/// use locals::Lifetime;
///
/// let working_day = Lifetime::default()
///     .active(Duration::from_mins(10))
///     .idle(Duration::from_hours(1))
///     .max(Duration::from_hours(10));
/// assert_ne!(working_day, Lifetime::aal2());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    active: Duration,
    idle: Duration,
    max: Duration,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { active: DAY, idle: 14 * DAY, max: 30 * DAY }
    }
}

impl Lifetime {
    /// For accounts that need a second factor: sessions expire after an hour without use, or a day in
    /// total.
    pub const fn aal2() -> Self {
        let active = Duration::from_mins(1);
        Self { active, idle: Duration::from_mins(59), max: DAY }
    }

    /// For the highest security requirements: sessions expire after 15 minutes without use, or 12 hours
    /// in total.
    pub const fn aal3() -> Self {
        let active = Duration::from_mins(1);
        Self { active, idle: Duration::from_mins(14), max: Duration::from_hours(12) }
    }

    /// Sets the active period: how long a session is used without a write. A day by default.
    pub const fn active(self, active: Duration) -> Self {
        Self { active, ..self }
    }

    /// Sets the idle period: how long after its active period a session can still be renewed. 14 days by
    /// default.
    pub const fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Sets the maximum lifetime, no matter how much a session is used. 30 days by default.
    pub const fn max(self, max: Duration) -> Self {
        Self { max, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (name, period) in [("active", self.active), ("idle", self.idle), ("max", self.max)] {
            if period < Duration::from_millis(1) {
                return Err(ConfigError(format!(
                    "Lifetime::{name} is {period:?}, but it must be at least a millisecond"
                )));
            }
        }
        if self.max > 400 * DAY {
            return Err(ConfigError(format!(
                "Lifetime::max is {} days, but browsers keep a cookie 400 days at most",
                self.max.as_secs() / DAY.as_secs()
            )));
        }
        Ok(())
    }

    /// Returns the periods, to be stored with one session.
    pub(crate) fn own_periods(self) -> Periods {
        Periods { active: self.active, idle: self.idle }
    }

    /// Returns the absolute timeout of a session that is created now.
    pub(crate) fn end(&self, now: Timestamp) -> Timestamp {
        now + self.max
    }

    /// Returns the ends of the active and the idle period of a session that is created or used now.
    pub(crate) fn periods(&self, now: Timestamp, absolute: Timestamp) -> (Timestamp, Timestamp) {
        let active = now + self.active;
        (active.min(absolute), (active + self.idle).min(absolute))
    }

    /// Returns the renewal at `now` of a session that has not ended, with the session's own periods if
    /// it has any. A renewal never moves a time back, even if the clock was set back. The exception is a
    /// session from the future: its lifetime starts again by the clock that is right.
    pub(crate) fn renewal(&self, record: &SessionRecord, now: Timestamp) -> Renewal {
        let lifetime = record.periods.map_or(*self, |own| self.active(own.active).idle(own.idle));
        if is_from_the_future(record, now) {
            let length = record.absolute_expires_at.since(record.created_at);
            let (active_expires_at, idle_expires_at) = lifetime.periods(now, now + length);
            return Renewal {
                replaces: record.active_expires_at,
                secret_hash: record.secret_hash,
                active_expires_at,
                idle_expires_at,
                renewed_at: now,
            };
        }
        let (active, idle) = lifetime.periods(now, absolute_end(record));
        Renewal {
            replaces: record.active_expires_at,
            secret_hash: record.secret_hash,
            active_expires_at: active.max(record.active_expires_at),
            idle_expires_at: idle.max(record.idle_expires_at),
            // The lifetime of a session from the future counts from this time, so it stays.
            renewed_at: if has_corrected_start(record.created_at, record.renewed_at) {
                record.renewed_at
            } else {
                now.max(record.renewed_at)
            },
        }
    }
}

/// How far ahead of the clock the creation of a session may lie. Beyond it, the clock that noted the
/// creation counts as wrong; a mistaken time zone stays below the limit. The opposite case, that the
/// current clock is wrong because it is far behind, cannot be distinguished.
const FUTURE_LIMIT: Duration = DAY;

/// Whether a session was created by a clock that was more than a day ahead, and not used since.
fn is_from_the_future(record: &SessionRecord, now: Timestamp) -> bool {
    !has_corrected_start(record.created_at, record.renewed_at)
        && record.created_at.since(now) > FUTURE_LIMIT
}

/// Whether a session was created by a clock that was more than a day ahead and has been used since by
/// a clock that was right. Its lifetime then counts from that use. In any other session `created_at`
/// exceeds `renewed_at` only by the little that it may be moved to sort after an earlier session.
fn has_corrected_start(created_at: Timestamp, renewed_at: Timestamp) -> bool {
    created_at.since(renewed_at) > FUTURE_LIMIT
}

/// Returns when the lifetime of a session with these times started: at its creation, or, for a
/// session from the future, at its first use by a clock that was right.
pub(crate) fn lifetime_start(created_at: Timestamp, renewed_at: Timestamp) -> Timestamp {
    if has_corrected_start(created_at, renewed_at) { renewed_at } else { created_at }
}

/// Returns the absolute timeout of a session.
pub(crate) fn absolute_end(record: &SessionRecord) -> Timestamp {
    absolute_end_of(&record.into())
}

/// Same as [`absolute_end`], for a session of which only these times were read.
pub(crate) fn absolute_end_of(times: &SessionTimes) -> Timestamp {
    let SessionTimes { created_at, renewed_at, absolute_expires_at, .. } = *times;
    if has_corrected_start(created_at, renewed_at) {
        renewed_at + absolute_expires_at.since(created_at)
    } else {
        absolute_expires_at
    }
}

/// Returns how long ago the user last authenticated. `None` if the time was noted by a clock that was
/// ahead; the authentication then counts as old.
pub(crate) fn age_of_authentication(record: &SessionRecord, now: Timestamp) -> Option<Duration> {
    let SessionRecord { created_at, authenticated_at, renewed_at, .. } = *record;
    // The right clock will reach that time later; the authentication must not count as recent then.
    let is_of_the_future = has_corrected_start(created_at, renewed_at)
        && authenticated_at.since(created_at) <= TOLERANCE
        && created_at.since(authenticated_at) <= MAX_PROOF_LEAD;
    if is_of_the_future { None } else { authenticated_at.age_at(now) }
}

/// How long before `created_at` an authentication may lie and still count as the one at creation: the
/// clocks of two nodes may differ, and `created_at` may be moved to sort after an earlier session.
const MAX_PROOF_LEAD: Duration = TOLERANCE.saturating_mul(2);

/// Returns the time of authentication that a session keeps when its token changes. A time noted by a
/// clock that was ahead becomes 1970, so that it does not count as recent when that time is reached.
pub(crate) fn kept_authentication_time(record: &SessionRecord, now: Timestamp) -> Timestamp {
    let is_credible = age_of_authentication(record, now).is_some();
    if is_credible { record.authenticated_at } else { Timestamp::from_millis(0) }
}

/// What to do with a session that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is active: write nothing.
    Active,
    /// It is idle: write this renewal.
    Renew(Renewal),
    /// It has expired.
    Expired,
}

/// Returns the state of a session at `now`; `None` if it has expired.
///
/// Each expiry time is the first millisecond at which the period is over. The absolute timeout is
/// checked on its own, although renewal never moves the idle timeout past it, because something other
/// than this library may have written the row.
pub(crate) fn state(record: &SessionRecord, now: Timestamp) -> Option<SessionState> {
    if now >= record.idle_expires_at || now >= absolute_end(record) {
        None
    } else if now >= record.active_expires_at {
        Some(SessionState::Idle)
    } else {
        Some(SessionState::Active)
    }
}

/// Decides what to do with a session that is used at `now`.
pub(crate) fn judge(lifetime: &Lifetime, record: &SessionRecord, now: Timestamp) -> Verdict {
    match state(record, now) {
        None => Verdict::Expired,
        Some(SessionState::Active) if !is_from_the_future(record, now) => Verdict::Active,
        Some(_) => Verdict::Renew(lifetime.renewal(record, now)),
    }
}

#[cfg(test)]
mod tests;
