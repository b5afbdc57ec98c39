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
pub(crate) fn age_of_proof(record: &SessionRecord, now: Timestamp) -> Option<Duration> {
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
pub(crate) fn kept_proof(record: &SessionRecord, now: Timestamp) -> Timestamp {
    let is_credible = age_of_proof(record, now).is_some();
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{hashes::SecretHash, session_id::SessionId, time};

    fn record(lifetime: &Lifetime, created: Timestamp) -> SessionRecord {
        let absolute_expires_at = lifetime.end(created);
        let (active, idle) = lifetime.periods(created, absolute_expires_at);
        let (id, hash) = (SessionId::from_bytes([1; 16]), SecretHash::from_bytes([2; 32]));
        SessionRecord {
            active_expires_at: active,
            idle_expires_at: idle,
            absolute_expires_at,
            ..SessionRecord::new(id, hash, 1_i64, created)
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const SMALL: Lifetime = Lifetime {
        active: Duration::from_millis(10),
        idle: Duration::from_millis(20),
        max: Duration::from_millis(100),
    };

    #[test]
    fn each_period_ends_at_its_exact_millisecond() {
        let record = record(&SMALL, at(0));
        assert_eq!(state(&record, at(9)), Some(SessionState::Active));
        assert_eq!(state(&record, at(10)), Some(SessionState::Idle));
        assert_eq!(state(&record, at(29)), Some(SessionState::Idle));
        assert_eq!(state(&record, at(30)), None);
    }

    #[test]
    fn the_absolute_timeout_limits_both_periods() {
        assert_eq!(SMALL.periods(at(95), at(100)), (at(100), at(100)));
    }

    #[test]
    fn a_session_with_its_own_periods_is_renewed_by_them() {
        let own =
            SessionRecord { periods: Some(Periods::from_millis(5, 7)), ..record(&SMALL, at(0)) };
        let renewal = SMALL.renewal(&own, at(20));
        assert_eq!(renewal.active_expires_at, at(25));
        assert_eq!(renewal.idle_expires_at, at(32));
        assert_eq!((renewal.replaces, renewal.renewed_at), (at(10), at(20)));
    }

    #[test]
    fn own_periods_do_not_extend_a_session_past_its_absolute_timeout() {
        let periods = Some(Periods { active: 400 * DAY, idle: Duration::MAX });
        let own = SessionRecord { periods, ..record(&SMALL, at(0)) };
        let renewal = SMALL.renewal(&own, at(20));
        assert_eq!((renewal.active_expires_at, renewal.idle_expires_at), (at(100), at(100)));
    }

    #[test]
    fn a_lifetime_of_zero_or_longer_than_a_cookie_is_refused() {
        assert!(Lifetime::default().check().is_ok());
        assert!(Lifetime::aal2().check().is_ok());
        assert!(Lifetime::aal3().check().is_ok());
        assert!(Lifetime::default().active(Duration::ZERO).check().is_err());
        assert!(Lifetime::default().max(401 * DAY).check().is_err());
    }

    #[test]
    fn the_absolute_timeout_is_enforced_even_if_the_idle_timeout_is_later() {
        let record = SessionRecord { idle_expires_at: at(200), ..record(&SMALL, at(0)) };
        assert_eq!(state(&record, at(99)), Some(SessionState::Idle));
        assert_eq!(state(&record, at(100)), None);
    }

    #[test]
    fn the_limits_of_a_lifetime_are_exact_to_the_millisecond() {
        let (moment, less) = (Duration::from_millis(1), Duration::from_micros(999));
        let with = |active, idle, max| Lifetime { active, idle, max };
        assert!(with(moment, moment, moment).check().is_ok());
        for (lifetime, name) in [
            (with(less, moment, moment), "active"),
            (with(moment, less, moment), "idle"),
            (with(moment, moment, less), "max"),
            (with(moment, moment, 400 * DAY + moment), "max is 400 days"),
        ] {
            let error = lifetime.check().unwrap_err().to_string();
            assert!(error.contains(&format!("Lifetime::{name}")), "{error}");
        }
        assert!(with(DAY, DAY, 400 * DAY).check().is_ok());
    }

    #[test]
    fn the_lifetimes_match_the_documented_table() {
        let parts = |of: Lifetime| [of.active, of.idle, of.max].map(|part| part.as_secs() / 60);
        assert_eq!(parts(Lifetime::default()), [24 * 60, 14 * 24 * 60, 30 * 24 * 60]);
        assert_eq!(parts(Lifetime::aal2()), [1, 59, 24 * 60]);
        assert_eq!(parts(Lifetime::aal3()), [1, 14, 12 * 60]);
        let own = Lifetime::aal2().active(DAY).idle(2 * DAY).max(3 * DAY);
        assert_eq!(own, Lifetime { active: DAY, idle: 2 * DAY, max: 3 * DAY });
        assert_eq!(own.own_periods(), Periods { active: DAY, idle: 2 * DAY });
        assert_eq!(own.end(at(1)), at(1) + 3 * DAY);
    }

    #[test]
    fn the_lifetime_of_a_session_from_the_future_restarts_at_its_next_use() {
        let lifetime = Lifetime::default();
        let day = time::millis(DAY);
        let made = record(&lifetime, at(30 * day));
        // Up to a day ahead may be a mistaken time zone of the current clock.
        assert_eq!(judge(&lifetime, &made, at(29 * day)), Verdict::Active);
        let now = at(29 * day - 1);
        assert_eq!(state(&made, now), Some(SessionState::Active));
        let Verdict::Renew(renewal) = judge(&lifetime, &made, now) else { panic!("as it was") };
        assert_eq!(renewal.replaces, made.active_expires_at);
        assert_eq!((renewal.renewed_at, renewal.secret_hash), (now, made.secret_hash));
        assert_eq!(renewal.active_expires_at, now + DAY);
        assert_eq!(renewal.idle_expires_at, now + 15 * DAY);
        assert_eq!(absolute_end(&made), at(60 * day), "before the renewal");

        let mut moved = renewed(made.clone(), renewal);
        assert_eq!(absolute_end(&moved), now + 30 * DAY);
        assert_eq!(judge(&lifetime, &moved, now), Verdict::Active, "only once");
        // Renewals are limited by the new absolute timeout and keep the start of the lifetime.
        let idle = now + 14 * DAY;
        let Verdict::Renew(renewal) = judge(&lifetime, &moved, idle) else { panic!("active") };
        assert_eq!((renewal.renewed_at, renewal.idle_expires_at), (now, now + 29 * DAY));
        moved = renewed(moved, renewal);
        let Verdict::Renew(renewal) = judge(&lifetime, &moved, now + 28 * DAY) else {
            panic!("active")
        };
        assert_eq!(renewal.idle_expires_at, now + 30 * DAY);
        moved = renewed(moved, renewal);
        let last = Timestamp::from_millis((now + 30 * DAY).as_millis() - 1);
        assert!(state(&moved, last).is_some());
        assert_eq!(state(&moved, now + 30 * DAY), None);
    }

    fn renewed(record: SessionRecord, renewal: Renewal) -> SessionRecord {
        SessionRecord {
            active_expires_at: renewal.active_expires_at,
            idle_expires_at: renewal.idle_expires_at,
            renewed_at: renewal.renewed_at,
            ..record
        }
    }

    #[test]
    fn a_session_from_the_future_keeps_its_own_lifetime_when_it_restarts() {
        let own = Lifetime::default().active(DAY / 2).idle(DAY).max(5 * DAY);
        let made = SessionRecord {
            periods: Some(own.own_periods()),
            ..record(&own, at(time::millis(100 * DAY)))
        };
        let renewal = Lifetime::default().renewal(&made, at(0));
        assert_eq!(renewal.active_expires_at, at(0) + DAY / 2);
        assert_eq!(renewal.idle_expires_at, at(0) + DAY + DAY / 2);
        assert_eq!(absolute_end(&renewed(made, renewal)), at(0) + 5 * DAY);
    }

    #[test]
    fn an_authentication_ahead_of_the_clock_never_has_an_age() {
        let made = record(&Lifetime::default(), at(time::millis(30 * DAY)));
        let proof = made.authenticated_at;
        let before = |millis| at(proof.as_millis() - millis);
        assert_eq!(age_of_proof(&made, proof + DAY), Some(DAY));
        assert_eq!(age_of_proof(&made, before(60_000)), Some(Duration::ZERO));
        assert_eq!(age_of_proof(&made, before(60_001)), None);
        // Used in the meantime, by a clock that was right.
        let moved = SessionRecord { renewed_at: at(5), ..made };
        assert_eq!(age_of_proof(&moved, proof), None);
        assert_eq!(age_of_proof(&moved, proof + DAY), None);
        let proved = SessionRecord { authenticated_at: at(7), ..moved };
        assert_eq!(age_of_proof(&proved, at(10)), Some(Duration::from_millis(3)));
    }

    #[test]
    fn a_session_whose_creation_time_was_moved_later_is_renewed_normally() {
        let lifetime = Lifetime::default();
        for later in [1, 60_001] {
            let plain = record(&lifetime, at(0));
            let put_later = SessionRecord { created_at: at(later), ..plain.clone() };
            let now = at(0) + 3 * DAY;
            assert_eq!(judge(&lifetime, &put_later, now), judge(&lifetime, &plain, now));
            let Verdict::Renew(renewal) = judge(&lifetime, &put_later, now) else {
                panic!("it is idle")
            };
            assert_eq!(renewal.renewed_at, now, "{later}");
            assert_eq!(absolute_end(&put_later), plain.absolute_expires_at, "{later}");
            assert_eq!(age_of_proof(&put_later, at(5)), Some(Duration::from_millis(5)));
        }
    }

    #[test]
    fn an_authentication_near_the_creation_of_a_session_from_the_future_is_not_credible() {
        let created = at(time::millis(30 * DAY));
        let made = SessionRecord { renewed_at: at(0), ..record(&Lifetime::default(), created) };
        let near = |millis| at(created.as_millis() + millis);
        for (proof, is_credible) in [
            (near(-120_001), true),
            (near(-120_000), false),
            (near(-1_000), false),
            (near(-1), false),
            (near(1), false),
            (near(60_000), false),
            (near(60_001), true),
        ] {
            let made = SessionRecord { authenticated_at: proof, ..made.clone() };
            assert_eq!(age_of_proof(&made, proof).is_some(), is_credible, "{proof:?}");
            let kept = if is_credible { proof } else { at(0) };
            assert_eq!(kept_proof(&made, proof), kept, "{proof:?}");
        }
    }

    prop_compose! {
        fn lifetimes()(active in 1_u64..1_000, idle in 1_u64..1_000, max in 1_u64..5_000) -> Lifetime {
            Lifetime {
                active: Duration::from_millis(active),
                idle: Duration::from_millis(idle),
                max: Duration::from_millis(max),
            }
        }
    }

    #[test]
    fn a_session_exactly_at_the_future_limit_is_an_ordinary_session() {
        let ahead = at(0) + FUTURE_LIMIT;
        assert_eq!(lifetime_start(ahead, at(0)), ahead);
        let further = ahead + Duration::from_millis(1);
        assert_eq!(lifetime_start(further, at(0)), at(0));
    }

    proptest! {
        #[test]
        fn no_sequence_of_uses_exceeds_the_absolute_timeout_or_shortens_a_session(
            lifetime in lifetimes(),
            periods in prop::option::of((1_i64..1_000, 1_i64..1_000)),
            steps in prop::collection::vec(-50_i64..800, 1..60),
        ) {
            let mut record = record(&lifetime, at(0));
            record.periods = periods.map(|(active, idle)| Periods::from_millis(active, idle));
            let end = record.absolute_expires_at;
            let mut now = 0;
            for step in steps {
                now += step;
                match judge(&lifetime, &record, at(now)) {
                    Verdict::Expired => prop_assert!(at(now) >= record.idle_expires_at),
                    Verdict::Active => prop_assert!(at(now) < record.active_expires_at),
                    Verdict::Renew(renewal) => {
                        prop_assert!(renewal.active_expires_at > record.active_expires_at);
                        prop_assert!(renewal.idle_expires_at >= record.idle_expires_at);
                        prop_assert!(renewal.active_expires_at <= renewal.idle_expires_at);
                        prop_assert!(renewal.idle_expires_at <= end);
                        prop_assert_eq!(renewal.renewed_at, at(now).max(record.renewed_at));
                        record.renewed_at = renewal.renewed_at;
                        record.active_expires_at = renewal.active_expires_at;
                        record.idle_expires_at = renewal.idle_expires_at;
                    }
                }
                prop_assert_eq!(record.absolute_expires_at, end);
            }
        }
    }
}
