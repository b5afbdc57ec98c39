//! Rules 14 to 17: changes of the token and the data of a session.

#![allow(clippy::missing_panics_doc, reason = "all of them panic on failure")]

use super::{
    Harness,
    support::{
        CONCURRENT, POLLS, assert_kept, assert_listed, assert_one_succeeds, change_of, changed,
        create, create_all, credential, data_for, drop_after, expect_ok, renewal_of, renewed,
        run_concurrently, session, store_with_users, written,
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

/// Rule 14: the other fields of the session, and all other sessions, are unchanged. A list shows the same.
pub async fn a_change_of_the_token_changes_nothing_else<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (session, others) = (session(1, &ada), [session(2, &bob), session(3, &bob)]);
    expect_ok(create(&store, &session).await);
    create_all(&store, &others).await;
    let change = change_of(&session, 7);
    assert!(
        expect_ok(store.change_token(session.id, &change).await),
        "the hash is the current one"
    );
    let after = changed(&session, &change);
    assert_kept(&store, &after).await;
    assert_listed(&store, &ada, &[&after]).await;
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 14: a rotation can be added and removed.
pub async fn a_rotation_comes_and_goes_with_the_token<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let mut session = SessionRecord { rotation: None, ..session(1, &ada) };
    expect_ok(create(&store, &session).await);
    let first = change_of(&session, 7);
    let second = TokenChange { rotation: None, ..change_of(&changed(&session, &first), 8) };
    let third = change_of(&changed(&session, &second), 9);
    for change in [first, second, third] {
        assert!(
            expect_ok(store.change_token(session.id, &change).await),
            "the hash is the current one"
        );
        session = changed(&session, &change);
        assert_kept(&store, &session).await;
    }
}

/// Rule 14: a session can be bound to a credential, and then to another. A change without a digest keeps
/// the stored one.
pub async fn the_digest_of_a_credential_is_replaced_with_the_token<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let mut session = SessionRecord { credential: None, ..session(1, &ada) };
    expect_ok(create(&store, &session).await);
    assert_kept(&store, &session).await;
    let digests = [None, Some(credential(1)), None, Some(credential(2)), None];
    let mut bound = None;
    for (number, digest) in (7..).zip(digests) {
        let change = TokenChange { credential: digest, ..change_of(&session, number) };
        assert!(
            expect_ok(store.change_token(session.id, &change).await),
            "the hash is the current one"
        );
        session = changed(&session, &change);
        bound = digest.or(bound);
        assert_eq!(session.credential, bound);
        assert_kept(&store, &session).await;
        assert_listed(&store, &ada, &[&session]).await;
    }
}

/// Rule 14: a change that replaces an outdated hash returns `false`.
pub async fn a_change_of_another_token_is_refused_and_changes_nothing<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    // A hash that differs only in the last bit.
    let mut other = *session.secret_hash.as_bytes();
    other[31] ^= 1;
    let other = TokenChange { replaces: SecretHash::from_bytes(other), ..change_of(&session, 7) };
    assert!(!expect_ok(store.change_token(session.id, &other).await), "it has another token");
    assert_kept(&store, &session).await;

    let first = change_of(&session, 7);
    assert!(expect_ok(store.change_token(session.id, &first).await), "the hash is the current one");
    let second = change_of(&session, 8);
    assert!(
        !expect_ok(store.change_token(session.id, &second).await),
        "it was changed in the meantime"
    );
    assert_kept(&store, &changed(&session, &first)).await;
}

/// Rule 14, if the future is dropped: all values of the token are changed, or none.
pub async fn a_change_of_the_token_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        expect_ok(create(&store, &session).await);
        let change = change_of(&session, 77);
        let after = changed(&session, &change);
        drop_after(polls, store.change_token(session.id, &change)).await;
        let found = expect_ok(store.find(session.id).await);
        assert!(
            found.as_ref() == Some(&session) || found.as_ref() == Some(&after),
            "a change dropped after {polls} polls must do all or nothing, but {found:?} is found"
        );
        expect_ok(store.change_token(session.id, &change).await);
        assert_kept(&store, &after).await;
    }
}

// Rule 15

/// Rule 15: all others return `false`, and their tokens are not stored.
pub async fn of_changes_of_one_token_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(200, &ada);
    expect_ok(create(&store, &session).await);
    let changes: Vec<_> = (0..CONCURRENT).map(|number| change_of(&session, number)).collect();
    let racers = changes.iter().map(|change| store.change_token(session.id, change)).collect();
    let winner = assert_one_succeeds(racers).await;
    assert_kept(&store, &changed(&session, &changes[winner])).await;
}

