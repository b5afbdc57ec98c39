//! Rules 14 to 17: what changes of a session but its times.

#![allow(clippy::missing_panics_doc, reason = "a panic is how all of them say no")]

use super::{
    Harness,
    support::{
        CONCURRENT, POLLS, answer, assert_kept, assert_listed, at_once, change_of, changed, create,
        create_all, credential, data_for, drop_after, renewal_of, renewed, session,
        store_with_users, the_one_of, written,
    },
};
use crate::{
    model::{
        hashes::SecretHash,
        record::{DataChange, SessionRecord, TokenChange},
    },
    store::SessionStore,
};

// Rule 14

/// Rule 14: of the session, and of all others, all else stays; and a list shows the same.
pub async fn a_change_of_the_token_changes_nothing_else<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (session, others) = (session(1, &ada), [session(2, &bob), session(3, &bob)]);
    answer(create(&store, &session).await);
    create_all(&store, &others).await;
    let change = change_of(&session, 7);
    assert!(answer(store.change_token(session.id, &change).await), "the token was the one it had");
    let after = changed(&session, &change);
    assert_kept(&store, &after).await;
    assert_listed(&store, &ada, &[&after]).await;
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 14: where there was no rotation there may be one, and the other way round.
pub async fn a_rotation_comes_and_goes_with_the_token<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let mut session = SessionRecord { rotation: None, ..session(1, &ada) };
    answer(create(&store, &session).await);
    let first = change_of(&session, 7);
    let second = TokenChange { rotation: None, ..change_of(&changed(&session, &first), 8) };
    let third = change_of(&changed(&session, &second), 9);
    for change in [first, second, third] {
        assert!(answer(store.change_token(session.id, &change).await), "it had this token");
        session = changed(&session, &change);
        assert_kept(&store, &session).await;
    }
}

/// Rule 14: a session can be bound to a credential and to another, and a change that names none keeps
/// it.
pub async fn the_digest_of_a_credential_is_replaced_with_the_token<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let mut session = SessionRecord { credential: None, ..session(1, &ada) };
    answer(create(&store, &session).await);
    assert_kept(&store, &session).await;
    let digests = [None, Some(credential(1)), None, Some(credential(2)), None];
    let mut bound = None;
    for (number, digest) in (7..).zip(digests) {
        let change = TokenChange { credential: digest, ..change_of(&session, number) };
        assert!(answer(store.change_token(session.id, &change).await), "it had this token");
        session = changed(&session, &change);
        bound = digest.or(bound);
        assert_eq!(session.credential, bound);
        assert_kept(&store, &session).await;
        assert_listed(&store, &ada, &[&session]).await;
    }
}

/// Rule 14: who comes with a token that has been replaced is told so.
pub async fn a_change_of_another_token_is_refused_and_changes_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    answer(create(&store, &session).await);
    // It differs in the last bit.
    let mut other = *session.secret_hash.as_bytes();
    other[31] ^= 1;
    let other = TokenChange { replaces: SecretHash::from_bytes(other), ..change_of(&session, 7) };
    assert!(!answer(store.change_token(session.id, &other).await), "it has another token");
    assert_kept(&store, &session).await;

    let first = change_of(&session, 7);
    assert!(answer(store.change_token(session.id, &first).await), "the token was the one it had");
    let second = change_of(&session, 8);
    assert!(!answer(store.change_token(session.id, &second).await), "it was changed meanwhile");
    assert_kept(&store, &changed(&session, &first)).await;
}

/// Rule 14, for a client that hangs up: all that goes with a token changes or none.
pub async fn a_change_of_the_token_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        answer(create(&store, &session).await);
        let change = change_of(&session, 77);
        let after = changed(&session, &change);
        drop_after(polls, store.change_token(session.id, &change)).await;
        let found = answer(store.find(session.id).await);
        assert!(
            found.as_ref() == Some(&session) || found.as_ref() == Some(&after),
            "a change dropped after {polls} polls did all or nothing, but {found:?} is found"
        );
        answer(store.change_token(session.id, &change).await);
        assert_kept(&store, &after).await;
    }
}

// Rule 15

/// Rule 15: all others are told that it was not they, and their tokens open nothing.
pub async fn of_changes_of_one_token_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(200, &ada);
    answer(create(&store, &session).await);
    let changes: Vec<_> = (0..CONCURRENT).map(|number| change_of(&session, number)).collect();
    let racers = changes.iter().map(|change| store.change_token(session.id, change)).collect();
    let winner = the_one_of(racers).await;
    assert_kept(&store, &changed(&session, &changes[winner])).await;
}

