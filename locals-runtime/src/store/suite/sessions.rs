//! Rules 1 to 6: creating, finding, renewing and deleting one session.

#![allow(clippy::missing_panics_doc, reason = "all of them panic on failure")]

use super::{
    Harness,
    support::{
        CONCURRENT, DAY, POLLS, assert_gone, assert_kept, assert_listed, assert_one_succeeds, at,
        change_of, changed, create, create_all, data_for, drop_after, expect_ok, failed,
        renewal_of, renewed, run_concurrently, session, store_with_users,
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

/// Rule 1: `find` returns what `create` stored.
pub async fn a_session_is_found_with_every_field_as_it_was<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord {
        id: SessionId::from_bytes(*b"\x00\x01\x09\x0a\x0d\x1f'\"\\%\x7f\x80\xc3\x28\xfe\xff"),
        secret_hash: SecretHash::from_bytes(
            *b"\xff\xfe\x80\x00 a secret is not text: \x00\n\x7f\x00 ",
        ),
        ..session(1, &ada)
    };
    expect_ok(create(&store, &session).await);
    assert_kept(&store, &session).await;
}

/// Rule 1: optional fields that are `None` stay `None`.
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
    expect_ok(create(&store, &session).await);
    assert_kept(&store, &session).await;
}

/// Rule 1: an empty user agent stays empty and does not become `None`.
pub async fn an_empty_text_is_not_a_missing_one<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord { user_agent: Some(String::new()), ..session(1, &ada) };
    expect_ok(create(&store, &session).await);
    assert_kept(&store, &session).await;
}

/// Rule 1: the longest user agents are stored in full, in any script.
pub async fn text_of_255_characters_in_any_script_is_kept<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for (number, character) in (1..).zip(["x", "é", "語", "🦀", "'", "\\", " "]) {
        let user_agent = Some(character.repeat(255));
        let session = SessionRecord { user_agent, ..session(number, &ada) };
        expect_ok(create(&store, &session).await);
        assert_kept(&store, &session).await;
    }
}

/// Rule 1: data may be long or empty, and may contain characters that a store uses as separators.
pub async fn data_of_any_length_and_content_are_kept<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let long = format!("[{}]", "\"🦀\", ".repeat(30_000));
    for (number, data) in (1..).zip(["", "\n", "{}", " - \n{\"user\":\"i:2\"}\n", &long]) {
        let session = SessionRecord { data: Some(data.to_owned()), ..session(number, &ada) };
        expect_ok(create(&store, &session).await);
        assert_kept(&store, &session).await;
    }
}

/// Rule 1: times are not rounded, however early or late they are.
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
        expect_ok(create(&store, &session).await);
        assert_kept(&store, &session).await;
    }
}

/// Rule 1: a store does not decide whether a session has expired.
pub async fn a_session_that_has_ended_stays_until_it_is_deleted<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = SessionRecord {
        active_expires_at: at(1),
        idle_expires_at: at(1),
        absolute_expires_at: at(1),
        ..session(1, &ada)
    };
    expect_ok(create(&store, &session).await);
    assert_kept(&store, &session).await;
    assert!(expect_ok(store.delete(session.id).await), "an expired session can be deleted");
}

/// Rule 1: ids are bytes, and are never compared as text.
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
        assert!(expect_ok(store.delete(session.id).await), "{} existed", session.id);
        assert_gone(&store, session.id).await;
        for other in &sessions[deleted + 1..] {
            assert_kept(&store, other).await;
        }
    }
}

/// Rule 1: sessions that are created at the same time do not affect each other.
pub async fn sessions_created_at_once_are_all_there<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let record = |number| session(number, if number % 2 == 0 { &ada } else { &bob });
    let sessions: Vec<_> = (0..CONCURRENT).map(record).collect();
    let creators = sessions.iter().map(|session| create(&store, session)).collect();
    for created in run_concurrently(creators).await {
        expect_ok(created);
    }
    for session in &sessions {
        assert_kept(&store, session).await;
    }
}