// Rule 16

/// Rule 16: the other fields of the session, and all other sessions, are unchanged.
pub async fn a_write_of_data_changes_nothing_else<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (mut session, others) = (session(1, &ada), [session(2, &bob), session(3, &bob)]);
    expect_ok(create(&store, &session).await);
    create_all(&store, &others).await;
    for number in [7, 8, 9] {
        let change = data_for(&session, number);
        assert!(
            expect_ok(store.write_data(session.id, &change).await),
            "the revision is the current one"
        );
        session = written(&session, &change);
        assert_kept(&store, &session).await;
    }
    assert_listed(&store, &ada, &[&session]).await;
    for other in &others {
        assert_kept(&store, other).await;
    }
}

/// Rule 16: data can be written to a session that has none.
pub async fn the_first_data_come_to_a_session_without_any<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for (number, data) in (1..).zip(["", "\n", "{}"]) {
        let session = SessionRecord { data: None, data_revision: 0, ..session(number, &ada) };
        expect_ok(create(&store, &session).await);
        let change = DataChange { replaces: 0, data: data.to_owned() };
        assert!(expect_ok(store.write_data(session.id, &change).await), "the session had no data");
        assert_kept(&store, &written(&session, &change)).await;
    }
}

/// Rule 16: a write that replaces an outdated revision returns `false`, even if the data are the same.
pub async fn a_write_of_data_that_have_moved_on_is_refused<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(5, &ada);
    expect_ok(create(&store, &session).await);
    for replaces in [0, session.data_revision - 1, session.data_revision + 1, -1, i64::MAX] {
        let change = DataChange { replaces, ..data_for(&session, 7) };
        assert!(
            !expect_ok(store.write_data(session.id, &change).await),
            "{replaces} is not the current revision"
        );
        assert_kept(&store, &session).await;
    }
    let change = data_for(&session, 7);
    assert!(
        expect_ok(store.write_data(session.id, &change).await),
        "the revision is the current one"
    );
    assert!(
        !expect_ok(store.write_data(session.id, &change).await),
        "the data were written in the meantime"
    );
    assert_kept(&store, &written(&session, &change)).await;
}

/// Rule 16, if the future is dropped: data and revision are both changed, or neither.
pub async fn a_write_of_data_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for polls in POLLS {
        let session = session(polls, &ada);
        expect_ok(create(&store, &session).await);
        let change = data_for(&session, 77);
        let after = written(&session, &change);
        drop_after(polls, store.write_data(session.id, &change)).await;
        let found = expect_ok(store.find(session.id).await);
        assert!(
            found.as_ref() == Some(&session) || found.as_ref() == Some(&after),
            "a write dropped after {polls} polls must do all or nothing, but {found:?} is found"
        );
        expect_ok(store.write_data(session.id, &change).await);
        assert_kept(&store, &after).await;
    }
}

// Rule 17

/// Rule 17: all others return `false`, so that they can read again and retry.
pub async fn of_writes_of_data_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(200, &ada);
    expect_ok(create(&store, &session).await);
    let changes: Vec<_> = (0..CONCURRENT).map(|number| data_for(&session, number)).collect();
    let racers = changes.iter().map(|change| store.write_data(session.id, change)).collect();
    let winner = assert_one_succeeds(racers).await;
    assert_kept(&store, &written(&session, &changes[winner])).await;
}

/// Rule 17: each of the three changes its own fields. Only the renewal also depends on another one, the
/// token.
pub async fn changes_of_different_parts_at_once_lose_nothing_of_each_other<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    let sessions: Vec<_> = (0..CONCURRENT / 3).map(|number| session(number, &ada)).collect();
    create_all(&store, &sessions).await;
    let parts = |session| (renewal_of(session), change_of(session, 100), data_for(session, 101));
    let parts: Vec<_> = sessions.iter().map(parts).collect();
    let mut operations = Vec::new();
    for (session, (renewal, token, data)) in sessions.iter().zip(&parts) {
        operations.push(store.renew(session.id, *renewal));
        operations.push(store.change_token(session.id, token));
        operations.push(store.write_data(session.id, data));
    }
    let done: Vec<_> = run_concurrently(operations).await.into_iter().map(expect_ok).collect();
    for ((session, (renewal, token, data)), done) in sessions.iter().zip(&parts).zip(done.chunks(3))
    {
        assert_eq!(done[1..], [true, true], "nothing else has changed these fields");
        // The renewal is not done if the token change came first.
        let session = if done[0] { renewed(session, *renewal) } else { session.clone() };
        let after = written(&changed(&session, token), data);
        assert_kept(&store, &after).await;
    }
}
