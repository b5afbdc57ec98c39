//! Decides whether a token is accepted for a stored session, and what its use requires: pure functions
//! of (settings, record, token, now).

use std::time::Duration;

use crate::model::{
    lifecycle::{self, Lifetime, Verdict},
    record::{Renewal, SessionRecord, SessionState},
    settings::RotationPolicy,
    time::Timestamp,
    token::{SessionToken, TokenDomain},
};

/// The result of a successful check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenCheck {
    pub state: SessionState,
    /// The renewal to write, if the session is idle.
    pub renewal: Option<Renewal>,
    pub token: TokenState,
}

/// How the presented token relates to the current one in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenState {
    /// It is the current token.
    Current,
    /// It is the current token, and old enough to be rotated.
    Due,
    /// It was rotated a moment ago. This is the new token, which is the same for all requests.
    Exchanged(SessionToken),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The session has ended.
    Ended,
    /// The id is that of a session, but the secret is wrong.
    WrongSecret,
    /// The token has been rotated and is no longer accepted.
    TokenExchanged,
    /// The token has been rotated and was presented after the overlap: it may be stolen.
    TokenReused,
}

pub(crate) fn check(
    lifetime: &Lifetime,
    rotation: Option<RotationPolicy>,
    domain: TokenDomain,
    record: &SessionRecord,
    token: &SessionToken,
    now: Timestamp,
) -> Result<TokenCheck, Denial> {
    // Checked before the token: a session that has ended is treated like one that does not exist,
    // whether it has been deleted yet or not.
    let (state, renewal) = match lifecycle::judge(lifetime, record, now) {
        Verdict::Expired => return Err(Denial::Ended),
        Verdict::Active => (SessionState::Active, None),
        Verdict::Renew(renewal) => (SessionState::Idle, Some(renewal)),
    };
    let token = token_state(rotation, domain, record, token, now)?;
    Ok(TokenCheck { state, renewal, token })
}

fn token_state(
    policy: Option<RotationPolicy>,
    domain: TokenDomain,
    record: &SessionRecord,
    token: &SessionToken,
    now: Timestamp,
) -> Result<TokenState, Denial> {
    let hash = token.hash_in(domain);
    if record.secret_hash == hash {
        let issued = record.rotation.map_or_else(
            // `created_at` may have been moved a little later, to sort after another session.
            || record.authenticated_at.max(record.created_at.min(record.renewed_at)),
            |rotation| rotation.rotated_at,
        );
        let is_due = policy.is_some_and(|policy| is_past(issued, policy.every, now));
        return Ok(if is_due { TokenState::Due } else { TokenState::Current });
    }
    let rotation = record.rotation.filter(|rotation| rotation.previous == hash);
    let rotation = rotation.ok_or(Denial::WrongSecret)?;
    // Without rotation, or after it was disabled, there is no overlap.
    let overlap = policy.ok_or(Denial::TokenExchanged)?.overlap;
    match rotation.rotated_at.age_at(now) {
        Some(age) if age < overlap => {}
        Some(_) => return Err(Denial::TokenReused),
        // The clock was set back: the token is old, but whether the overlap is over is unknown.
        None => return Err(Denial::TokenExchanged),
    }
    let new = token.exchanged(&rotation.salt);
    if new.hash_in(domain) == record.secret_hash {
        Ok(TokenState::Exchanged(new))
    } else {
        Err(Denial::TokenExchanged)
    }
}

