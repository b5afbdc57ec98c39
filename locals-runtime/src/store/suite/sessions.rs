//! Rules 1 to 6: the life of one session.

#![allow(clippy::missing_panics_doc, reason = "a panic is how all of them say no")]

use super::{
    Harness,
    support::{
        CONCURRENT, DAY, POLLS, answer, assert_gone, assert_kept, assert_listed, at, at_once,
        change_of, changed, create, create_all, data_for, drop_after, failed, renewal_of, renewed,
        session, store_with_users, the_one_of,
    },
};
use crate::{
    model::{
        error::StoreError,
        hashes::SecretHash,
        record::{DataChange, Renewal, SessionRecord},
        session_id::SessionId,
        time::Timestamp,
    },
    store::SessionStore,
};

// Rule 1

/// Rule 1: what `create` stored, `find` gives back.
pub async fn a_session_is_found_with_every_field_as_it_was<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord {
        id: SessionId::from_bytes(*b"\x00\x01\x09\x0a\x0d\x1f'\"\\%\x7f\x80\xc3\x28\xfe\xff"),
        secret_hash: SecretHash::from_bytes(
            *b"\xff\xfe\x80\x00 a secret is not text: \x00\n\x7f\x00 ",
        ),
        ..session(1, &ada)
    };
    answer(create(&store, &session).await);
    assert_kept(&store, &session).await;
}

/// Rule 1: no user agent, no address, no data and so on are found as none.
pub async fn what_a_session_does_not_say_is_not_made_up<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord {
        periods: None,
        user_agent: None,
        address: None,
        actor_session: None,
        data: None,
        rotation: None,
        credential: None,
        ..session(1, &ada)
    };
    answer(create(&store, &session).await);
    assert_kept(&store, &session).await;
}

/// Rule 1: an empty user agent is found as an empty one.
pub async fn an_empty_text_is_not_a_missing_one<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord { user_agent: Some(String::new()), ..session(1, &ada) };
    answer(create(&store, &session).await);
    assert_kept(&store, &session).await;
}

/// Rule 1: the longest user agents are kept, whatever they are written in.
pub async fn text_of_255_characters_in_any_script_is_kept<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for (number, character) in (1..).zip(["x", "é", "語", "🦀", "'", "\\", " "]) {
        let user_agent = Some(character.repeat(255));
        let session = SessionRecord { user_agent, ..session(number, &ada) };
        answer(create(&store, &session).await);
        assert_kept(&store, &session).await;
    }
}

/// Rule 1: data may be long, and empty, and hold what separates other things elsewhere.
pub async fn data_of_any_length_and_content_are_kept<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let long = format!("[{}]", "\"🦀\", ".repeat(30_000));
    for (number, data) in (1..).zip(["", "\n", "{}", " - \n{\"user\":\"i:2\"}\n", &long]) {
        let session = SessionRecord { data: Some(data.to_owned()), ..session(number, &ada) };
        answer(create(&store, &session).await);
        assert_kept(&store, &session).await;
    }
}

/// Rule 1: no time is rounded, be it early or late.
pub async fn times_are_kept_to_the_millisecond<H: Harness>(harness: &H) {
    const YEAR_9999: i64 = 253_402_300_799_999;
    let (store, [ada]) = store_with_users(harness).await;
    for (number, start) in (1..).zip([0, 1, 999, 1_700_000_000_001, YEAR_9999 - 5]) {
        let at = |millis| Timestamp::from_millis(start + millis);
        let session = SessionRecord {
            created_at: at(0),
            authenticated_at: at(1),
            active_expires_at: at(2),
            idle_expires_at: at(3),
            absolute_expires_at: at(4),
            renewed_at: at(5),
            ..session(number, &ada)
        };
        answer(create(&store, &session).await);
        assert_kept(&store, &session).await;
    }
}

