//! What becomes of guests whose data a log-in has just taken over.
//!
//! Requests that were sent before the browser heard of the log-in bring the old token. Those that write
//! begin a new guest. Were each to make a token of its own, the browser would keep one of them, and
//! what the others have written would be lost. So they are given the same one.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    token::{SecretHash, SessionId, SessionToken},
};

/// How long requests with the old token are expected.
const OVERLAP: Duration = Duration::from_mins(1);

/// How many guests are remembered at most. Those above begin anew by themselves.
const MOST: usize = 10_000;

/// The guests that log-ins of this process have taken over within the last minute.
#[derive(Default)]
pub(crate) struct TakenOver(Mutex<HashMap<SessionId, Successor>>);

struct Successor {
    /// A request that does not bring the token of the old guest is not given that of the new one.
    secret_hash: SecretHash,
    token: SessionToken,
    since: Timestamp,
}

impl Successor {
    fn counts(&self, now: Timestamp) -> bool {
        self.since <= now && now.since(self.since) < OVERLAP
    }
}

impl TakenOver {
    /// Notes that a guest is about to be taken over, and the token of the one who may follow. The
    /// first of several at once counts.
    pub(crate) fn note(&self, old: &SessionToken, successor: SessionToken, now: Timestamp) {
        let mut all = self.all();
        if all.get(&old.id()).is_some_and(|it| it.counts(now)) {
            return;
        }
        if all.len() >= MOST {
            all.retain(|_, it| it.counts(now));
        }
        if all.len() < MOST {
            let secret_hash = old.secret_hash();
            all.insert(old.id(), Successor { secret_hash, token: successor, since: now });
        }
    }

    /// The token of the guest who follows the one with this token, if it was just taken over.
    pub(crate) fn successor(&self, old: &SessionToken, now: Timestamp) -> Option<SessionToken> {
        let all = self.all();
        let successor = all.get(&old.id()).filter(|it| it.counts(now))?;
        (successor.secret_hash == old.secret_hash()).then(|| successor.token.clone())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Successor>> {
        // No operation leaves the map half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakenOver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn who_has_had_the_token_is_led_to_one_successor_for_a_minute() {
        let taken = TakenOver::default();
        let [old, first, second] = [(); 3].map(|()| SessionToken::generate().unwrap());
        assert_eq!(taken.successor(&old, at(0)), None);
        taken.note(&old, first.clone(), at(5));
        taken.note(&old, second.clone(), at(6));
        for now in [5, 60_004] {
            assert_eq!(taken.successor(&old, at(now)), Some(first.clone()), "{now}");
        }
        for now in [4, 60_005] {
            assert_eq!(taken.successor(&old, at(now)), None, "{now}");
        }
        let other_secret = SessionToken::of_session(old.id()).unwrap();
        assert_eq!(taken.successor(&other_secret, at(5)), None);
        taken.note(&old, second.clone(), at(60_005));
        assert_eq!(taken.successor(&old, at(60_005)), Some(second));
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let taken = TakenOver::default();
        let mut last = SessionToken::generate().unwrap();
        for _ in 0..=MOST {
            last = SessionToken::generate().unwrap();
            taken.note(&last, last.clone(), at(0));
        }
        assert_eq!(taken.all().len(), MOST);
        assert_eq!(taken.successor(&last, at(0)), None);
        taken.note(&last, last.clone(), at(60_000));
        assert_eq!(taken.all().len(), 1);
        assert_eq!(taken.successor(&last, at(60_000)), Some(last));
    }
}
