//! Rules 18 to 21: guests.

#![allow(clippy::missing_panics_doc, reason = "all of them panic on failure")]

use super::{
    Harness,
    support::{
        CONCURRENT, DAY, POLLS, assert_gone, assert_guest, assert_kept, assert_one_succeeds, at,
        create, data, drop_after, expect_ok, failed, guest, run_concurrently, session,
        store_with_users, taken_over, write_new,
    },
};
use crate::{
    model::{error::StoreError, hashes::SecretHash, record::GuestRecord, session_id::SessionId},
    store::{Ends, GuestChange, SessionStore},
};

/// Returns the guest after a write: with new data, the next revision, and a later expiry time.
fn overwritten(guest: &GuestRecord, number: u8) -> GuestRecord {
    GuestRecord {
        data: data(number),
        data_revision: guest.data_revision + 1,
        expires_at: at(guest.expires_at.as_millis() + DAY),
        ..guest.clone()
    }
}

// Rule 18

/// Rule 18: `find_guest` returns what `write_guest` stored.
pub async fn a_guest_is_found_with_every_field_as_it_was<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let odd = GuestRecord {
        id: SessionId::from_bytes(*b"\x00\x01\x09\x0a\x0d\x1f'\"\\%\x7f\x80\xc3\x28\xfe\xff"),
        secret_hash: SecretHash::from_bytes(
            *b"\xff\xfe\x80\x00 a secret is not text: \x00\n\x7f\x00 ",
        ),
        ..guest(1)
    };
    let long = format!("[{}]", "\"🦀\", ".repeat(30_000));
    let texts = (2..).zip(["", "\n", " - \n{} ", &long]);
    let others = texts.map(|(number, data)| GuestRecord { data: data.to_owned(), ..guest(number) });
    let guests: Vec<_> = [odd].into_iter().chain(others).collect();
    for guest in &guests {
        assert_eq!(expect_ok(store.find_guest(guest.id).await), None, "it does not exist yet");
        write_new(&store, guest).await;
    }
    for guest in &guests {
        assert_guest(&store, guest).await;
    }
}

/// Rule 18: a second guest with the same id is refused with [`StoreError::Collision`].
pub async fn a_taken_id_is_refused_and_the_first_guest_stays<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let first = guest(1);
    write_new(&store, &first).await;
    for again in [&GuestRecord { id: first.id, ..guest(2) }, &first] {
        let refused = store.write_guest(again, None).await;
        assert!(
            matches!(refused, Err(StoreError::Collision)),
            "a taken id is a collision, but `write_guest` returned {refused:?}"
        );
        assert_guest(&store, &first).await;
    }
}

/// Rule 18: the same if they are stored at the same time.
pub async fn of_new_guests_of_one_id_at_once_exactly_one_is_stored<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let id = guest(0).id;
    let guests: Vec<_> =
        (0..CONCURRENT).map(|number| GuestRecord { id, ..guest(number) }).collect();
    let writers = guests.iter().map(|guest| store.write_guest(guest, None)).collect();
    let mut first = None;
    for (guest, written) in guests.iter().zip(run_concurrently(writers).await) {
        match written {
            Ok(true) => assert!(first.replace(guest).is_none(), "two guests of one id are stored"),
            Ok(false) => panic!("a new guest is stored or refused by an error"),
            Err(StoreError::Collision) => {}
            Err(error) => failed(&error),
        }
    }
    assert_guest(&store, first.expect("one guest of a free id is stored")).await;
}

/// Rule 18: a guest and a session with the same id do not affect each other.
pub async fn a_guest_and_a_session_may_have_one_id<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let (session, guest) = (session(1, &ada), guest(1));
    write_new(&store, &guest).await;
    assert_gone(&store, session.id).await;
    assert!(!expect_ok(store.delete(session.id).await), "there is no such session");
    expect_ok(create(&store, &session).await);
    assert_kept(&store, &session).await;
    assert_guest(&store, &guest).await;
    expect_ok(store.delete_by_user(&ada, None).await);
    assert_guest(&store, &guest).await;
    expect_ok(create(&store, &session).await);
    expect_ok(store.delete_guest(guest.id).await);
    assert_kept(&store, &session).await;
}