/// Rule 1: a store has no opinion on whether a session is dead.
pub async fn a_session_that_has_ended_stays_until_it_is_deleted<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord {
        active_expires_at: at(1),
        idle_expires_at: at(1),
        absolute_expires_at: at(1),
        ..session(1, &ada)
    };
    answer(create(&store, &session).await);
    assert_kept(&store, &session).await;
    assert!(answer(store.delete(session.id).await), "an ended session is there to be deleted");
}

/// Rule 1: the ids are bytes; none of them are equal under any reading of them as text.
pub async fn sessions_whose_ids_are_alike_are_different_sessions<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let ids = [
        *b"aaaaaaaaaaaaaaaa",
        *b"AAAAAAAAAAAAAAAA",
        *b"aaaaaaaaaaaaaaa ",
        *b"aaaaaaaaaaaaaaa\0",
        *b" aaaaaaaaaaaaaaa",
        *b"\0aaaaaaaaaaaaaaa",
        [0; 16],
        [b' '; 16],
        [0xff; 16],
    ];
    let record =
        |(number, id)| SessionRecord { id: SessionId::from_bytes(id), ..session(number, &ada) };
    let sessions: Vec<_> = (1..).zip(ids).map(record).collect();
    create_all(&store, &sessions).await;
    for session in &sessions {
        assert_kept(&store, session).await;
    }
    for (deleted, session) in sessions.iter().enumerate() {
        assert!(answer(store.delete(session.id).await), "{} was there", session.id);
        assert_gone(&store, session.id).await;
        for other in &sessions[deleted + 1..] {
            assert_kept(&store, other).await;
        }
    }
}

/// Rule 1: sessions that begin at the same time do not hinder each other.
pub async fn sessions_created_at_once_are_all_there<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let record = |number| session(number, if number % 2 == 0 { &ada } else { &bob });
    let sessions: Vec<_> = (0..CONCURRENT).map(record).collect();
    let creators = sessions.iter().map(|session| create(&store, session)).collect();
    for created in at_once(creators).await {
        answer(created);
    }
    for session in &sessions {
        assert_kept(&store, session).await;
    }
}

/// Rule 1, for a client that hangs up: the session is there as a whole or not at all.
pub async fn a_create_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        drop_after(polls, create(&store, &session)).await;
        let found = answer(store.find(session.id).await);
        assert!(
            found.is_none() || found.as_ref() == Some(&session),
            "a `create` dropped after {polls} polls stored all or nothing, but {found:?} is found"
        );
        match create(&store, &session).await {
            Ok(()) | Err(StoreError::Collision) => assert_kept(&store, &session).await,
            Err(error) => failed(&error),
        }
    }
}

// Rule 2

/// Rule 2: the second of two sessions of one id is refused with [`StoreError::Collision`].
pub async fn a_taken_id_is_refused_and_the_first_session_stays<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let first = session(1, &ada);
    answer(create(&store, &first).await);
    let second = SessionRecord { id: first.id, ..session(2, &bob) };
    for again in [&second, &first] {
        let refused = create(&store, again).await;
        assert!(
            matches!(refused, Err(StoreError::Collision)),
            "a taken id is a collision, but `create` answers {refused:?}"
        );
        assert_kept(&store, &first).await;
    }
    assert_listed(&store, &bob, &[]).await;
}

/// Rule 2: also when they come at the same time.
pub async fn of_creators_of_one_id_at_once_exactly_one_succeeds<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let id = session(0, &ada).id;
    let record = |number| SessionRecord { id, ..session(number, &ada) };
    let sessions: Vec<_> = (0..CONCURRENT).map(record).collect();
    let creators = sessions.iter().map(|session| create(&store, session)).collect();
    let mut first = None;
    for (session, created) in sessions.iter().zip(at_once(creators).await) {
        match created {
            Ok(()) => assert!(first.replace(session).is_none(), "two `create`s of one id succeed"),
            Err(StoreError::Collision) => {}
            Err(error) => failed(&error),
        }
    }
    assert_kept(&store, first.expect("one `create` of a free id succeeds")).await;
}

