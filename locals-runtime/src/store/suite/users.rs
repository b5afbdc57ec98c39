//! Rules 7 to 12: the sessions of users.

#![allow(clippy::missing_panics_doc, reason = "all of them panic on failure")]

use super::{
    Harness,
    support::{
        DAY, assert_gone, assert_guest, assert_kept, assert_listed, assert_user_gone, at, create,
        create_all, data_for, expect_ok, guest, ids, renewal_of, renewed, session,
        store_with_all_users, store_with_users, taken_over, write_new,
    },
};
use crate::{
    model::{
        record::{GuestRecord, SessionRecord, SessionTimes},
        user::AuthUser,
        user_id::UserKey,
    },
    store::{End, Ends, GuestChange, SessionStore, SessionUserStore},
};

// Rule 7

/// Rule 7: all sessions of one user are deleted, none of another, and the number is right.
pub async fn all_sessions_of_a_user_are_deleted_and_counted<H: Harness>(harness: &H) {
    let (store, [ada, bob, eve]) = store_with_users(harness).await;
    let of_ada = [session(1, &ada), session(2, &ada), session(3, &ada)];
    let of_bob = session(4, &bob);
    create_all(&store, &of_ada).await;
    expect_ok(create(&store, &of_bob).await);
    assert_eq!(expect_ok(store.delete_by_user(&eve, None).await), 0, "eve has no session");
    assert_eq!(expect_ok(store.delete_by_user(&ada, None).await), 3, "ada has three sessions");
    for session in &of_ada {
        assert_gone(&store, session.id).await;
    }
    assert_listed(&store, &ada, &[]).await;
    assert_kept(&store, &of_bob).await;
    assert_eq!(expect_ok(store.delete_by_user(&ada, None).await), 0, "ada has no session left");
}

/// Rule 7: the session to keep stays.
pub async fn the_session_to_keep_is_kept<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let of_ada = [session(1, &ada), session(2, &ada), session(3, &ada)];
    let of_bob = session(4, &bob);
    create_all(&store, &of_ada).await;
    expect_ok(create(&store, &of_bob).await);
    let kept = &of_ada[1];
    for others in [2, 0] {
        let deleted = expect_ok(store.delete_by_user(&ada, Some(kept.id)).await);
        assert_eq!(deleted, others, "the session to keep is not counted");
        assert_kept(&store, kept).await;
        assert_listed(&store, &ada, &[kept]).await;
        assert_kept(&store, &of_bob).await;
    }
}

/// Rule 7: a session to keep that does not exist changes nothing.
pub async fn an_unknown_session_to_keep_saves_none<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    create_all(&store, &[session(1, &ada), session(2, &ada)]).await;
    let unknown = session(3, &ada).id;
    assert_eq!(
        expect_ok(store.delete_by_user(&ada, Some(unknown)).await),
        2,
        "ada has two sessions"
    );
    assert_listed(&store, &ada, &[]).await;
    assert_gone(&store, unknown).await;
}

/// Rule 7: a session to keep that belongs to another user stays, and none of the user's own is kept.
pub async fn a_session_to_keep_of_another_user_saves_none<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let of_bob = [session(3, &bob), session(4, &bob)];
    create_all(&store, &[session(1, &ada), session(2, &ada)]).await;
    create_all(&store, &of_bob).await;
    let deleted = expect_ok(store.delete_by_user(&ada, Some(of_bob[0].id)).await);
    assert_eq!(deleted, 2, "ada has two sessions");
    assert_listed(&store, &ada, &[]).await;
    for session in &of_bob {
        assert_kept(&store, session).await;
    }
}

// Rule 8

