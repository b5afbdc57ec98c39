//! Logouts that wait for replicas.

use std::time::Duration;

use futures_util::future::{Either, select};
use locals::{
    StoreError,
    store::{Ends, RedisStore, SessionStore},
};

use super::{
    server::{Address, Server, start_cluster, until},
    session,
};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);

async fn waiting(server: &Server, timeout: Duration) -> RedisStore {
    RedisStore::connect(&server.url()).await.unwrap().wait(1, timeout).await.unwrap()
}

#[track_caller]
fn is_unconfirmed<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    let Err(StoreError::Backend(cause)) = answer else {
        panic!("no replica has confirmed it, but the answer is {answer:?}");
    };
    let cause = cause.to_string();
    assert!(cause.contains("but only 0 of 1 replicas have confirmed it"), "{cause}");
}

#[actix_web::test]
async fn a_confirmed_logout_survives_the_loss_of_the_primary() {
    let mut primary = Server::start(&[]);
    let replica = primary.replica();
    let store = waiting(&primary, LONG).await;
    let sessions = [session(1, 1_i64), session(2, 1_i64), session(3, 2_i64), session(4, 2_i64)];
    for session in &sessions {
        store.create(session, Ends::default()).await.unwrap();
    }

    assert!(store.delete(sessions[0].id).await.unwrap());
    assert_eq!(store.delete_by_user(&sessions[2].user_id, None).await.unwrap(), 2);
    primary.kill();
    replica.cli(&["REPLICAOF", "NO", "ONE"]);

    let store = RedisStore::connect(&replica.url()).await.unwrap();
    for (session, lives) in sessions.iter().zip([false, true, false, false]) {
        assert_eq!(store.find(session.id).await.unwrap().is_some(), lives);
    }
}

#[actix_web::test]
async fn a_logout_that_no_replica_confirms_is_an_error_until_one_does() {
    let primary = Server::start(&[]);
    let mut replica = primary.replica();
    let store = waiting(&primary, SHORT).await;
    let (first, second) = (session(1, 1_i64), session(2, 1_i64));
    store.create(&first, Ends::default()).await.unwrap();
    store.create(&second, Ends::default()).await.unwrap();
    let user = &first.user_id;

    replica.kill();
    is_unconfirmed(&store.delete(first.id).await);
    assert_eq!(store.find(first.id).await.unwrap(), None, "it has ended nevertheless");
    is_unconfirmed(&store.delete(first.id).await);
    is_unconfirmed(&store.delete_by_user(user, None).await);
    assert_eq!(store.list_by_user(user).await.unwrap(), []);
    is_unconfirmed(&store.delete_by_user(user, None).await);

    replica.restart();
    primary.wait_for_replica();
    let store = waiting(&primary, LONG).await;
    assert!(!store.delete(first.id).await.unwrap(), "no more to end, and confirmed");
    assert_eq!(store.delete_by_user(user, None).await.unwrap(), 0);
}

#[actix_web::test]
async fn only_logouts_wait_for_replicas() {
    let primary = Server::start(&[]);
    let store = waiting(&primary, LONG).await;
    let (ended, other) = (session(1, 1_i64), session(2, 2_i64));
    store.create(&ended, Ends::default()).await.unwrap();

    let mut log_out = store.delete(ended.id);
    for number in 3..50 {
        let others = Box::pin(async {
            let session = session(number, 2_i64);
            store.create(&session, Ends::default()).await.unwrap();
            store.find(other.id).await.unwrap()
        });
        match select(log_out, others).await {
            Either::Left((answer, _)) => panic!("no replica is there, but: {answer:?}"),
            Either::Right((_, waits)) => log_out = waits,
        }
    }
    assert_eq!(store.find(ended.id).await.unwrap(), None, "it has ended while it waits");
}

#[actix_web::test]
async fn a_confirmation_is_for_the_current_primary() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let _replica = new.replica();
    let session = session(1, 1_i64);
    for server in [&old, &new] {
        let store = RedisStore::connect(&server.url()).await.unwrap();
        store.create(&session, Ends::default()).await.unwrap();
    }
    let address = Address::of(&old);
    let store = RedisStore::connect(&address.url()).await.unwrap();
    store.find(session.id).await.unwrap();
    address.move_to(&new);
    // This connection leads to the new primary, while the first one still leads to the old.
    let store = store.wait(1, LONG).await.unwrap();

    assert!(store.delete(session.id).await.unwrap());

    for server in [&old, &new] {
        let store = RedisStore::connect(&server.url()).await.unwrap();
        assert_eq!(store.find(session.id).await.unwrap(), None);
    }
}

#[actix_web::test]
async fn without_waiting_a_failover_can_restore_an_ended_session() {
    let mut primary = Server::start(&[]);
    let replica = primary.replica();
    let store = RedisStore::connect(&primary.url()).await.unwrap();
    let session = session(1, 1_i64);
    store.create(&session, Ends::default()).await.unwrap();
    until("the replica has it", || replica.cli(&["DBSIZE"]) == "2");

    // It is cut off from the primary.
    replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(store.delete(session.id).await.unwrap(), "the logout is acknowledged");
    primary.kill();
    replica.cli(&["REPLICAOF", "NO", "ONE"]);

    let store = RedisStore::connect(&replica.url()).await.unwrap();
    assert_eq!(store.find(session.id).await.unwrap(), Some(session));
}

#[actix_web::test]
async fn in_a_cluster_the_primary_of_the_session_asks_its_own_replicas() {
    let servers = start_cluster(1);
    let connect = async |replicas, timeout| {
        let store = RedisStore::cluster(servers.iter().map(Server::url)).await.unwrap();
        store.wait(replicas, timeout).await.unwrap()
    };
    let (one, two) = (connect(1, LONG).await, connect(2, SHORT).await);
    for number in 1..30 {
        let session = session(number, i64::from(number % 4));
        one.create(&session, Ends::default()).await.unwrap();
        if number % 2 == 0 {
            assert!(one.delete(session.id).await.unwrap());
        }
    }
    assert!(one.delete_by_user(&session(1, 1_i64).user_id, None).await.unwrap() > 2);

    let session = session(99, 7_i64);
    two.create(&session, Ends::default()).await.unwrap();
    let answer = two.delete(session.id).await;
    assert!(matches!(answer, Err(StoreError::Backend(_))), "each primary has one: {answer:?}");
    assert_eq!(one.find(session.id).await.unwrap(), None);
}