// Rule 3

/// Rule 3: nothing is found of an id that nobody has.
pub async fn an_unknown_session_is_not_found<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let unknown = session(1, &ada).id;
    assert_gone(&store, unknown).await;
    answer(create(&store, &session(2, &ada)).await);
    assert_gone(&store, unknown).await;
}

/// Rule 3: nor do a change of the token and a write of data insert anything.
pub async fn changes_of_an_unknown_session_create_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let unknown = session(1, &ada);
    let change = change_of(&unknown, 7);
    assert!(!answer(store.change_token(unknown.id, &change).await), "there was no token");
    for replaces in [0, unknown.data_revision] {
        let change = DataChange { replaces, ..data_for(&unknown, 7) };
        assert!(!answer(store.write_data(unknown.id, &change).await), "there were no data");
    }
    assert_gone(&store, unknown.id).await;
    assert_listed(&store, &ada, &[]).await;
}

/// Rule 3: a renewal is an update, never an insert.
pub async fn a_renewal_of_an_unknown_session_creates_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let (other, unknown) = (session(1, &ada), session(2, &ada));
    answer(create(&store, &other).await);
    let renewed = answer(store.renew(unknown.id, renewal_of(&unknown)).await);
    assert!(!renewed, "there was nothing to renew");
    assert_gone(&store, unknown.id).await;
    assert_listed(&store, &ada, &[&other]).await;
}

// Rule 4

/// Rule 4: of the renewed session, and of all others, all else stays.
pub async fn a_renewal_sets_its_three_times_and_nothing_else<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (session, others) = (session(1, &ada), [session(2, &ada), session(3, &bob)]);
    answer(create(&store, &session).await);
    create_all(&store, &others).await;
    let renewal = renewal_of(&session);
    assert!(answer(store.renew(session.id, renewal).await), "the session was there to renew");
    assert_kept(&store, &renewed(&session, renewal)).await;
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 4: who comes late with an old end of the active period is told so.
pub async fn a_renewal_of_what_has_moved_on_is_refused_and_changes_nothing<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    let by_a_millisecond = Timestamp::from_millis(session.active_expires_at.as_millis() - 1);
    let late = Renewal { replaces: by_a_millisecond, ..renewal_of(&session) };
    assert!(!answer(store.renew(session.id, late).await), "the active period ends later by 1 ms");
    assert_kept(&store, &session).await;

    let first = renewal_of(&session);
    assert!(answer(store.renew(session.id, first).await), "the session was there to renew");
    let second = Renewal { idle_expires_at: at(DAY * 29), ..first };
    assert!(!answer(store.renew(session.id, second).await), "it has been renewed meanwhile");
    assert_kept(&store, &renewed(&session, first)).await;
}

/// Rule 4: an end that is earlier than the one to replace is another one, too.
pub async fn a_renewal_of_what_was_set_back_is_refused_and_changes_nothing<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    let later = Timestamp::from_millis(session.active_expires_at.as_millis() + 1);
    let renewal = Renewal { replaces: later, ..renewal_of(&session) };
    assert!(!answer(store.renew(session.id, renewal).await), "the active period ends 1 ms before");
    assert_kept(&store, &session).await;
}

/// Rule 4: a renewal to earlier ends, of a session that was created while a clock was ahead, keeps the
/// session until its new end, and not for less.
pub async fn a_renewal_to_earlier_ends_keeps_the_session_until_the_new_end<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let ahead = |time: Timestamp| at(time.as_millis() + DAY * 30);
    let right = session(1, &ada);
    let session = SessionRecord {
        created_at: ahead(right.created_at),
        renewed_at: ahead(right.renewed_at),
        active_expires_at: ahead(right.active_expires_at),
        idle_expires_at: ahead(right.idle_expires_at),
        absolute_expires_at: ahead(right.absolute_expires_at),
        ..right.clone()
    };
    answer(create(&store, &session).await);
    let renewal = back_to(&session, &right, 0);
    assert!(answer(store.renew(session.id, renewal).await), "the session was there to renew");
    let session = renewed(&session, renewal);
    assert_kept(&store, &session).await;
    assert_listed(&store, &ada, &[&session]).await;
    let last = at(right.idle_expires_at.as_millis() - 1);
    assert_eq!(answer(store.delete_expired(last, 100).await), 0, "it has not ended yet");
    assert_kept(&store, &session).await;
    assert_eq!(answer(store.delete_expired(right.idle_expires_at, 100).await), 1, "it has");
    assert_gone(&store, session.id).await;
}