/// Rule 1, if the future is dropped: the session is stored completely or not at all.
pub async fn a_create_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        drop_after(polls, create(&store, &session)).await;
        let found = expect_ok(store.find(session.id).await);
        assert!(
            found.is_none() || found.as_ref() == Some(&session),
            "a `create` dropped after {polls} polls must store all or nothing, but {found:?} is found"
        );
        match create(&store, &session).await {
            Ok(()) | Err(StoreError::Collision) => assert_kept(&store, &session).await,
            Err(error) => failed(&error),
        }
    }
}

// Rule 2

/// Rule 2: a second session with the same id is refused with [`StoreError::Collision`].
pub async fn a_taken_id_is_refused_and_the_first_session_stays<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let first = session(1, &ada);
    expect_ok(create(&store, &first).await);
    let second = SessionRecord { id: first.id, ..session(2, &bob) };
    for again in [&second, &first] {
        let refused = create(&store, again).await;
        assert!(
            matches!(refused, Err(StoreError::Collision)),
            "a taken id is a collision, but `create` returned {refused:?}"
        );
        assert_kept(&store, &first).await;
    }
    assert_listed(&store, &bob, &[]).await;
}

/// Rule 2: the same if they are created at the same time.
pub async fn of_creators_of_one_id_at_once_exactly_one_succeeds<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let id = session(0, &ada).id;
    let record = |number| SessionRecord { id, ..session(number, &ada) };
    let sessions: Vec<_> = (0..CONCURRENT).map(record).collect();
    let creators = sessions.iter().map(|session| create(&store, session)).collect();
    let mut first = None;
    for (session, created) in sessions.iter().zip(run_concurrently(creators).await) {
        match created {
            Ok(()) => assert!(first.replace(session).is_none(), "two `create`s of one id succeed"),
            Err(StoreError::Collision) => {}
            Err(error) => failed(&error),
        }
    }
    assert_kept(&store, first.expect("one `create` of a free id succeeds")).await;
}

// Rule 3

/// Rule 3: an unknown id is not found.
pub async fn an_unknown_session_is_not_found<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let unknown = session(1, &ada).id;
    assert_gone(&store, unknown).await;
    expect_ok(create(&store, &session(2, &ada)).await);
    assert_gone(&store, unknown).await;
}

/// Rule 3: changing the token and writing data never create a session.
pub async fn changes_of_an_unknown_session_create_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let unknown = session(1, &ada);
    let change = change_of(&unknown, 7);
    assert!(!expect_ok(store.change_token(unknown.id, &change).await), "there is no such session");
    for replaces in [0, unknown.data_revision] {
        let change = DataChange { replaces, ..data_for(&unknown, 7) };
        assert!(
            !expect_ok(store.write_data(unknown.id, &change).await),
            "there is no such session"
        );
    }
    assert_gone(&store, unknown.id).await;
    assert_listed(&store, &ada, &[]).await;
}

/// Rule 3: a renewal never creates a session.
pub async fn a_renewal_of_an_unknown_session_creates_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let (other, unknown) = (session(1, &ada), session(2, &ada));
    expect_ok(create(&store, &other).await);
    let renewed = expect_ok(store.renew(unknown.id, renewal_of(&unknown)).await);
    assert!(!renewed, "there is no such session");
    assert_gone(&store, unknown.id).await;
    assert_listed(&store, &ada, &[&other]).await;
}

// Rule 4

/// Rule 4: the other fields of the session, and all other sessions, are unchanged.
pub async fn a_renewal_sets_its_three_times_and_nothing_else<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (session, others) = (session(1, &ada), [session(2, &ada), session(3, &bob)]);
    expect_ok(create(&store, &session).await);
    create_all(&store, &others).await;
    let renewal = renewal_of(&session);
    assert!(
        expect_ok(store.renew(session.id, renewal).await),
        "the session exists and can be renewed"
    );
    assert_kept(&store, &renewed(&session, renewal)).await;
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 4: a renewal that replaces an outdated end of the active period returns `false`.
pub async fn a_renewal_of_what_has_moved_on_is_refused_and_changes_nothing<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    let by_a_millisecond = Timestamp::from_millis(session.active_expires_at.as_millis() - 1);
    let late = Renewal { replaces: by_a_millisecond, ..renewal_of(&session) };
    assert!(!expect_ok(store.renew(session.id, late).await), "the active period ends 1 ms later");
    assert_kept(&store, &session).await;

    let first = renewal_of(&session);
    assert!(
        expect_ok(store.renew(session.id, first).await),
        "the session exists and can be renewed"
    );
    let second = Renewal { idle_expires_at: at(DAY * 29), ..first };
    assert!(
        !expect_ok(store.renew(session.id, second).await),
        "it has been renewed in the meantime"
    );
    assert_kept(&store, &renewed(&session, first)).await;
}

