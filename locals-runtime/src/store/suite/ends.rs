//! Rule 13: what ends with the creation of a session.

#![allow(clippy::missing_panics_doc, reason = "a panic is how all of them say no")]

use super::{
    Harness,
    support::{
        CROWD, POLLS, answer, assert_gone, assert_guest, assert_kept, at_once, create, create_all,
        drop_after, guest, session, store_with_users, write_new,
    },
};
use crate::{
    error::StoreError,
    session::SessionRecord,
    store::{Ends, SessionStore},
};

/// Rule 13: those that are named end, and no others.
pub async fn a_create_ends_the_sessions_and_the_guest_it_names<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let ended = [session(1, &ada), session(2, &bob)];
    let kept = [session(3, &ada), session(4, &bob)];
    create_all(&store, &ended).await;
    create_all(&store, &kept).await;
    for number in [1, 2] {
        write_new(&store, &guest(number)).await;
    }
    let new = session(5, &ada);
    let ends = Ends { sessions: &ended.each_ref().map(|it| it.id), guest: Some(guest(1).id) };
    answer(store.create(&new, ends).await);
    assert_kept(&store, &new).await;
    for session in &ended {
        assert_gone(&store, session.id).await;
    }
    assert_eq!(answer(store.find_guest(guest(1).id).await), None, "the guest has ended");
    for session in &kept {
        assert_kept(&store, session).await;
    }
    assert_guest(&store, &guest(2)).await;
}

/// Rule 13: what has ended meanwhile, or never was, hinders no log-in.
pub async fn a_create_takes_no_notice_of_unknown_ids<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let (old, unknown, new) = (session(1, &ada), session(2, &ada), session(3, &ada));
    answer(create(&store, &old).await);
    let sessions = [unknown.id, old.id, unknown.id, old.id];
    let ends = Ends { sessions: &sessions, guest: Some(guest(7).id) };
    answer(store.create(&new, ends).await);
    assert_kept(&store, &new).await;
    assert_gone(&store, old.id).await;
}

/// Rules 2 and 13: nothing ends for a session that is refused.
pub async fn a_create_with_a_taken_id_ends_nothing<H: Harness>(harness: &H) {
    let (store, [ada, bob]) = store_with_users(harness).await;
    let (first, old) = (session(1, &ada), session(2, &bob));
    create_all(&store, &[first.clone(), old.clone()]).await;
    write_new(&store, &guest(3)).await;
    let second = SessionRecord { id: first.id, ..session(4, &bob) };
    let ends = Ends { sessions: &[old.id], guest: Some(guest(3).id) };
    let refused = store.create(&second, ends).await;
    assert!(
        matches!(refused, Err(StoreError::Collision)),
        "a taken id is a collision, but `create` answers {refused:?}"
    );
    assert_kept(&store, &first).await;
    assert_kept(&store, &old).await;
    assert_guest(&store, &guest(3)).await;
}

/// Rule 13: two log-ins with one cookie end its session once, and neither hinders the other.
pub async fn creators_at_once_may_end_the_same_session<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    let old = [session(200, &ada), session(201, &ada)];
    create_all(&store, &old).await;
    let (there, back) = ([old[0].id, old[1].id], [old[1].id, old[0].id]);
    let new: Vec<_> = (0..CROWD).map(|number| session(number, &ada)).collect();
    let ends = |new: &SessionRecord| Ends {
        sessions: if new.is_persistent { &there } else { &back },
        guest: None,
    };
    let creators = new.iter().map(|new| store.create(new, ends(new))).collect();
    for created in at_once(creators).await {
        answer(created);
    }
    for session in &new {
        assert_kept(&store, session).await;
    }
    for session in &old {
        assert_gone(&store, session.id).await;
    }
}

/// Rule 13, for a client that hangs up: an old session ends only where the new one is there.
pub async fn a_create_that_is_dropped_ends_nothing_without_it<H: Harness>(harness: &H) {
    let (store, [ada]) = store_with_users(harness).await;
    // It takes more steps than others.
    for polls in 0..POLLS.end * 4 {
        let (old, new) = (session(polls, &ada), session(polls + 100, &ada));
        answer(create(&store, &old).await);
        write_new(&store, &guest(polls)).await;
        let ends = Ends { sessions: &[old.id], guest: Some(guest(polls).id) };
        drop_after(polls, store.create(&new, ends)).await;
        // Read first: what is still under way creates before it ends.
        let old_is_there = answer(store.find(old.id).await) == Some(old);
        let guest_is_there = answer(store.find_guest(guest(polls).id).await).is_some();
        match answer(store.find(new.id).await) {
            Some(found) => assert_eq!(found, new, "after {polls} polls"),
            None => assert!(old_is_there && guest_is_there, "after {polls} polls"),
        }
    }
}
