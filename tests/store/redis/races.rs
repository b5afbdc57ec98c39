//! Operations that meet, on connections of their own.

use std::collections::HashSet;

use futures_util::future::{join, join_all};
use locals::{
    SessionId, SessionRecord, UserId,
    store::{Ends, RedisStore, SessionStore},
};
use uuid::Uuid;

use super::{Keys, new_prefix, renewal_of, session, suite};

fn new_session(user: i64) -> SessionRecord {
    let mut session = session(0, user);
    session.id = SessionId::from_bytes(*Uuid::new_v4().as_bytes());
    session
}

/// Whatever came in between, each session that exists is in the list, and goes with the others.
async fn none_is_hidden(store: &RedisStore, user: &UserId, sessions: &[SessionRecord]) {
    let listed = store.list_by_user(user).await.unwrap();
    let listed: HashSet<_> = listed.into_iter().map(|session| session.id).collect();
    for session in sessions {
        let is_open = store.find(session.id).await.unwrap().is_some();
        assert_eq!(is_open, listed.contains(&session.id), "a is_open session is in the list");
    }
    let ended = store.delete_by_user(user, None).await.unwrap();
    assert_eq!(ended, listed.len() as u64);
    for session in sessions {
        assert_eq!(store.find(session.id).await.unwrap(), None);
    }
}

/// Each store has connections of its own, so nothing puts their commands in order.
async fn log_ins_meet_log_outs(stores: &[RedisStore]) {
    let [first, second, third] = stores else { panic!("three stores") };
    for round in 0..200 {
        let user = UserId::from(round);
        let sessions: Vec<_> = (0..4).map(|_| new_session(round)).collect();
        let created =
            join_all(sessions.iter().map(|session| first.create(session, Ends::default())));
        let ended = join(
            async {
                for _ in 0..3 {
                    second.delete_by_user(&user, None).await.unwrap();
                }
            },
            async {
                third.list_by_user(&user).await.unwrap();
                third.delete(sessions[0].id).await.unwrap();
                third.delete_by_user(&user, None).await.unwrap();
            },
        );
        let (created, _) = join(created, ended).await;
        for created in created {
            created.unwrap();
        }
        none_is_hidden(second, &user, &sessions).await;
    }
}

#[actix_web::test]
async fn a_login_during_logouts_everywhere_is_ended_by_the_next_one() {
    let keys = Keys::new();
    log_ins_meet_log_outs(&[keys.store().await, keys.store().await, keys.store().await]).await;
}

#[actix_web::test]
async fn a_login_during_logouts_everywhere_is_ended_by_the_next_one_in_a_cluster() {
    let prefix = new_prefix();
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(RedisStore::cluster(suite::cluster()).await.unwrap().prefix(&prefix));
    }
    log_ins_meet_log_outs(&stores).await;
}

#[actix_web::test]
async fn a_logout_everywhere_during_a_login_hides_no_session() {
    let keys = Keys::new();
    let store = keys.store().await;
    let user = UserId::from(1_i64);
    let late = new_session(1);
    // The login has entered the index, and is not further.
    let value = {
        store.create(&late, Ends::default()).await.unwrap();
        keys.cli(&["GETDEL", &keys.session(late.id)])
    };
    assert_eq!(store.list_by_user(&user).await.unwrap(), []);
    assert_eq!(store.delete_by_user(&user, None).await.unwrap(), 0);
    assert!(!store.delete(late.id).await.unwrap());
    // And now it goes on.
    keys.cli(&["SET", &keys.session(late.id), &value]);

    none_is_hidden(&store, &user, &[late]).await;
}

#[actix_web::test]
async fn a_renewal_during_a_logout_restores_nothing() {
    let keys = Keys::new();
    let (first, second) = (keys.store().await, keys.store().await);
    let user = UserId::from(1_i64);
    for _ in 0..100 {
        let session = new_session(1);
        first.create(&session, Ends::default()).await.unwrap();
        let renewed = first.renew(session.id, renewal_of(&session));
        let (renewed, ended) = join(renewed, second.delete_by_user(&user, None)).await;
        renewed.unwrap();
        assert_eq!(ended.unwrap(), 1);
        assert_eq!(first.find(session.id).await.unwrap(), None);
        assert_eq!(first.list_by_user(&user).await.unwrap(), []);
    }
}

#[actix_web::test]
async fn a_renewal_adds_a_session_to_an_index_that_has_lost_it() {
    let keys = Keys::new();
    let store = keys.store().await;
    let session = new_session(1);
    store.create(&session, Ends::default()).await.unwrap();
    // As a failover of the node that holds the index may do.
    assert_eq!(keys.cli(&["DEL", &keys.index("i:1")]), "1");
    assert!(store.renew(session.id, renewal_of(&session)).await.unwrap());
    assert_eq!(store.delete_by_user(&session.user_id, None).await.unwrap(), 1);
    assert_eq!(store.find(session.id).await.unwrap(), None);
}

#[actix_web::test]
async fn a_user_with_thousands_of_sessions_is_logged_out_everywhere() {
    let keys = Keys::new();
    let store = keys.store().await;
    let sessions: Vec<_> = (0..3_000).map(|_| new_session(1)).collect();
    for some in sessions.chunks(100) {
        for created in
            join_all(some.iter().map(|session| store.create(session, Ends::default()))).await
        {
            created.unwrap();
        }
    }
    let user = UserId::from(1_i64);
    assert_eq!(store.list_by_user(&user).await.unwrap().len(), 3_000);
    assert_eq!(store.delete_by_user(&user, Some(sessions[7].id)).await.unwrap(), 2_999);
    assert_eq!(store.list_by_user(&user).await.unwrap(), [sessions[7].clone()]);
}
