//! Requests whose client has gone: dropped at every await, they leave a legal state.

use std::{future::poll_fn, task::Poll};

use actix_web::http::StatusCode;
use locals::{
    GuestRecord, SessionId, SessionRecord, Timestamp,
    store::{End, Ends, GuestChange, SessionStore},
};

use crate::{
    support::{Account, Client, Engine, Fixture, begin},
    tests_on,
};

tests_on!(all: [
    a_request_cancelled_at_any_await_leaves_a_valid_state,
    a_transaction_cancelled_at_any_await_is_done_fully_or_not_at_all,
    a_begin_cancelled_at_any_await_rolls_back_no_later_logout,
    a_login_cancelled_at_any_await_ends_the_old_session_or_creates_none,
]);

/// Polls so often and drops; says whether it came to its end before.
pub async fn polled<F: Future>(future: F, times: u32) -> bool {
    let mut future = Box::pin(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn a_request_cancelled_at_any_await_leaves_a_valid_state<E: Engine>() {
    let fixture = Fixture::<E>::new().await;
    let client = &fixture.client;
    let kept = client.token(9).await;
    let mut ended = 0;
    for times in 0..40 {
        // Logging in, over a session that it ends: never neither of the two.
        fixture.auth.invalidate_user_sessions(1).await.unwrap();
        let held = client.token(1).await;
        let done = polled(client.login(1, &held), times).await;
        let lives = client.me(&held).await.is_ok();
        let sessions = fixture.auth.user_sessions(1).await.unwrap().len();
        assert!(lives || sessions > 0, "after {times} polls");
        assert!(!(lives && done) && sessions <= 3, "after {times} polls: {sessions}");
        // Reads, and logging out.
        let held = client.token(2).await;
        polled(client.me(&held), times).await;
        assert_eq!(client.me(&held).await.body, "name-2");
        let out = polled(client.logout(&held), times).await;
        let reply = client.me(&held).await;
        assert!(reply.is_ok() && !out || reply.status == StatusCode::UNAUTHORIZED, "{reply:?}");
        assert!(client.logout(&held).await.is_ok());
        assert_eq!(client.me(&held).await.status, StatusCode::UNAUTHORIZED);

        assert_eq!(client.me(&kept).await.body, "name-9", "no other's session is touched");
        ended += u32::from(done && out);
    }
    assert!(ended > 0, "some came to their end");
    assert!(ended < 40, "some did not");
}

async fn a_transaction_cancelled_at_any_await_is_done_fully_or_not_at_all<E: Engine>() {
    // In one statement, so that a commit on its way is seen by both counts or by neither.
    const STATE: &str = "SELECT (SELECT COUNT(*) FROM user_sessions WHERE user_id = 1) + \
                         (SELECT COUNT(*) FROM accounts WHERE name = 'renamed')";
    let fixture = Fixture::<E>::new().await;
    let (auth, store) = (&fixture.auth, &fixture.store);
    let mut ended = 0;
    for times in 0..40 {
        crate::support::run(store, "UPDATE accounts SET name = 'name-1' WHERE id = 1").await;
        auth.invalidate_user_sessions(1).await.unwrap();
        let old = auth.create_session(&Account::numbered(1)).await.unwrap();
        let change = async {
            let mut transaction = begin(store).await;
            E::run_on(&mut transaction, "UPDATE accounts SET name = 'renamed' WHERE id = 1")
                .await
                .unwrap();
            auth.within(&mut transaction).unwrap().invalidate_session(old.id()).await.unwrap();
            transaction.commit().await.unwrap();
        };
        let done = polled(change, times).await;
        assert_eq!(E::number(store.pool(), STATE).await, 1, "after {times} polls");
        if done {
            assert!(auth.user_sessions(1).await.unwrap().is_empty());
        }
        ended += u32::from(done);
    }
    assert!((1..40).contains(&ended), "{ended} came to their end");
}

async fn a_login_cancelled_at_any_await_ends_the_old_session_or_creates_none<E: Engine>() {
    let fixture = Fixture::<E>::new().await;
    let store = &fixture.store;
    let of_ada = fixture.auth.create_session(&Account::numbered(1)).await.unwrap();
    let record = store.find(of_ada.id()).await.unwrap().unwrap();
    store.delete(record.id).await.unwrap();
    let mut ended = 0;
    for times in 0..40 {
        // Those of each round are their own: what was dropped in the last one may still be done.
        let round = Timestamp::from_millis(times.into());
        let session = |number: u128| {
            let mut session: SessionRecord = record.clone();
            session.id = SessionId::from_bytes((u128::from(times) * 10 + number).to_be_bytes());
            session.created_at = round;
            session
        };
        // In one statement, so that a commit on its way is seen by both counts or by neither.
        let state = format!(
            "SELECT (SELECT COUNT(*) FROM user_sessions WHERE created_at = {times}) * 10 + \
             (SELECT COUNT(*) FROM guest_sessions WHERE data_revision = 0)"
        );
        let (old, other) = (session(1), session(2));
        for session in [&old, &other] {
            store.create(session, Ends::default()).await.unwrap();
        }
        let guest = GuestRecord::new(old.id, old.secret_hash, "{}", old.idle_expires_at);
        store.write_guest(&guest, None).await.unwrap();
        let new = session(3);
        let replaced = [other.id, old.id].map(End::new);
        let mut ends = Ends::default();
        let mut left = guest.clone();
        left.data_revision = 1;
        (ends.sessions, ends.guest) = (&replaced, Some(GuestChange::new(0, &left)));
        let done = polled(async { store.create(&new, ends).await.unwrap() }, times).await;
        let state = E::number(store.pool(), &state).await;
        assert!(state == 10 || state == 21 && !done, "{state} after {times} polls");
        ended += u32::from(done);
        for id in [old.id, other.id, new.id] {
            store.delete(id).await.unwrap();
        }
        store.delete_guest(guest.id).await.unwrap();
    }
    assert!((1..40).contains(&ended), "{ended} came to their end");
}

async fn a_begin_cancelled_at_any_await_rolls_back_no_later_logout<E: Engine>() {
    let fixture = Fixture::<E>::new().await;
    let elsewhere = Client::of(&E::builder(E::open(&fixture.url).await).build().unwrap()).await;
    for times in (0..6).cycle().take(60) {
        let token = elsewhere.token(1).await;
        polled(fixture.store.pool().begin(), times).await;
        fixture.settle(0).await;
        // On a connection in a forgotten transaction, this would never be committed.
        assert!(fixture.client.logout(&token).await.is_ok(), "after {times} polls");
        let reply = elsewhere.me(&token).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "after {times} polls");
        // And of this, the transaction would not know.
        let token = elsewhere.token(2).await;
        assert!(fixture.client.me(&token).await.is_ok(), "after {times} polls");
    }
}