/// Rule 8: lists are ordered by time of creation, exact to the millisecond, not by order of insertion.
pub async fn the_sessions_of_a_user_are_listed_newest_first<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    // The other times are in the opposite order, so that ordering by one of them is noticed.
    let record = |(number, created)| SessionRecord {
        created_at: at(created),
        authenticated_at: at(DAY - created),
        active_expires_at: at(DAY * 2 - created),
        idle_expires_at: at(DAY * 3 - created),
        ..session(number, &ada)
    };
    let sessions: Vec<_> = (1..).zip([3, 1_000, 1, 4, 2]).map(record).collect();
    create_all(&store, &sessions).await;
    let newest_first = [1, 3, 0, 4, 2].map(|place| &sessions[place]);
    assert_listed(&store, &ada, &newest_first).await;
}

/// Rule 8: lists return the same records as `find`, and each user has their own list.
pub async fn a_list_is_whole_and_has_nothing_of_others<H: Harness>(harness: &H) {
    let (store, [ada, bob, eve]) = store_with_users(harness).await;
    let of_ada = SessionRecord { user_agent: None, ..session(1, &ada) };
    let of_bob = SessionRecord { address: None, ..session(2, &bob) };
    expect_ok(create(&store, &of_ada).await);
    expect_ok(create(&store, &of_bob).await);
    assert_listed(&store, &ada, &[&of_ada]).await;
    assert_listed(&store, &bob, &[&of_bob]).await;
    assert_listed(&store, &eve, &[]).await;
}

/// Rule 8: the times are those of the sessions that `list_by_user` returns.
pub async fn the_times_of_the_sessions_of_a_user_are_listed<H: Harness>(harness: &H) {
    let (store, [ada, bob, eve]) = store_with_users(harness).await;
    let of_ada = [
        session(1, &ada),
        SessionRecord { actor_session: None, data: None, ..session(2, &ada) },
        SessionRecord { created_at: at(-1), absolute_expires_at: at(0), ..session(3, &ada) },
    ];
    create_all(&store, &of_ada).await;
    let of_bob = session(4, &bob);
    expect_ok(create(&store, &of_bob).await);
    for (user, expected) in
        [(&ada, &of_ada[..]), (&bob, std::slice::from_ref(&of_bob)), (&eve, &[])]
    {
        let mut listed = expect_ok(store.list_times_by_user(user).await);
        listed.sort_unstable_by_key(|times| times.id);
        let expected: Vec<_> = expected.iter().map(SessionTimes::from).collect();
        assert_eq!(listed, expected, "the times of the sessions of {user:?}");
    }
    let change = data_for(&of_ada[1], 7);
    assert!(
        expect_ok(store.write_data(of_ada[1].id, &change).await),
        "the revision is the current one"
    );
    expect_ok(store.delete(of_ada[0].id).await);
    expect_ok(store.renew(of_ada[2].id, renewal_of(&of_ada[2])).await);
    let mut listed = expect_ok(store.list_times_by_user(&ada).await);
    listed.sort_unstable_by_key(|times| times.id);
    let renewed = renewed(&of_ada[2], renewal_of(&of_ada[2]));
    assert_eq!(listed, [&of_ada[1], &renewed].map(SessionTimes::from));
}

// Rule 9

/// Rule 9: the idle timeout is the first millisecond in which a session has expired.
pub async fn a_session_expires_to_the_millisecond<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let record = |number, user, end| SessionRecord {
        active_expires_at: at(1),
        idle_expires_at: at(end),
        ..session(number, user)
    };
    let ended = [record(1, &ada, DAY - 1), record(2, &bob, DAY)];
    let living = [record(3, &ada, DAY + 1), record(4, &bob, DAY + 1)];
    create_all(&store, &ended).await;
    create_all(&store, &living).await;
    assert_eq!(expect_ok(store.delete_expired(at(DAY - 2), 100).await), 0, "none had ended then");
    assert_eq!(expect_ok(store.delete_expired(at(DAY), 100).await), 2, "two have ended");
    for session in &ended {
        assert_gone(&store, session.id).await;
    }
    for session in &living {
        assert_kept(&store, session).await;
    }
}