/// The renewal of a session to the times of another one, and this many milliseconds later.
fn back_to(session: &SessionRecord, right: &SessionRecord, millis: i64) -> Renewal {
    let later = |time: Timestamp| at(time.as_millis() + millis);
    Renewal {
        replaces: session.active_expires_at,
        secret_hash: session.secret_hash,
        active_expires_at: later(right.active_expires_at),
        idle_expires_at: later(right.idle_expires_at),
        renewed_at: later(right.renewed_at),
    }
}

/// Rule 4: who comes with a token that has been replaced is told so, and who has the new one is not
/// kept from renewing.
pub async fn a_renewal_by_a_replaced_token_is_refused_and_changes_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    let change = change_of(&session, 7);
    assert!(answer(store.change_token(session.id, &change).await), "the token was the one it had");
    let session = changed(&session, &change);
    let late = Renewal { secret_hash: change.replaces, ..renewal_of(&session) };
    assert!(!answer(store.renew(session.id, late).await), "it has another token by now");
    assert_kept(&store, &session).await;
    let renewal = renewal_of(&session);
    assert!(answer(store.renew(session.id, renewal).await), "this is its token");
    assert_kept(&store, &renewed(&session, renewal)).await;
}

/// Rule 4, for a client that hangs up: all three times are set or none.
pub async fn a_renewal_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        answer(create(&store, &session).await);
        let renewal = renewal_of(&session);
        let after = renewed(&session, renewal);
        drop_after(polls, store.renew(session.id, renewal)).await;
        let found = answer(store.find(session.id).await);
        assert!(
            found.as_ref() == Some(&session) || found.as_ref() == Some(&after),
            "a renewal dropped after {polls} polls did all or nothing, but {found:?} is found"
        );
        answer(store.renew(session.id, renewal).await);
        assert_kept(&store, &after).await;
    }
}

// Rule 5

/// Rule 5: all others are told that it was not they, and their times are not stored.
pub async fn of_renewals_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    let renewal = |number| Renewal {
        replaces: session.active_expires_at,
        secret_hash: session.secret_hash,
        active_expires_at: at(DAY * 2 + i64::from(number)),
        idle_expires_at: at(DAY * 9 + i64::from(number)),
        renewed_at: at(DAY + i64::from(number)),
    };
    let renewals: Vec<_> = (0..CONCURRENT).map(renewal).collect();
    let racers = renewals.iter().map(|&renewal| store.renew(session.id, renewal)).collect();
    let winner = the_one_of(racers).await;
    assert_kept(&store, &renewed(&session, renewals[winner])).await;
}

/// Rule 5: also where the new ends are earlier than the ones before.
pub async fn of_renewals_to_earlier_ends_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let right = session(1, &ada);
    let session = SessionRecord {
        created_at: at(DAY * 30),
        renewed_at: at(DAY * 30),
        active_expires_at: at(DAY * 31),
        idle_expires_at: at(DAY * 38),
        absolute_expires_at: at(DAY * 60),
        ..right.clone()
    };
    answer(create(&store, &session).await);
    let renewals: Vec<_> =
        (0..CONCURRENT).map(|number| back_to(&session, &right, number.into())).collect();
    let racers = renewals.iter().map(|&renewal| store.renew(session.id, renewal)).collect();
    let winner = the_one_of(racers).await;
    assert_kept(&store, &renewed(&session, renewals[winner])).await;
}