/// Rule 4: the same if the stored end is earlier than the one to replace.
pub async fn a_renewal_of_what_was_set_back_is_refused_and_changes_nothing<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    let later = Timestamp::from_millis(session.active_expires_at.as_millis() + 1);
    let renewal = Renewal { replaces: later, ..renewal_of(&session) };
    assert!(
        !expect_ok(store.renew(session.id, renewal).await),
        "the active period ends 1 ms earlier"
    );
    assert_kept(&store, &session).await;
}

/// Rule 4: a renewal may move the times back, if the session was created while a clock was ahead. The
/// session is then kept until exactly its new idle timeout.
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
    expect_ok(create(&store, &session).await);
    let renewal = back_to(&session, &right, 0);
    assert!(
        expect_ok(store.renew(session.id, renewal).await),
        "the session exists and can be renewed"
    );
    let session = renewed(&session, renewal);
    assert_kept(&store, &session).await;
    assert_listed(&store, &ada, &[&session]).await;
    let last = at(right.idle_expires_at.as_millis() - 1);
    assert_eq!(expect_ok(store.delete_expired(last, 100).await), 0, "it has not expired yet");
    assert_kept(&store, &session).await;
    assert_eq!(
        expect_ok(store.delete_expired(right.idle_expires_at, 100).await),
        1,
        "it has expired"
    );
    assert_gone(&store, session.id).await;
}

/// Returns the renewal of a session to the times of `right`, plus this many milliseconds.
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

/// Rule 4: a renewal with a replaced token returns `false`, and one with the new token succeeds.
pub async fn a_renewal_by_a_replaced_token_is_refused_and_changes_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    let change = change_of(&session, 7);
    assert!(
        expect_ok(store.change_token(session.id, &change).await),
        "the hash is the current one"
    );
    let session = changed(&session, &change);
    let late = Renewal { secret_hash: change.replaces, ..renewal_of(&session) };
    assert!(!expect_ok(store.renew(session.id, late).await), "the token has been replaced");
    assert_kept(&store, &session).await;
    let renewal = renewal_of(&session);
    assert!(expect_ok(store.renew(session.id, renewal).await), "the hash is the current one");
    assert_kept(&store, &renewed(&session, renewal)).await;
}

/// Rule 4, if the future is dropped: all three times are set, or none.
pub async fn a_renewal_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        expect_ok(create(&store, &session).await);
        let renewal = renewal_of(&session);
        let after = renewed(&session, renewal);
        drop_after(polls, store.renew(session.id, renewal)).await;
        let found = expect_ok(store.find(session.id).await);
        assert!(
            found.as_ref() == Some(&session) || found.as_ref() == Some(&after),
            "a renewal dropped after {polls} polls must do all or nothing, but {found:?} is found"
        );
        expect_ok(store.renew(session.id, renewal).await);
        assert_kept(&store, &after).await;
    }
}

// Rule 5

/// Rule 5: all others return `false`, and their times are not stored.
pub async fn of_renewals_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    let renewal = |number| Renewal {
        replaces: session.active_expires_at,
        secret_hash: session.secret_hash,
        active_expires_at: at(DAY * 2 + i64::from(number)),
        idle_expires_at: at(DAY * 9 + i64::from(number)),
        renewed_at: at(DAY + i64::from(number)),
    };
    let renewals: Vec<_> = (0..CONCURRENT).map(renewal).collect();
    let racers = renewals.iter().map(|&renewal| store.renew(session.id, renewal)).collect();
    let winner = assert_one_succeeds(racers).await;
    assert_kept(&store, &renewed(&session, renewals[winner])).await;
}

/// Rule 5: the same if the new times are earlier than the old ones.
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
    expect_ok(create(&store, &session).await);
    let renewals: Vec<_> =
        (0..CONCURRENT).map(|number| back_to(&session, &right, number.into())).collect();
    let racers = renewals.iter().map(|&renewal| store.renew(session.id, renewal)).collect();
    let winner = assert_one_succeeds(racers).await;
    assert_kept(&store, &renewed(&session, renewals[winner])).await;
}