/// Rule 9: no call deletes more than the limit, and repeated calls delete everything that has expired.
pub async fn expired_sessions_are_deleted_in_bounded_batches<H: Harness>(harness: &H) {
    const LIMIT: u32 = 2;
    let (store, [ada]) = store_with_users(harness).await;
    let record = |number| SessionRecord { idle_expires_at: at(DAY), ..session(number, &ada) };
    let ended: Vec<_> = (1..=5).map(record).collect();
    let living = session(6, &ada);
    create_all(&store, &ended).await;
    expect_ok(create(&store, &living).await);
    let mut left = 5;
    while left > 0 {
        let deleted = expect_ok(store.delete_expired(at(DAY), LIMIT).await);
        assert!((1..=LIMIT.into()).contains(&deleted), "1 to {LIMIT} of {left}, not {deleted}");
        left -= deleted;
        let listed = expect_ok(store.list_by_user(&ada).await).len() as u64;
        assert_eq!(
            listed,
            left + 1,
            "{deleted} are reported as deleted, and the current one stays"
        );
    }
    assert_eq!(expect_ok(store.delete_expired(at(DAY), LIMIT).await), 0, "all have been deleted");
    assert_kept(&store, &living).await;
}

/// Rule 9: the expiry time of a guest is the first millisecond in which it has expired.
pub async fn a_guest_expires_to_the_millisecond<H: Harness>(harness: &H) {
    let (store, []) = store_with_users(harness).await;
    let record = |number, end| GuestRecord { expires_at: at(end), ..guest(number) };
    let (ended, living) = (record(1, DAY), record(2, DAY + 1));
    for guest in [&ended, &living] {
        write_new(&store, guest).await;
    }
    assert_eq!(expect_ok(store.delete_expired(at(DAY - 1), 100).await), 0, "none had ended then");
    assert_guest(&store, &ended).await;
    assert_eq!(expect_ok(store.delete_expired(at(DAY), 100).await), 1, "one has ended");
    assert_eq!(expect_ok(store.find_guest(ended.id).await), None);
    assert_guest(&store, &living).await;
}

/// Rule 9: the limit applies to sessions and guests together.
pub async fn expired_guests_and_sessions_share_one_batch<H: Harness>(harness: &H) {
    const LIMIT: u32 = 2;
    let (store, [ada]) = store_with_users(harness).await;
    for number in 1..=3 {
        let session = SessionRecord { idle_expires_at: at(DAY), ..session(number, &ada) };
        expect_ok(create(&store, &session).await);
        write_new(&store, &GuestRecord { expires_at: at(DAY), ..guest(number) }).await;
    }
    let mut left = 6;
    while left > 0 {
        let deleted = expect_ok(store.delete_expired(at(DAY), LIMIT).await);
        assert!((1..=LIMIT.into()).contains(&deleted), "1 to {LIMIT} of {left}, not {deleted}");
        left -= deleted;
        let mut there = expect_ok(store.list_by_user(&ada).await).len() as u64;
        for number in 1..=3 {
            let found = expect_ok(store.find_guest(guest(number).id).await);
            there += u64::from(found.is_some());
        }
        assert_eq!(there, left, "{deleted} are reported as deleted");
    }
    assert_eq!(expect_ok(store.delete_expired(at(DAY), LIMIT).await), 0, "all have been deleted");
}

// Rule 10

/// Rule 10: users whose ids differ only in case, in white space or in how they compare as numbers find
/// and list their own sessions.
pub async fn users_whose_ids_are_alike_see_their_own_sessions<H: Harness>(harness: &H) {
    let (store, sessions) = store_with_all_users(harness).await;
    for session in &sessions {
        assert_kept(&store, session).await;
        assert_listed(&store, &session.user_id, &[session]).await;
    }
}