// Rule 6

/// Rule 6: the answer to a second `delete`, and to one of an unknown session, is no.
pub async fn a_delete_says_whether_the_session_was_there<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    assert!(!answer(store.delete(session.id).await), "it was not there yet");
    answer(create(&store, &session).await);
    assert!(answer(store.delete(session.id).await), "it was there");
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
    assert!(!answer(store.delete(session.id).await), "it was there no more");
}

/// Rule 6: the other sessions stay, also those of the same user.
pub async fn a_delete_takes_no_other_session<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (session, others) = (session(1, &ada), [session(2, &ada), session(3, &bob)]);
    answer(create(&store, &session).await);
    create_all(&store, &others).await;
    answer(store.delete(session.id).await);
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 6: a renewal that comes late does not undo a logout.
pub async fn a_renewal_after_a_delete_brings_nothing_back<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    answer(store.delete(session.id).await);
    let renewed = answer(store.renew(session.id, renewal_of(&session)).await);
    assert!(!renewed, "there was nothing left to renew");
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
}

/// Rule 6: nor do late changes of the token and writes of data.
pub async fn changes_after_a_delete_bring_nothing_back<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    answer(store.delete(session.id).await);
    assert!(!answer(store.change_token(session.id, &change_of(&session, 7)).await), "no token");
    assert!(!answer(store.write_data(session.id, &data_for(&session, 7)).await), "no data");
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
}

/// Rule 6: whatever is under way.
pub async fn a_delete_amid_changes_is_final<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    let (token, data) = (change_of(&session, 7), data_for(&session, 7));
    let change = |number| match number % 2 {
        0 => store.change_token(session.id, &token),
        _ => store.write_data(session.id, &data),
    };
    let mut crowd: Vec<_> = (1..CONCURRENT).map(change).collect();
    let middle = crowd.len() / 2;
    crowd.insert(middle, store.delete(session.id));
    let mut answers = at_once(crowd).await.into_iter().map(answer);
    assert_eq!(answers.nth(middle), Some(true), "the session was there to delete");
    assert_gone(&store, session.id).await;
}

/// Rule 6: nor does one that comes at the same time.
pub async fn a_delete_amid_renewals_is_final<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    // Each of them may be done, whatever was done before it: the end they replace stays.
    let renewal = Renewal { active_expires_at: session.active_expires_at, ..renewal_of(&session) };
    let mut crowd: Vec<_> = (1..CONCURRENT).map(|_| store.renew(session.id, renewal)).collect();
    let middle = crowd.len() / 2;
    crowd.insert(middle, store.delete(session.id));
    let mut answers = at_once(crowd).await.into_iter().map(answer);
    assert_eq!(answers.nth(middle), Some(true), "the session was there to delete");
    assert_gone(&store, session.id).await;
    assert!(!answer(store.renew(session.id, renewal).await), "there was nothing left to renew");
    assert_gone(&store, session.id).await;
}

/// Rule 6: whoever deletes a session is the only one to hear that it was there.
pub async fn of_deletes_at_once_exactly_one_finds_the_session<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    let deletes = (0..CONCURRENT).map(|_| store.delete(session.id)).collect();
    let found = at_once(deletes).await.into_iter().map(answer).filter(|found| *found).count();
    assert_eq!(found, 1, "of {CONCURRENT} deletes one finds the session");
    assert_gone(&store, session.id).await;
}

/// Rule 6, for a client that hangs up: the session is there as a whole or not at all.
pub async fn a_delete_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        answer(create(&store, &session).await);
        drop_after(polls, store.delete(session.id)).await;
        let found = answer(store.find(session.id).await);
        assert!(
            found.is_none() || found.as_ref() == Some(&session),
            "a `delete` dropped after {polls} polls did all or nothing, but {found:?} is found"
        );
        answer(store.delete(session.id).await);
        assert_gone(&store, session.id).await;
    }
}