/// Rule 18, if the future is dropped: the guest is stored completely or not at all.
pub async fn a_new_guest_that_is_dropped_is_stored_or_not<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    for polls in POLLS {
        let guest = guest(polls);
        drop_after(polls, store.write_guest(&guest, None)).await;
        let found = expect_ok(store.find_guest(guest.id).await);
        assert!(
            found.is_none() || found.as_ref() == Some(&guest),
            "a write dropped after {polls} polls must store all or nothing, but {found:?} is found"
        );
        match store.write_guest(&guest, None).await {
            Ok(_) | Err(StoreError::Collision) => assert_guest(&store, &guest).await,
            Err(error) => failed(&error),
        }
    }
}

// Rule 19

/// Rule 19: the secret and other guests are unchanged.
pub async fn a_guest_is_overwritten_but_for_its_secret<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let (mut stored, other) = (guest(1), guest(2));
    for guest in [&stored, &other] {
        write_new(&store, guest).await;
    }
    for number in [7, 8, 9] {
        let next = overwritten(&stored, number);
        let with_another_secret = GuestRecord { secret_hash: other.secret_hash, ..next.clone() };
        let revision = Some(stored.data_revision);
        let done = expect_ok(store.write_guest(&with_another_secret, revision).await);
        assert!(done, "the revision is the current one");
        assert_guest(&store, &next).await;
        stored = next;
    }
    assert_guest(&store, &other).await;
}

/// Rule 19: a write that replaces an outdated revision returns `false`.
pub async fn a_guest_that_has_moved_on_is_not_overwritten<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let stored = guest(5);
    write_new(&store, &stored).await;
    let next = overwritten(&stored, 7);
    for revision in [0, 4, 6, -5, i64::MAX] {
        let done = expect_ok(store.write_guest(&next, Some(revision)).await);
        assert!(!done, "{revision} is not the current revision");
        assert_guest(&store, &stored).await;
    }
    assert!(expect_ok(store.write_guest(&next, Some(5)).await), "5 is the current revision");
    assert!(
        !expect_ok(store.write_guest(&overwritten(&stored, 8), Some(5)).await),
        "5 is outdated"
    );
    assert_guest(&store, &next).await;
}

/// Rule 19: an overwrite never creates a guest.
pub async fn an_overwrite_of_an_unknown_guest_creates_nothing<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let unknown = guest(1);
    for revision in [0, 1] {
        let done = expect_ok(store.write_guest(&unknown, Some(revision)).await);
        assert!(!done, "there is no such guest");
        assert_eq!(expect_ok(store.find_guest(unknown.id).await), None);
    }
}

/// Rule 19: all others return `false`, so that they can read again and retry.
pub async fn of_overwrites_of_a_guest_at_once_exactly_one_is_done<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let stored = guest(200);
    write_new(&store, &stored).await;
    let nexts: Vec<_> = (0..CONCURRENT).map(|number| overwritten(&stored, number)).collect();
    let revision = Some(stored.data_revision);
    let winner =
        assert_one_succeeds(nexts.iter().map(|it| store.write_guest(it, revision)).collect()).await;
    assert_guest(&store, &nexts[winner]).await;
}

/// Rule 19, if the future is dropped: the guest is overwritten completely or not at all.
pub async fn an_overwrite_of_a_guest_that_is_dropped_is_done_or_not_done<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    for polls in POLLS {
        let stored = guest(polls);
        write_new(&store, &stored).await;
        let (next, revision) = (overwritten(&stored, 77), Some(stored.data_revision));
        drop_after(polls, store.write_guest(&next, revision)).await;
        let found = expect_ok(store.find_guest(stored.id).await);
        assert!(
            found.as_ref() == Some(&stored) || found.as_ref() == Some(&next),
            "an overwrite dropped after {polls} polls must do all or nothing, but {found:?} is found"
        );
        expect_ok(store.write_guest(&next, revision).await);
        assert_guest(&store, &next).await;
    }
}

// Rule 20

/// Rule 20: a second `delete_guest`, and one of an unknown guest, return `false`. Other guests stay.
pub async fn a_delete_says_whether_the_guest_was_there<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let (guest, other) = (guest(1), guest(2));
    assert!(!expect_ok(store.delete_guest(guest.id).await), "it did not exist yet");
    write_new(&store, &guest).await;
    write_new(&store, &other).await;
    assert!(expect_ok(store.delete_guest(guest.id).await), "it existed");
    assert_eq!(expect_ok(store.find_guest(guest.id).await), None);
    assert!(!expect_ok(store.delete_guest(guest.id).await), "it no longer existed");
    assert_guest(&store, &other).await;
}

