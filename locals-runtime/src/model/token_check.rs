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
    DueForRotation,
    /// It was rotated a moment ago. This is the new token, which is the same for all requests.
    Superseded(SessionToken),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The session has ended.
    Ended,
    /// The id is that of a session, but the secret is wrong.
    WrongSecret,
    /// The token has been rotated and is no longer accepted.
    TokenSuperseded,
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
        return Ok(if is_due { TokenState::DueForRotation } else { TokenState::Current });
    }
    let rotation = record.rotation.filter(|rotation| rotation.previous == hash);
    let rotation = rotation.ok_or(Denial::WrongSecret)?;
    // Without rotation, or after it was disabled, there is no overlap.
    let overlap = policy.ok_or(Denial::TokenSuperseded)?.overlap;
    match rotation.rotated_at.age_at(now) {
        Some(age) if age < overlap => {}
        Some(_) => return Err(Denial::TokenReused),
        // The clock was set back: the token is old, but whether the overlap is over is unknown.
        None => return Err(Denial::TokenSuperseded),
    }
    let new = token.rotated(&rotation.salt);
    if new.hash_in(domain) == record.secret_hash {
        Ok(TokenState::Superseded(new))
    } else {
        Err(Denial::TokenSuperseded)
    }
}

/// Whether this time has passed since then. A time ahead of the clock counts as long ago.
fn is_past(since: Timestamp, time: Duration, now: Timestamp) -> bool {
    since.age_at(now).is_none_or(|age| age >= time)
}

#[cfg(test)]
mod tests;
