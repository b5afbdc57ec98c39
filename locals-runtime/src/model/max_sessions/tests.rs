use proptest::prelude::*;

use super::*;

/// The id of a session that is not in the lists below.
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
fn the_oldest_sessions_are_ended_and_of_equal_age_the_lower_id() {
    let sessions = [(1, 5), (4, 5), (3, 9), (2, 7)].map(|(number, time)| session(number, time));
    for (most, expected) in [(1, &[1, 4, 2][..]), (2, &[1, 4]), (3, &[1]), (4, &[]), (9, &[])] {
        assert_eq!(numbers(&surplus(sessions.to_vec(), NEW, most, at(10))), expected);
    }
}

#[test]
fn ended_sessions_and_impersonations_neither_count_nor_are_ended() {
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
fn a_session_more_than_a_minute_ahead_counts_as_the_oldest() {
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

/// A session created by a clock that was days ahead, and used since by one that was right.
fn corrected(number: u8, created: i64, used: i64) -> SessionTimes {
    SessionTimes { renewed_at: at(used), ..session(number, created) }
}

#[test]
fn a_session_from_the_future_counts_as_created_at_its_first_use() {
    let day = 86_400_000;
    let ahead = corrected(1, 30 * day, 5);
    for (now, real) in [(20, 10), (30 * day, 29 * day), (30 * day + 5, 30 * day)] {
        let sessions: Vec<_> = [ahead, session(2, real)]
            .map(|it| SessionTimes { idle_expires_at: at(i64::MAX), ..it })
            .into();
        assert_eq!(numbers(&surplus(sessions.clone(), NEW, 1, at(now))), [1], "{now}");
        assert_eq!(latest(&sessions, at(now)), Some(at(real)), "{now}");
    }
    // Its lifetime counts from its first use.
    let ends =
        SessionTimes { idle_expires_at: at(i64::MAX), absolute_expires_at: at(60 * day), ..ahead };
    for (now, count) in [(30 * day + 4, 1), (30 * day + 5, 0)] {
        assert_eq!(surplus(vec![ends], NEW, 0, at(now)).len(), count, "{now}");
    }
}

#[test]
fn a_new_session_sorts_after_sessions_at_most_a_minute_ahead() {
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
    fn the_newest_sessions_stay_whatever_subset_a_login_sees(
        created in prop::collection::vec(0_i64..20, 1..12),
        most in 1_usize..5,
        seen in prop::collection::vec(any::<u16>(), 0..12),
    ) {
        let all: Vec<_> = (0..).zip(&created).map(|(number, time)| session(number, *time)).collect();
        let ended = surplus(all.clone(), NEW, most, at(20));
        prop_assert_eq!(all.len() - ended.len(), most.min(all.len()));
        for seen in seen {
            let some = all.iter().filter(|it| seen >> it.id.as_bytes()[0] & 1 == 1).copied();
            for id in surplus(some.collect(), NEW, most, at(20)) {
                prop_assert!(ended.contains(&id), "one of the newest was ended");
            }
        }
    }
}
