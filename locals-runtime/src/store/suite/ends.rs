//! Rule 13: ending sessions and overwriting guests when a session is created.

#![allow(clippy::missing_panics_doc, reason = "all of them panic on failure")]

use super::{
    Harness,
    support::{
        CONCURRENT, POLLS, assert_gone, assert_guest, assert_kept, assert_listed,
        assert_one_succeeds, create, create_all, data_for, drop_after, expect_ok, guest,
        run_concurrently, session, store_with_users, taken_over, write_new,
    },
};
use crate::{
    model::{
        error::StoreError,
        record::{GuestRecord, SessionRecord},
    },
    store::{End, Ends, GuestChange, SessionStore},
};

/// Rule 13: exactly the named sessions are ended. The guest keeps its secret.
pub async fn a_create_ends_the_sessions_and_overwrites_the_guest_it_names<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let ended = [session(1, &ada), session(2, &bob)];
    let kept = [session(3, &ada), session(4, &bob)];
    create_all(&store, &ended).await;
    create_all(&store, &kept).await;
    for number in [1, 2] {
        write_new(&store, &guest(number)).await;
    }
    let new = session(5, &ada);
    let sessions = ended.each_ref().map(|it| End::new(it.id));
    let left = taken_over(&guest(1));
    let with_another_secret = GuestRecord { secret_hash: guest(2).secret_hash, ..left.clone() };
    let change = GuestChange::new(guest(1).data_revision, &with_another_secret);
    let ends = Ends { sessions: &sessions, guest: Some(change) };
    assert!(expect_ok(store.create(&new, ends).await), "nothing prevents the creation");
    assert_kept(&store, &new).await;
    for session in &ended {
        assert_gone(&store, session.id).await;
    }
    assert_guest(&store, &left).await;
    for session in &kept {
        assert_kept(&store, session).await;
    }
    assert_guest(&store, &guest(2)).await;
}

/// Rule 13: sessions that have already ended, or never existed, do not prevent a login.
pub async fn a_create_takes_no_notice_of_unknown_ids<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let (old, unknown, new) = (session(1, &ada), session(2, &ada), session(3, &ada));
    expect_ok(create(&store, &old).await);
    let sessions = [unknown.id, old.id, unknown.id, old.id].map(End::new);
    let ends = Ends { sessions: &sessions, guest: None };
    assert!(expect_ok(store.create(&new, ends).await), "nothing prevents the creation");
    assert_kept(&store, &new).await;
    assert_gone(&store, old.id).await;
}

/// Rules 2 and 13: if the creation is refused, nothing is ended.
pub async fn a_create_with_a_taken_id_ends_nothing<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (first, old) = (session(1, &ada), session(2, &bob));
    create_all(&store, &[first.clone(), old.clone()]).await;
    write_new(&store, &guest(3)).await;
    let second = SessionRecord { id: first.id, ..session(4, &bob) };
    let left = taken_over(&guest(3));
    let change = GuestChange::new(guest(3).data_revision, &left);
    let ends = Ends { sessions: &[End::new(old.id)], guest: Some(change) };
    let refused = store.create(&second, ends).await;
    assert!(
        matches!(refused, Err(StoreError::Collision)),
        "a taken id is a collision, but `create` returned {refused:?}"
    );
    assert_kept(&store, &first).await;
    assert_kept(&store, &old).await;
    assert_guest(&store, &guest(3)).await;
}

/// Rule 13: concurrent logins may end the same session, and all of them succeed.
pub async fn creators_at_once_may_end_the_same_session<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let old = [session(200, &ada), session(201, &ada)];
    create_all(&store, &old).await;
    let there = [old[0].id, old[1].id].map(End::new);
    let back = [old[1].id, old[0].id].map(End::new);
    let new: Vec<_> = (0..CONCURRENT).map(|number| session(number, &ada)).collect();
    let ends = |new: &SessionRecord| Ends {
        sessions: if new.is_persistent { &there } else { &back },
        guest: None,
    };
    let creators = new.iter().map(|new| store.create(new, ends(new))).collect();
    for created in run_concurrently(creators).await {
        assert!(expect_ok(created), "nothing prevents the creation");
    }
    for session in &new {
        assert_kept(&store, session).await;
    }
    for session in &old {
        assert_gone(&store, session.id).await;
    }
}

/// Rule 13, if the future is dropped: an old session has ended only if the new one exists.
pub async fn a_create_that_is_dropped_ends_nothing_without_it<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    // It takes more steps than other operations.
    for polls in 0..POLLS.end * 4 {
        let (old, new) = (session(polls, &ada), session(polls + 100, &ada));
        expect_ok(create(&store, &old).await);
        let visitor = guest(polls);
        write_new(&store, &visitor).await;
        let left = taken_over(&visitor);
        let change = GuestChange::new(visitor.data_revision, &left);
        let ends = Ends { sessions: &[End::new(old.id)], guest: Some(change) };
        drop_after(polls, store.create(&new, ends)).await;
        // Read first, because an operation that is still running creates before it ends others.
        let old_is_there = expect_ok(store.find(old.id).await) == Some(old);
        let guest_is_there = expect_ok(store.find_guest(visitor.id).await) == Some(visitor);
        match expect_ok(store.find(new.id).await) {
            Some(found) => assert_eq!(found, new, "after {polls} polls"),
            None => assert!(old_is_there && guest_is_there, "after {polls} polls"),
        }
    }
}

