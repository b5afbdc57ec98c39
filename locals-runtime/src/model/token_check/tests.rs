use proptest::prelude::*;

use super::*;
use crate::model::record::test_record;
use crate::model::{hashes::SecretHash, record::Rotation, user::test_user::Account};

const POLICY: RotationPolicy =
    RotationPolicy { every: Duration::from_mins(10), overlap: Duration::from_mins(1) };

fn hash(token: &SessionToken) -> SecretHash {
    token.secret_hash::<Account>()
}

fn check(
    policy: Option<RotationPolicy>,
    record: &SessionRecord,
    token: &SessionToken,
    now: Timestamp,
) -> Result<TokenCheck, Denial> {
    let domain = TokenDomain::of_table("accounts");
    super::check(&Lifetime::default(), policy, domain, record, token, now)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn record(token: &SessionToken) -> SessionRecord {
    let ends = [100_000, 200_000, 300_000].map(at);
    let (id, secret_hash) = (token.id(), hash(token));
    SessionRecord { id, secret_hash, ..test_record::record(1, at(0), ends) }
}

fn exchanged(old: &SessionToken, seconds: i64) -> (SessionRecord, SessionToken) {
    let salt = [7; 32];
    let new = old.rotated(&salt);
    let rotation = Rotation { previous: hash(old), salt, rotated_at: at(seconds) };
    let record = record(old);
    (SessionRecord { secret_hash: hash(&new), rotation: Some(rotation), ..record }, new)
}

fn state(
    policy: Option<RotationPolicy>,
    record: &SessionRecord,
    token: &SessionToken,
    seconds: i64,
) -> Result<TokenState, Denial> {
    check(policy, record, token, at(seconds)).map(|found| found.token)
}

#[test]
fn a_token_is_due_when_it_is_old_enough_and_only_if_rotation_is_enabled() {
    let token = SessionToken::generate().unwrap();
    let record = record(&token);
    assert_eq!(state(Some(POLICY), &record, &token, 599), Ok(TokenState::Current));
    assert_eq!(state(Some(POLICY), &record, &token, 600), Ok(TokenState::DueForRotation));
    assert_eq!(state(None, &record, &token, 99_999), Ok(TokenState::Current));
}

#[test]
fn the_age_of_a_token_counts_from_its_last_rotation_or_authentication() {
    let old = SessionToken::generate().unwrap();
    let (record, new) = exchanged(&old, 1_000);
    assert_eq!(state(Some(POLICY), &record, &new, 1_599), Ok(TokenState::Current));
    assert_eq!(state(Some(POLICY), &record, &new, 1_600), Ok(TokenState::DueForRotation));
    let proved = SessionRecord { authenticated_at: at(500), ..self::record(&old) };
    assert_eq!(state(Some(POLICY), &proved, &old, 1_099), Ok(TokenState::Current));
}

#[test]
fn the_old_token_leads_to_the_new_one_during_the_overlap() {
    let old = SessionToken::generate().unwrap();
    let (record, new) = exchanged(&old, 1_000);
    assert_eq!(state(Some(POLICY), &record, &old, 1_059), Ok(TokenState::Superseded(new)));
    assert_eq!(state(Some(POLICY), &record, &old, 1_060), Err(Denial::TokenReused));
    assert_eq!(state(None, &record, &old, 1_000), Err(Denial::TokenSuperseded));
}

/// The state at this millisecond.
fn state_at(
    record: &SessionRecord,
    token: &SessionToken,
    millis: i64,
) -> Result<TokenState, Denial> {
    let now = Timestamp::from_millis(millis);
    check(Some(POLICY), record, token, now).map(|found| found.token)
}

#[test]
fn a_rotation_more_than_a_minute_ahead_ends_the_overlap_but_is_no_reuse() {
    let old = SessionToken::generate().unwrap();
    let (record, new) = exchanged(&old, 10_000);
    let ahead = |millis: i64| 10_000_000 - millis;
    let opens = Ok(TokenState::Superseded(new.clone()));
    assert_eq!(state_at(&record, &old, ahead(0)), opens);
    assert_eq!(state_at(&record, &old, ahead(60_000)), opens);
    for millis in [60_001, 3_600_000, 9_000_000] {
        let denied = Err(Denial::TokenSuperseded);
        assert_eq!(state_at(&record, &old, ahead(millis)), denied, "{millis}");
        assert_eq!(
            state_at(&record, &new, ahead(millis)),
            Ok(TokenState::DueForRotation),
            "{millis}"
        );
    }
    assert_eq!(state_at(&record, &new, ahead(60_000)), Ok(TokenState::Current));
}

#[test]
fn a_token_that_was_issued_ahead_of_the_clock_is_due() {
    let token = SessionToken::generate().unwrap();
    for (created, proved) in [(1_000, 1_000), (1_000, 0), (0, 1_000)] {
        let times = SessionRecord {
            created_at: at(created),
            renewed_at: at(created),
            authenticated_at: at(proved),
            ..record(&token)
        };
        assert_eq!(state_at(&times, &token, 940_000), Ok(TokenState::Current));
        assert_eq!(state_at(&times, &token, 939_999), Ok(TokenState::DueForRotation));
        assert_eq!(state_at(&times, &token, 1_599_999), Ok(TokenState::Current));
        assert_eq!(state_at(&times, &token, 1_600_000), Ok(TokenState::DueForRotation));
    }
}

#[test]
fn a_token_older_than_the_previous_one_is_a_wrong_secret() {
    let first = SessionToken::generate().unwrap();
    let second = first.rotated(&[1; 32]);
    let (record, third) = exchanged(&second, 1_000);
    assert_eq!(state(Some(POLICY), &record, &first, 1_001), Err(Denial::WrongSecret));
    assert_eq!(state(Some(POLICY), &record, &first, 2_000), Err(Denial::WrongSecret));
    assert_eq!(state(Some(POLICY), &record, &third, 1_001), Ok(TokenState::Current));
}

#[test]
fn a_token_without_a_predecessor_is_accepted_only_itself() {
    // As after the return from an impersonation.
    let token = SessionToken::generate().unwrap();
    let own = hash(&token);
    let rotation = Rotation { previous: own, salt: [7; 32], rotated_at: at(1_000) };
    let record = SessionRecord { rotation: Some(rotation), ..record(&token) };
    assert_eq!(state(Some(POLICY), &record, &token, 1_001), Ok(TokenState::Current));
    assert_eq!(state(Some(POLICY), &record, &token, 2_000), Ok(TokenState::DueForRotation));
    let made = token.rotated(&[7; 32]);
    assert_eq!(state(Some(POLICY), &record, &made, 1_001), Err(Denial::WrongSecret));
}

#[test]
fn an_old_token_that_does_not_lead_to_the_stored_one_is_refused() {
    let old = SessionToken::generate().unwrap();
    let (mut record, _) = exchanged(&old, 1_000);
    record.secret_hash = hash(&SessionToken::generate().unwrap());
    assert_eq!(state(Some(POLICY), &record, &old, 1_001), Err(Denial::TokenSuperseded));
}

#[test]
fn using_an_idle_session_renews_it_whatever_the_state_of_its_token() {
    let token = SessionToken::generate().unwrap();
    let record = record(&token);
    let found_session = |seconds| check(Some(POLICY), &record, &token, at(seconds)).unwrap();
    let active = found_session(99_999);
    assert_eq!((active.state, active.renewal), (SessionState::Active, None));
    let idle = found_session(100_000);
    assert_eq!((idle.state, idle.token), (SessionState::Idle, TokenState::DueForRotation));
    assert_eq!(idle.renewal.unwrap().renewed_at, at(100_000));
}

#[test]
fn a_session_that_has_ended_is_ended_for_every_token() {
    let [old, other] = [0, 1].map(|_| SessionToken::generate().unwrap());
    let (record, new) = exchanged(&old, 100_000);
    for token in [old, new, other] {
        let ended = state(Some(POLICY), &record, &token, 200_000);
        assert_eq!(ended, Err(Denial::Ended));
    }
}

#[test]
fn a_token_of_another_users_table_is_always_a_wrong_secret() {
    let old = SessionToken::generate().unwrap();
    let (record, new) = exchanged(&old, 1_000);
    let staff = TokenDomain::of_table("staff");
    let there = |record: &SessionRecord, token: &SessionToken, seconds| {
        super::check(&Lifetime::default(), Some(POLICY), staff, record, token, at(seconds))
    };
    // Never treated as rotated or reused, whatever the time.
    for seconds in [0, 1_000, 1_060, 2_000, 150_000] {
        for token in [&old, &new] {
            assert_eq!(there(&record, token, seconds), Err(Denial::WrongSecret), "{seconds}");
        }
        let never = self::record(&old);
        assert_eq!(there(&never, &old, seconds), Err(Denial::WrongSecret), "{seconds}");
    }
}

proptest! {
    #[test]
    fn no_other_secret_is_accepted(seconds in 0_i64..100_000, is_exchanged: bool) {
        let [own, other] = [0, 1].map(|_| SessionToken::generate().unwrap());
        let record = if is_exchanged { exchanged(&own, 0).0 } else { record(&own) };
        prop_assert_eq!(state(Some(POLICY), &record, &other, seconds), Err(Denial::WrongSecret));
    }

    #[test]
    fn an_old_token_always_leads_to_the_secret_in_the_store(seconds in 0_i64..100_000) {
        let old = SessionToken::generate().unwrap();
        let (record, _) = exchanged(&old, 0);
        if let Ok(TokenState::Superseded(new)) = state(Some(POLICY), &record, &old, seconds) {
            prop_assert_eq!(hash(&new), record.secret_hash);
            prop_assert!(seconds < 60);
        }
    }
}
