//! Servers that stop, hang, come back, and change their role.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use locals::{
    DataChange, SessionRecord, StoreError, Timestamp, TokenChange,
    store::{Ends, RedisStore, SessionStore, StoreFuture},
};

use super::{
    DAY, guest, renewal_of,
    server::{Server, start_cluster, until},
    session,
};

/// What the timeout of two seconds may take on a busy machine.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(3);

fn nothing<'a, T: 'a>(operation: StoreFuture<'a, T>) -> StoreFuture<'a, ()> {
    Box::pin(async move { operation.await.map(drop) })
}

/// Every operation fails, and soon.
async fn every_operation_fails(store: &RedisStore) {
    let (session, guest) = (session(9, 1_i64), guest(9));
    let change = TokenChange::new(&session, guest.secret_hash);
    let data = DataChange::new(0, "");
    let started = Instant::now();
    let answers = join_all([
        nothing(store.create(&session, Ends::default())),
        nothing(store.find(session.id)),
        nothing(store.renew(session.id, renewal_of(&session))),
        nothing(store.change_token(session.id, &change)),
        nothing(store.write_data(session.id, &data)),
        nothing(store.find_guest(session.id)),
        nothing(store.write_guest(&guest, None)),
        nothing(store.write_guest(&guest, Some(0))),
        nothing(store.delete_guest(session.id)),
        nothing(store.delete(session.id)),
        nothing(store.delete_by_user(&session.user_id, None)),
        nothing(store.list_by_user(&session.user_id)),
        nothing(store.delete_expired(Timestamp::from_millis(0), 1)),
    ])
    .await;
    assert!(started.elapsed() < MAX_RESPONSE_TIME, "after {:?}", started.elapsed());
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Backend(_))), "{answer:?}");
    }
}

#[actix_web::test]
async fn a_server_that_is_down_is_an_error_within_the_timeout_and_used_again_when_it_is_back() {
    let mut server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for number in 1..4 {
        let session = session(number, 1_i64);
        store.create(&session, Ends::default()).await.unwrap();

        server.kill();
        every_operation_fails(&store).await;

        server.restart();
        assert_eq!(store.find(session.id).await.unwrap(), None, "it keeps nothing on disk");
        store.create(&session, Ends::default()).await.unwrap();
        assert_eq!(store.find(session.id).await.unwrap(), Some(session));
    }
}

#[actix_web::test]
async fn a_request_waits_for_a_server_that_is_about_to_be_back() {
    let mut server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    server.kill();
    let waiting = actix_web::rt::spawn({
        let store = store.clone();
        async move { store.find(session(1, 1_i64).id).await }
    });
    actix_web::rt::task::yield_now().await;
    server.restart();
    assert_eq!(waiting.await.unwrap().unwrap(), None);
}

#[actix_web::test]
async fn a_server_that_hangs_is_an_error_within_the_timeout_and_used_again_when_it_resumes() {
    let server = Server::start(&[]);
    let process = server.process();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let session = session(1, 1_i64);
    store.create(&session, Ends::default()).await.unwrap();

    server.signal("-STOP", &process);
    every_operation_fails(&store).await;
    server.signal("-CONT", &process);

    assert_eq!(store.find(session.id).await.unwrap(), Some(session));
}

#[actix_web::test]
async fn a_read_is_retried_when_its_connection_is_lost() {
    let server = Server::start(&[]);
    let session = session(1, 1_i64);
    let first = RedisStore::connect(&server.url()).await.unwrap();
    first.create(&session, Ends::default()).await.unwrap();
    // Only with RESP3 the driver notices before the connection is needed again.
    for protocol in ["resp3", "resp2"] {
        let url = format!("{}?protocol={protocol}", server.url());
        let store = RedisStore::connect(&url).await.unwrap();
        for _ in 0..10 {
            server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            assert_eq!(store.find(session.id).await.unwrap().as_ref(), Some(&session));
        }
    }
}

#[actix_web::test]
async fn connections_leave_a_primary_that_has_become_a_replica() {
    let server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (session, other) = (session(1, 1_i64), session(2, 1_i64));
    store.create(&session, Ends::default()).await.unwrap();
    // The other one asks this; ids only grow.
    let newest_connection = || -> u64 {
        let list = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
        let stores = list.lines().filter(|line| !line.contains("cmd=client"));
        let id = |line: &str| line.strip_prefix("id=")?.split(' ').next()?.parse().ok();
        stores.filter_map(id).max().unwrap()
    };
    let before = newest_connection();

    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let refused = store.create(&other, Ends::default()).await;
    assert!(matches!(refused, Err(StoreError::Backend(_))), "{refused:?}");

    // Here the new connection leads to the same server.
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    store.create(&other, Ends::default()).await.unwrap();
    assert!(newest_connection() > before);
}