/// Rule 13: a session whose data are taken over is ended if they have not changed since they were read,
/// including data that have never been changed.
pub async fn a_create_takes_over_the_data_it_has_read<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let unchanged = SessionRecord { data: None, data_revision: 0, ..session(1, &ada) };
    for (number, old) in (10..).zip([unchanged, session(2, &ada), session(3, &bob)]) {
        let other = session(100 + number, &bob);
        create_all(&store, &[old.clone(), other.clone()]).await;
        let visitor = guest(number);
        write_new(&store, &visitor).await;
        let new = session(50 + number, &ada);
        let sessions = [End::new(other.id), End::at_revision(old.id, old.data_revision)];
        let left = taken_over(&visitor);
        let guest = Some(GuestChange::new(visitor.data_revision, &left));
        let created = store.create(&new, Ends { sessions: &sessions, guest }).await;
        assert!(expect_ok(created), "no revision has changed");
        assert_kept(&store, &new).await;
        assert_gone(&store, old.id).await;
        assert_gone(&store, other.id).await;
        assert_guest(&store, &left).await;
    }
}

/// Rule 13: if one of those that are taken over has changed or no longer exists, nothing is changed.
pub async fn a_create_that_would_take_over_other_data_changes_nothing<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (old, other, new) = (session(5, &ada), session(6, &bob), session(7, &ada));
    create_all(&store, &[old.clone(), other.clone()]).await;
    let visitor = guest(9);
    write_new(&store, &visitor).await;
    let (session_now, guest_now) = (old.data_revision, visitor.data_revision);
    let unknown = session(200, &ada).id;
    let (left, nobody) =
        (taken_over(&visitor), GuestRecord { id: unknown, ..taken_over(&visitor) });
    for (session, guest) in [
        (End::at_revision(old.id, session_now - 1), None),
        (End::at_revision(old.id, session_now + 1), Some((guest_now, &left))),
        (End::at_revision(old.id, 0), Some((guest_now, &left))),
        (End::at_revision(unknown, session_now), Some((guest_now, &left))),
        (End::at_revision(unknown, 0), None),
        (End::at_revision(old.id, session_now), Some((guest_now + 1, &left))),
        (End::at_revision(old.id, session_now), Some((guest_now - 1, &left))),
        (End::at_revision(old.id, session_now), Some((i64::MIN, &left))),
        (End::at_revision(old.id, session_now), Some((guest_now, &nobody))),
        (End::new(old.id), Some((0, &nobody))),
        (End::new(old.id), Some((guest_now + 1, &left))),
    ] {
        let guest = guest.map(|(replaces, record)| GuestChange::new(replaces, record));
        for sessions in [[End::new(other.id), session], [session, End::new(other.id)]] {
            let created = store.create(&new, Ends { sessions: &sessions, guest }).await;
            assert!(!expect_ok(created), "{session:?} or {guest:?} does not match what is stored");
            assert_gone(&store, new.id).await;
            assert_kept(&store, &old).await;
            assert_kept(&store, &other).await;
            assert_guest(&store, &visitor).await;
            assert_listed(&store, &ada, &[&old]).await;
        }
    }
    let sessions = [End::at_revision(old.id, session_now)];
    let guest = Some(GuestChange::new(guest_now, &left));
    let created = store.create(&new, Ends { sessions: &sessions, guest }).await;
    assert!(expect_ok(created), "the id is still free");
}

/// Rule 13: of concurrent logins that take over the same guest or session, exactly one succeeds.
pub async fn of_creators_at_once_one_takes_over_the_data<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let (old, visitor) = (session(200, &ada), guest(201));
    expect_ok(create(&store, &old).await);
    write_new(&store, &visitor).await;
    let session_ends = [End::at_revision(old.id, old.data_revision)];
    let left = taken_over(&visitor);
    let change = Some(GuestChange::new(visitor.data_revision, &left));
    for ends in
        [Ends { sessions: &session_ends, guest: None }, Ends { sessions: &[], guest: change }]
    {
        let first = if ends.guest.is_some() { CONCURRENT } else { 0 };
        let new: Vec<_> = (first..first + CONCURRENT).map(|number| session(number, &ada)).collect();
        let creators = new.iter().map(|new| store.create(new, ends)).collect();
        let winner = assert_one_succeeds(creators).await;
        for (place, session) in new.iter().enumerate() {
            if place == winner {
                assert_kept(&store, session).await;
            } else {
                assert_gone(&store, session.id).await;
            }
        }
    }
    assert_gone(&store, old.id).await;
    assert_guest(&store, &left).await;
}

/// Rule 13: of a write and a concurrent login that takes over the data before it, exactly one succeeds.
pub async fn a_write_and_a_create_that_takes_over_its_data_exclude_each_other<H: Harness>(
    harness: &H,
) {
    let (store, [ada]) = store_with_users(harness).await;
    for number in 0..CONCURRENT {
        let (old, new) = (session(number, &ada), session(100 + number, &ada));
        expect_ok(create(&store, &old).await);
        let visitor = guest(number);
        write_new(&store, &visitor).await;
        let written = GuestRecord { data_revision: visitor.data_revision + 1, ..visitor.clone() };
        let change = data_for(&old, 7);
        let sessions = [End::at_revision(old.id, old.data_revision)];
        let left = taken_over(&visitor);
        let guest = GuestChange::new(visitor.data_revision, &left);
        let (ends, write) = if number.is_multiple_of(2) {
            let ends = Ends { sessions: &[], guest: Some(guest) };
            (ends, store.write_guest(&written, Some(visitor.data_revision)))
        } else {
            (Ends { sessions: &sessions, guest: None }, store.write_data(old.id, &change))
        };
        assert_one_succeeds(vec![write, store.create(&new, ends)]).await;
    }
}