/// Whether this time has passed since then. A time ahead of the clock counts as long ago.
fn is_past(since: Timestamp, time: Duration, now: Timestamp) -> bool {
    since.age_at(now).is_none_or(|age| age >= time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
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
        SessionRecord {
            active_expires_at: at(100_000),
            idle_expires_at: at(200_000),
            absolute_expires_at: at(300_000),
            ..SessionRecord::new(token.id(), hash(token), 1_i64, at(0))
        }
    }

    fn exchanged(old: &SessionToken, seconds: i64) -> (SessionRecord, SessionToken) {
        let salt = [7; 32];
        let new = old.exchanged(&salt);
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
        assert_eq!(state(Some(POLICY), &record, &token, 600), Ok(TokenState::Due));
        assert_eq!(state(None, &record, &token, 99_999), Ok(TokenState::Current));
    }

    #[test]
    fn the_age_of_a_token_counts_from_its_last_rotation_or_authentication() {
        let old = SessionToken::generate().unwrap();
        let (record, new) = exchanged(&old, 1_000);
        assert_eq!(state(Some(POLICY), &record, &new, 1_599), Ok(TokenState::Current));
        assert_eq!(state(Some(POLICY), &record, &new, 1_600), Ok(TokenState::Due));
        let proved = SessionRecord { authenticated_at: at(500), ..self::record(&old) };
        assert_eq!(state(Some(POLICY), &proved, &old, 1_099), Ok(TokenState::Current));
    }

    #[test]
    fn the_old_token_leads_to_the_new_one_during_the_overlap() {
        let old = SessionToken::generate().unwrap();
        let (record, new) = exchanged(&old, 1_000);
        assert_eq!(state(Some(POLICY), &record, &old, 1_059), Ok(TokenState::Exchanged(new)));
        assert_eq!(state(Some(POLICY), &record, &old, 1_060), Err(Denial::TokenReused));
        assert_eq!(state(None, &record, &old, 1_000), Err(Denial::TokenExchanged));
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
        let opens = Ok(TokenState::Exchanged(new.clone()));
        assert_eq!(state_at(&record, &old, ahead(0)), opens);
        assert_eq!(state_at(&record, &old, ahead(60_000)), opens);
        for millis in [60_001, 3_600_000, 9_000_000] {
            let denied = Err(Denial::TokenExchanged);
            assert_eq!(state_at(&record, &old, ahead(millis)), denied, "{millis}");
            assert_eq!(state_at(&record, &new, ahead(millis)), Ok(TokenState::Due), "{millis}");
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
            assert_eq!(state_at(&times, &token, 939_999), Ok(TokenState::Due));
            assert_eq!(state_at(&times, &token, 1_599_999), Ok(TokenState::Current));
            assert_eq!(state_at(&times, &token, 1_600_000), Ok(TokenState::Due));
        }
    }

    #[test]
    fn a_token_older_than_the_previous_one_is_a_wrong_secret() {
        let first = SessionToken::generate().unwrap();
        let second = first.exchanged(&[1; 32]);
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
        assert_eq!(state(Some(POLICY), &record, &token, 2_000), Ok(TokenState::Due));
        let made = token.exchanged(&[7; 32]);
        assert_eq!(state(Some(POLICY), &record, &made, 1_001), Err(Denial::WrongSecret));
    }

    #[test]
    fn an_old_token_that_does_not_lead_to_the_stored_one_is_refused() {
        let old = SessionToken::generate().unwrap();
        let (mut record, _) = exchanged(&old, 1_000);
        record.secret_hash = hash(&SessionToken::generate().unwrap());
        assert_eq!(state(Some(POLICY), &record, &old, 1_001), Err(Denial::TokenExchanged));
    }

    #[test]
    fn using_an_idle_session_renews_it_whatever_the_state_of_its_token() {
        let token = SessionToken::generate().unwrap();
        let record = record(&token);
        let found_session = |seconds| check(Some(POLICY), &record, &token, at(seconds)).unwrap();
        let active = found_session(99_999);
        assert_eq!((active.state, active.renewal), (SessionState::Active, None));
        let idle = found_session(100_000);
        assert_eq!((idle.state, idle.token), (SessionState::Idle, TokenState::Due));
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
            if let Ok(TokenState::Exchanged(new)) = state(Some(POLICY), &record, &old, seconds) {
                prop_assert_eq!(hash(&new), record.secret_hash);
                prop_assert!(seconds < 60);
            }
        }
    }
}