/// Rule 10: ending the sessions of one does not end those of another.
pub async fn users_whose_ids_are_alike_lose_their_own_sessions<H: Harness>(harness: &H) {
    let (store, sessions) = store_with_all_users(harness).await;
    for (ended, session) in sessions.iter().enumerate() {
        let user = &session.user_id;
        let deleted = expect_ok(store.delete_by_user(user, None).await);
        assert_eq!(deleted, 1, "{user:?} had one session");
        assert_gone(&store, session.id).await;
        for other in &sessions[ended + 1..] {
            assert_kept(&store, other).await;
        }
    }
}

// Rule 11

/// Rule 11: `find_with_user` finds the same sessions as `find`, together with their user.
pub async fn a_session_comes_with_its_user_or_not_at_all<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let sessions = [session(1, &ada), session(2, &bob)];
    create_all(&store, &sessions).await;
    for session in &sessions {
        // It compares both.
        assert_kept(&store, session).await;
        expect_ok(store.delete(session.id).await);
        assert_gone(&store, session.id).await;
    }
}

// Rule 12

/// Rule 12: the sessions of a removed user are not found, and those of other users stay.
pub async fn the_sessions_of_a_removed_user_are_gone<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let of_ada = [session(1, &ada), session(2, &ada)];
    let of_bob = session(3, &bob);
    create_all(&store, &of_ada).await;
    expect_ok(create(&store, &of_bob).await);
    harness.remove_user(&store, ada.clone()).await;
    for session in &of_ada {
        assert_gone(&store, session.id).await;
    }
    assert_listed(&store, &ada, &[]).await;
    assert_kept(&store, &of_bob).await;
}

/// Rule 12: users with similar ids, as above, are different users here, too.
pub async fn no_session_is_created_for_a_user_who_never_was<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    for (number, nobody) in (1..).zip(&ids::<H>()[1..]) {
        let session = session(number, nobody);
        assert_user_gone(&create(&store, &session).await);
        assert_gone(&store, session.id).await;
        assert_listed(&store, nobody, &[]).await;
    }
    let of_ada = session(100, &ada);
    expect_ok(create(&store, &of_ada).await);
    assert_kept(&store, &of_ada).await;
}

/// Rule 12: as if the user were deleted right after the password was checked. Nothing is ended.
pub async fn no_session_is_created_for_a_user_who_is_gone<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (old, new) = (session(1, &bob), session(2, &ada));
    expect_ok(create(&store, &old).await);
    write_new(&store, &guest(3)).await;
    harness.remove_user(&store, ada.clone()).await;
    let (ended, left) = ([End::new(old.id)], taken_over(&guest(3)));
    let change = Some(GuestChange::new(guest(3).data_revision, &left));
    for ends in [Ends::default(), Ends { sessions: &ended, guest: change }] {
        assert_user_gone(&store.create(&new, ends).await);
        assert_gone(&store, new.id).await;
        assert_kept(&store, &old).await;
        assert_guest(&store, &guest(3)).await;
    }
    harness.add_user(&store, ada.clone()).await;
    expect_ok(create(&store, &new).await);
    assert_kept(&store, &new).await;
}

/// Rule 12: databases may reuse the ids of deleted rows.
pub async fn a_new_user_does_not_inherit_the_sessions_of_a_removed_one<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let session = session(1, &ada);
    expect_ok(create(&store, &session).await);
    harness.remove_user(&store, ada.clone()).await;
    harness.add_user(&store, ada.clone()).await;
    assert_gone(&store, session.id).await;
    assert_listed(&store, &ada, &[]).await;
}

// Rule 22

/// Rule 22: users with similar ids, as above, are different users here, too.
pub async fn a_user_is_found_by_their_id_alone<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let others = &ids::<H>()[1..];
    for (is_there, id) in [(true, &ada)].into_iter().chain(others.iter().map(|id| (false, id))) {
        let found = expect_ok(store.find_user(id).await).map(|user| user.id().to_user_id());
        assert_eq!(found, is_there.then(|| id.clone()), "{id:?}");
    }
    harness.remove_user(&store, ada.clone()).await;
    assert!(expect_ok(store.find_user(&ada).await).is_none(), "the user was removed");
}