#[actix_web::test]
async fn with_appendfsync_always_no_acknowledged_login_or_logout_is_lost() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let sessions: Vec<_> = (1..40).map(|number| session(number, i64::from(number % 3))).collect();
    let mut open = Vec::new();
    for some in sessions.chunks(10) {
        for session in some {
            store.create(session, Ends::default()).await.unwrap();
        }
        for session in &some[..5] {
            store.delete(session.id).await.unwrap();
        }
        let renewed = &some[5];
        assert!(store.renew(renewed.id, renewal_of(renewed)).await.unwrap());
        open.extend(some[5..].iter().map(|session| session.id));

        server.kill();
        server.restart();

        for session in &sessions {
            let found = store.find(session.id).await.unwrap();
            assert_eq!(found.is_some(), open.contains(&session.id), "{}", session.id);
        }
        let active = store.find(renewed.id).await.unwrap().unwrap().active_expires_at;
        assert_eq!(active, renewed.idle_expires_at, "it is still renewed");
    }
}

#[actix_web::test]
async fn a_wrong_url_is_reported_immediately() {
    let server = Server::start(&[]);
    server.cli(&["CONFIG", "SET", "requirepass", "right"]);
    let connect = async |url: &str| -> String {
        let Err(StoreError::Backend(cause)) = RedisStore::connect(url).await else {
            panic!("{url} is wrong");
        };
        assert!(!cause.to_string().contains("a-password"), "{cause}");
        cause.to_string().to_lowercase()
    };
    let with = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port);
    assert!(connect("127.0.0.1").await.contains("url"), "no URL");
    assert!(connect("redis://127.0.0.1:1").await.contains("refused"), "no server");
    assert!(connect(&with("")).await.contains("auth"), "no password");
    assert!(connect(&with(":a-password@")).await.contains("pass"), "a wrong password");
    let store = RedisStore::connect(&with(":right@")).await.unwrap();
    assert!(!format!("{store:?}").contains("right"));

    let no_cluster = RedisStore::cluster([with(":right@")]).await;
    assert!(matches!(no_cluster, Err(StoreError::Backend(_))));
    let no_nodes = RedisStore::cluster([""; 0]).await;
    assert!(matches!(no_nodes, Err(StoreError::Backend(_))));
}

#[actix_web::test]
async fn a_cluster_continues_with_the_replica_of_a_lost_primary() {
    let mut servers = start_cluster(1);
    let store = RedisStore::cluster(servers.iter().map(Server::url)).await.unwrap();
    let sessions: Vec<_> = (1..30).map(|number| session(number, i64::from(number))).collect();
    for session in &sessions {
        store.create(session, Ends::default()).await.unwrap();
    }
    until("the replicas have it all", || {
        let sizes = servers.iter().map(|server| server.cli(&["DBSIZE"]).parse::<usize>().unwrap());
        sizes.sum::<usize>() == 2 * 2 * sessions.len()
    });
    let dead = servers.iter().position(|server| server.cli(&["ROLE"]).starts_with("master"));
    let mut dead = servers.remove(dead.unwrap());

    dead.kill();
    every_answer_is_soon(&store, &sessions).await;
    until("the replica has taken over", || {
        servers.iter().filter(|server| server.cli(&["ROLE"]).starts_with("master")).count() == 3
            && servers.iter().all(|server| server.cli(&["CLUSTER", "INFO"]).contains("state:ok"))
    });

    for session in &sessions {
        assert_eq!(store.find(session.id).await.unwrap().as_ref(), Some(session));
        assert!(store.renew(session.id, renewal_of(session)).await.unwrap());
        assert_eq!(store.delete_by_user(&session.user_id, None).await.unwrap(), 1);
    }
    let ended = Timestamp::from_millis(30 * DAY);
    assert_eq!(store.delete_expired(ended, 1_000).await.unwrap(), 0, "none is left");
}

/// Found or an error, but not "not found", which would sign a user out.
async fn every_answer_is_soon(store: &RedisStore, sessions: &[SessionRecord]) {
    let started = Instant::now();
    let answers = join_all(sessions.iter().map(|session| store.find(session.id))).await;
    assert!(started.elapsed() < MAX_RESPONSE_TIME, "after {:?}", started.elapsed());
    for (session, answer) in sessions.iter().zip(answers) {
        match answer {
            Ok(found) => assert_eq!(found.as_ref(), Some(session)),
            Err(error) => assert!(matches!(error, StoreError::Backend(_)), "{error:?}"),
        }
    }
}

#[actix_web::test]
async fn a_cluster_that_was_down_as_a_whole_is_used_again() {
    let mut servers = start_cluster(0);
    let store = RedisStore::cluster(servers.iter().map(Server::url)).await.unwrap();
    let session = session(1, 1_i64);
    store.create(&session, Ends::default()).await.unwrap();

    servers.iter_mut().for_each(Server::kill);
    every_operation_fails(&store).await;
    servers.iter_mut().for_each(Server::restart);
    until("the nodes have found each other", || {
        servers.iter().all(|server| server.cli(&["CLUSTER", "INFO"]).contains("state:ok"))
    });

    assert_eq!(store.find(session.id).await.unwrap(), None, "it keeps nothing on disk");
    store.create(&session, Ends::default()).await.unwrap();
    assert_eq!(store.find(session.id).await.unwrap(), Some(session));
}
