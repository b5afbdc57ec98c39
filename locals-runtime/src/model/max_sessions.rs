//! Which of a user's sessions are the newest: a pure decision of (sessions, now).
//!
//! Logins at once each decide it for themselves, on any node. They end exactly the others if all
//! agree on one order of all sessions, which is that of their times of creation and, where these are
//! equal, of their ids. So a login may find that its own session is not among the newest.
//!
//! A login that begins after another has been answered is the newer one: before its session is
//! created, those of its user are read, and its time of creation is put after theirs where the clock
//! that noted them was a little ahead of this one.

use std::cmp::Reverse;

use crate::model::{
    lifecycle,
    record::SessionTimes,
    session_id::SessionId,
    time::{TOLERANCE, Timestamp},
};

/// The living sessions that a user has above the most they may have, the oldest first, after this new
/// one was created.
///
/// A session that was created further in the future than clocks are apart was created while a clock
/// was wrong: it counts as older than all others, so that it displaces no real one. Once it has been
/// used by a clock that was right, it counts as created then. An impersonation does not count.
pub(crate) fn surplus(
    mut sessions: Vec<SessionTimes>,
    new: SessionId,
    most: usize,
    now: Timestamp,
) -> Vec<SessionId> {
    sessions.retain(|session| {
        let lives = now < session.idle_expires_at && now < lifecycle::end_of(session);
        lives && session.actor_session.is_none()
    });
    sessions.sort_unstable_by_key(|session| {
        let created_at = beginning(session);
        let is_credible = created_at <= now + TOLERANCE || session.id == new;
        Reverse((is_credible, created_at, session.id))
    });
    sessions.into_iter().skip(most).rev().map(|session| session.id).collect()
}

/// When the newest of these sessions was created, of those that a new one of this time comes after:
/// which no clock noted that was wrong.
pub(crate) fn latest(sessions: &[SessionTimes], now: Timestamp) -> Option<Timestamp> {
    sessions.iter().map(beginning).filter(|time| *time <= now + TOLERANCE).max()
}

fn beginning(session: &SessionTimes) -> Timestamp {
    lifecycle::beginning(session.created_at, session.renewed_at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One that is not among those below.
    const NEW: SessionId = SessionId::from_bytes([255; 16]);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn session(number: u8, created: i64) -> SessionTimes {
        SessionTimes::new(
            SessionId::from_bytes([number; 16]),
            at(created),
            at(10_000_000),
            at(i64::MAX),
        )
    }

    fn numbers(surplus: &[SessionId]) -> Vec<u8> {
        surplus.iter().map(|id| id.as_bytes()[0]).collect()
    }

    #[test]
    fn the_oldest_go_and_among_equal_ones_the_lower_id() {
        let sessions = [(1, 5), (4, 5), (3, 9), (2, 7)].map(|(number, time)| session(number, time));
        for (most, expected) in [(1, &[1, 4, 2][..]), (2, &[1, 4]), (3, &[1]), (4, &[]), (9, &[])] {
            assert_eq!(numbers(&surplus(sessions.to_vec(), NEW, most, at(10))), expected);
        }
    }

    #[test]
    fn what_has_ended_and_impersonations_neither_count_nor_go() {
        let mut ended = [session(1, 20), session(2, 21), session(3, 22)];
        ended[0].idle_expires_at = at(30);
        ended[1].absolute_expires_at = at(30);
        ended[2].actor_session = Some(SessionId::from_bytes([9; 16]));
        let all: Vec<_> = ended.into_iter().chain([session(4, 1), session(5, 2)]).collect();
        assert_eq!(numbers(&surplus(all.clone(), NEW, 2, at(30))), [0; 0]);
        assert_eq!(numbers(&surplus(all.clone(), NEW, 1, at(30))), [4]);
        assert_eq!(numbers(&surplus(all, NEW, 2, at(29))), [4, 5]);
    }

    #[test]
    fn a_session_from_the_future_counts_as_the_oldest_beyond_a_minute() {
        for (created, expected) in [(60_010, 1), (60_011, 2), (i64::MAX, 2)] {
            let sessions = vec![session(1, 10), session(2, created)];
            assert_eq!(numbers(&surplus(sessions, NEW, 1, at(10))), [expected], "{created}");
        }
        let futures = vec![session(1, 90_000), session(2, 80_000)];
        assert_eq!(numbers(&surplus(futures, NEW, 1, at(10))), [2], "also among each other");
        let sessions = vec![session(1, 60_010), session(2, 60_011)];
        let new = session(2, 0).id;
        assert_eq!(numbers(&surplus(sessions, new, 1, at(10))), [1], "but for the new one");
    }

    /// Created by a clock that was days ahead, and used since by one that was right.
    fn set_right(number: u8, created: i64, used: i64) -> SessionTimes {
        SessionTimes { renewed_at: at(used), ..session(number, created) }
    }

    #[test]
    fn a_session_that_was_set_right_is_as_old_as_its_first_use_also_when_its_day_comes() {
        let day = 86_400_000;
        let ahead = set_right(1, 30 * day, 5);
        for (now, real) in [(20, 10), (30 * day, 29 * day), (30 * day + 5, 30 * day)] {
            let sessions: Vec<_> = [ahead, session(2, real)]
                .map(|it| SessionTimes { idle_expires_at: at(i64::MAX), ..it })
                .into();
            assert_eq!(numbers(&surplus(sessions.clone(), NEW, 1, at(now))), [1], "{now}");
            assert_eq!(latest(&sessions, at(now)), Some(at(real)), "{now}");
        }
        // Its life ends where that which began at its first use does.
        let ends = SessionTimes {
            idle_expires_at: at(i64::MAX),
            absolute_expires_at: at(60 * day),
            ..ahead
        };
        for (now, count) in [(30 * day + 4, 1), (30 * day + 5, 0)] {
            assert_eq!(surplus(vec![ends], NEW, 0, at(now)).len(), count, "{now}");
        }
    }

    #[test]
    fn a_new_session_comes_after_those_that_are_at_most_a_minute_ahead() {
        for (created, expected) in [
            (&[][..], None),
            (&[9], Some(9)),
            (&[9, 60_010, 12], Some(60_010)),
            (&[9, 60_011], Some(9)),
            (&[60_011], None),
        ] {
            let sessions: Vec<_> = (0..).zip(created).map(|(n, at)| session(n, *at)).collect();
            assert_eq!(latest(&sessions, at(10)), expected.map(at), "{created:?}");
        }
    }

    proptest! {
        #[test]
        fn whoever_decides_with_whatever_they_see_the_newest_stay(
            created in prop::collection::vec(0_i64..20, 1..12),
            most in 1_usize..5,
            seen in prop::collection::vec(any::<u16>(), 0..12),
        ) {
            let all: Vec<_> = (0..).zip(&created).map(|(number, time)| session(number, *time)).collect();
            let gone = surplus(all.clone(), NEW, most, at(20));
            prop_assert_eq!(all.len() - gone.len(), most.min(all.len()));
            for seen in seen {
                let some = all.iter().filter(|it| seen >> it.id.as_bytes()[0] & 1 == 1).copied();
                for id in surplus(some.collect(), NEW, most, at(20)) {
                    prop_assert!(gone.contains(&id), "one of the newest was ended");
                }
            }
        }
    }
}