// Rule 16

/// Rule 16: of the session, and of all others, all else stays.
pub async fn a_write_of_data_changes_nothing_else<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (mut session, others) = (session(1, &ada), [session(2, &bob), session(3, &bob)]);
    answer(create(&store, &session).await);
    create_all(&store, &others).await;
    for number in [7, 8, 9] {
        let change = data_for(&session, number);
        assert!(answer(store.write_data(session.id, &change).await), "the revision was this one");
        session = written(&session, &change);
        assert_kept(&store, &session).await;
    }
    assert_listed(&store, &ada, &[&session]).await;
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 16: a session has no data until they are written.
pub async fn the_first_data_come_to_a_session_without_any<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for (number, data) in (1..).zip(["", "\n", "{}"]) {
        let session = SessionRecord { data: None, data_revision: 0, ..session(number, &ada) };
        answer(create(&store, &session).await);
        let change = DataChange { replaces: 0, data: data.to_owned() };
        assert!(answer(store.write_data(session.id, &change).await), "there were no data before");
        assert_kept(&store, &written(&session, &change)).await;
    }
}

/// Rule 16: who comes with a revision that is past is told so, also if the data are the same.
pub async fn a_write_of_data_that_have_moved_on_is_refused<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(5, &ada);
    answer(create(&store, &session).await);
    for replaces in [0, session.data_revision - 1, session.data_revision + 1, -1, i64::MAX] {
        let change = DataChange { replaces, ..data_for(&session, 7) };
        assert!(!answer(store.write_data(session.id, &change).await), "{replaces} is not it");
        assert_kept(&store, &session).await;
    }
    let change = data_for(&session, 7);
    assert!(answer(store.write_data(session.id, &change).await), "the revision was this one");
    assert!(!answer(store.write_data(session.id, &change).await), "it was written meanwhile");
    assert_kept(&store, &written(&session, &change)).await;
}

/// Rule 16, for a client that hangs up: data and revision change both or not at all.
pub async fn a_write_of_data_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        answer(create(&store, &session).await);
        let change = data_for(&session, 77);
        let after = written(&session, &change);
        drop_after(polls, store.write_data(session.id, &change)).await;
        let found = answer(store.find(session.id).await);
        assert!(
            found.as_ref() == Some(&session) || found.as_ref() == Some(&after),
            "a write dropped after {polls} polls did all or nothing, but {found:?} is found"
        );
        answer(store.write_data(session.id, &change).await);
        assert_kept(&store, &after).await;
    }
}

// Rule 17

/// Rule 17: all others are told that it was not they, and may read again.
pub async fn of_writes_of_data_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(200, &ada);
    answer(create(&store, &session).await);
    let changes: Vec<_> = (0..CONCURRENT).map(|number| data_for(&session, number)).collect();
    let racers = changes.iter().map(|change| store.write_data(session.id, change)).collect();
    let winner = the_one_of(racers).await;
    assert_kept(&store, &written(&session, &changes[winner])).await;
}

/// Rule 17: each of the three changes its own part, and only the renewal asks for that of another.
pub async fn changes_of_different_parts_at_once_lose_nothing_of_each_other<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let sessions: Vec<_> = (0..CONCURRENT / 3).map(|number| session(number, &ada)).collect();
    create_all(&store, &sessions).await;
    let parts = |session| (renewal_of(session), change_of(session, 100), data_for(session, 101));
    let parts: Vec<_> = sessions.iter().map(parts).collect();
    let mut crowd = Vec::new();
    for (session, (renewal, token, data)) in sessions.iter().zip(&parts) {
        crowd.push(store.renew(session.id, *renewal));
        crowd.push(store.change_token(session.id, token));
        crowd.push(store.write_data(session.id, data));
    }
    let done: Vec<_> = at_once(crowd).await.into_iter().map(answer).collect();
    for ((session, (renewal, token, data)), done) in sessions.iter().zip(&parts).zip(done.chunks(3))
    {
        assert_eq!(done[1..], [true, true], "nobody else has changed these parts");
        // It is not done where the change of the token came first.
        let session = if done[0] { renewed(session, *renewal) } else { session.clone() };
        let after = written(&changed(&session, token), data);
        assert_kept(&store, &after).await;
    }
}