/// Rule 20: a concurrent overwrite does not bring the guest back.
pub async fn a_delete_of_a_guest_amid_overwrites_is_final<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let stored = guest(200);
    write_new(&store, &stored).await;
    let nexts: Vec<_> = (1..CONCURRENT).map(|number| overwritten(&stored, number)).collect();
    let revision = Some(stored.data_revision);
    let mut operations: Vec<_> = nexts.iter().map(|it| store.write_guest(it, revision)).collect();
    let middle = operations.len() / 2;
    operations.insert(middle, store.delete_guest(stored.id));
    let mut answers = run_concurrently(operations).await.into_iter().map(expect_ok);
    assert_eq!(answers.nth(middle), Some(true), "the guest existed");
    assert_eq!(expect_ok(store.find_guest(stored.id).await), None);
}

// Rule 21

/// Rule 21: an overwrite moves the expiry time. Sessions are not counted.
pub async fn guests_are_counted_until_their_end_to_the_millisecond<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    assert_eq!(expect_ok(store.count_guests(at(0)).await), 0, "there are none yet");
    expect_ok(create(&store, &session(9, &ada)).await);
    assert_eq!(expect_ok(store.count_guests(at(0)).await), 0, "sessions are not counted");
    let (first, second) = (guest(1), guest(2));
    for guest in [&first, &second] {
        write_new(&store, guest).await;
    }
    let end = first.expires_at.as_millis();
    assert_eq!(second.expires_at.as_millis(), end + 1);
    for (now, expected) in [(0, 2), (end - 1, 2), (end, 1), (end + 1, 0), (end + DAY, 0)] {
        assert_eq!(expect_ok(store.count_guests(at(now)).await), expected, "at {now}");
    }
    let next = overwritten(&first, 7);
    assert!(expect_ok(store.write_guest(&next, Some(first.data_revision)).await));
    let moved = next.expires_at.as_millis();
    for (now, expected) in [(end, 2), (end + 1, 1), (moved - 1, 1), (moved, 0)] {
        assert_eq!(expect_ok(store.count_guests(at(now)).await), expected, "moved, at {now}");
    }
    assert!(!expect_ok(store.write_guest(&overwritten(&second, 8), Some(77)).await));
    assert_eq!(
        expect_ok(store.count_guests(at(end + 1)).await),
        1,
        "a refused write moves nothing"
    );
}

/// Rule 21: deleted guests are not counted, whether one by one or as expired. A guest that a login has
/// overwritten counts until its new expiry time. A refused guest is not counted twice.
pub async fn a_count_of_guests_follows_whatever_ends_them<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let guests: Vec<_> = (1..=4).map(guest).collect();
    for guest in &guests {
        write_new(&store, guest).await;
    }
    let count = async || expect_ok(store.count_guests(at(0)).await);
    assert_eq!(count().await, 4);
    let again = store.write_guest(&GuestRecord { id: guests[0].id, ..guest(9) }, None).await;
    assert!(matches!(again, Err(StoreError::Collision)), "{again:?}");
    assert_eq!(count().await, 4, "a refused guest is not counted");

    expect_ok(store.delete_guest(guests[0].id).await);
    expect_ok(store.delete_guest(guests[0].id).await);
    assert_eq!(count().await, 3, "one was deleted");
    let left = taken_over(&guests[1]);
    let change = GuestChange::new(guests[1].data_revision, &left);
    let merged = Ends { guest: Some(change), ..Ends::default() };
    assert!(expect_ok(store.create(&session(9, &ada), merged).await));
    let end = left.expires_at.as_millis();
    for (now, expected) in [(0, 3), (end - 1, 3), (end, 2)] {
        assert_eq!(expect_ok(store.count_guests(at(now)).await), expected, "merged, at {now}");
    }
    assert_eq!(
        expect_ok(store.delete_expired(left.expires_at, 10).await),
        1,
        "the one that was merged"
    );
    assert_eq!(count().await, 2);
    assert_eq!(expect_ok(store.delete_expired(guests[2].expires_at, 10).await), 1);
    assert_eq!(count().await, 1, "one was swept");
}

/// Rule 21: guests that are written at the same time are all counted.
pub async fn guests_written_at_once_are_all_counted<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let guests: Vec<_> = (0..CONCURRENT).map(guest).collect();
    let writers = guests.iter().map(|guest| store.write_guest(guest, None)).collect();
    for written in run_concurrently(writers).await {
        assert!(expect_ok(written));
    }
    assert_eq!(expect_ok(store.count_guests(at(0)).await), u64::from(CONCURRENT));
}