// Rule 6

/// Rule 6: a second `delete`, and a `delete` of an unknown session, return `false`.
pub async fn a_delete_says_whether_the_session_was_there<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    assert!(!expect_ok(store.delete(session.id).await), "it did not exist yet");
    expect_ok(create(&store, &session).await);
    assert!(expect_ok(store.delete(session.id).await), "it existed");
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
    assert!(!expect_ok(store.delete(session.id).await), "it no longer existed");
}

/// Rule 6: other sessions stay, including those of the same user.
pub async fn a_delete_takes_no_other_session<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (session, others) = (session(1, &ada), [session(2, &ada), session(3, &bob)]);
    expect_ok(create(&store, &session).await);
    create_all(&store, &others).await;
    expect_ok(store.delete(session.id).await);
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 6: a late renewal does not undo a logout.
pub async fn a_renewal_after_a_delete_brings_nothing_back<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    expect_ok(store.delete(session.id).await);
    let renewed = expect_ok(store.renew(session.id, renewal_of(&session)).await);
    assert!(!renewed, "the session no longer exists");
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
}

/// Rule 6: late token changes and data writes do not undo a logout.
pub async fn changes_after_a_delete_bring_nothing_back<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    expect_ok(store.delete(session.id).await);
    assert!(
        !expect_ok(store.change_token(session.id, &change_of(&session, 7)).await),
        "the session no longer exists"
    );
    assert!(
        !expect_ok(store.write_data(session.id, &data_for(&session, 7)).await),
        "the session no longer exists"
    );
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
}

/// Rule 6: a `delete` is final even if token changes and data writes run at the same time.
pub async fn a_delete_amid_changes_is_final<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    let (token, data) = (change_of(&session, 7), data_for(&session, 7));
    let change = |number| match number % 2 {
        0 => store.change_token(session.id, &token),
        _ => store.write_data(session.id, &data),
    };
    let mut operations: Vec<_> = (1..CONCURRENT).map(change).collect();
    let middle = operations.len() / 2;
    operations.insert(middle, store.delete(session.id));
    let mut answers = run_concurrently(operations).await.into_iter().map(expect_ok);
    assert_eq!(answers.nth(middle), Some(true), "the session existed");
    assert_gone(&store, session.id).await;
}

/// Rule 6: a `delete` is final even if renewals run at the same time.
pub async fn a_delete_amid_renewals_is_final<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    // Each of them can succeed after the others, because the end that they replace stays the same.
    let renewal = Renewal { active_expires_at: session.active_expires_at, ..renewal_of(&session) };
    let mut operations: Vec<_> =
        (1..CONCURRENT).map(|_| store.renew(session.id, renewal)).collect();
    let middle = operations.len() / 2;
    operations.insert(middle, store.delete(session.id));
    let mut answers = run_concurrently(operations).await.into_iter().map(expect_ok);
    assert_eq!(answers.nth(middle), Some(true), "the session existed");
    assert_gone(&store, session.id).await;
    assert!(!expect_ok(store.renew(session.id, renewal).await), "the session no longer exists");
    assert_gone(&store, session.id).await;
}

/// Rule 6: only one of several concurrent `delete`s returns `true`.
pub async fn of_deletes_at_once_exactly_one_finds_the_session<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    let deletes = (0..CONCURRENT).map(|_| store.delete(session.id)).collect();
    let found =
        run_concurrently(deletes).await.into_iter().map(expect_ok).filter(|found| *found).count();
    assert_eq!(found, 1, "exactly one of {CONCURRENT} deletes finds the session");
    assert_gone(&store, session.id).await;
}

/// Rule 6, if the future is dropped: the session is complete or deleted.
pub async fn a_delete_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        expect_ok(create(&store, &session).await);
        drop_after(polls, store.delete(session.id)).await;
        let found = expect_ok(store.find(session.id).await);
        assert!(
            found.is_none() || found.as_ref() == Some(&session),
            "a `delete` dropped after {polls} polls must do all or nothing, but {found:?} is found"
        );
        expect_ok(store.delete(session.id).await);
        assert_gone(&store, session.id).await;
    }
}
