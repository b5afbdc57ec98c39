use proptest::prelude::*;

use super::*;
use crate::model::record::test_record;
use crate::model::time;

fn record(lifetime: &Lifetime, created: Timestamp) -> SessionRecord {
    let absolute_expires_at = lifetime.end(created);
    let (active, idle) = lifetime.periods(created, absolute_expires_at);
    test_record::record(1, created, [active, idle, absolute_expires_at])
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
    let own = SessionRecord { periods: Some(Periods::from_millis(5, 7)), ..record(&SMALL, at(0)) };
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
    assert_eq!(age_of_authentication(&made, proof + DAY), Some(DAY));
    assert_eq!(age_of_authentication(&made, before(60_000)), Some(Duration::ZERO));
    assert_eq!(age_of_authentication(&made, before(60_001)), None);
    // Used in the meantime, by a clock that was right.
    let moved = SessionRecord { renewed_at: at(5), ..made };
    assert_eq!(age_of_authentication(&moved, proof), None);
    assert_eq!(age_of_authentication(&moved, proof + DAY), None);
    let proved = SessionRecord { authenticated_at: at(7), ..moved };
    assert_eq!(age_of_authentication(&proved, at(10)), Some(Duration::from_millis(3)));
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
        assert_eq!(age_of_authentication(&put_later, at(5)), Some(Duration::from_millis(5)));
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
        assert_eq!(age_of_authentication(&made, proof).is_some(), is_credible, "{proof:?}");
        let kept = if is_credible { proof } else { at(0) };
        assert_eq!(kept_authentication_time(&made, proof), kept, "{proof:?}");
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
