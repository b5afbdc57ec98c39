//! An SQLite database that is busy or full.

use std::{cell::RefCell, str::FromStr, time::Duration};

use actix_web::http::StatusCode;
use futures_util::future::join_all;
use locals::store::SqlStore;
use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::support::{Account, Client, Engine, Fixture, run};

fn options(url: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::from_str(url).unwrap().foreign_keys(true)
}

async fn client(pool: SqlitePool) -> Client {
    Client::of(&Sqlite::builder(SqlStore::new(pool)).build().unwrap()).await
}

/// Makes every session idle, so that its next use renews it.
const MAKE_IDLE: &str = "UPDATE user_sessions SET active_expires_at = created_at";

#[actix_web::test]
async fn a_locked_database_still_serves_reads_and_a_login_is_503() {
    let fixture = Fixture::<Sqlite>::new().await;
    let quick = options(&fixture.url).busy_timeout(Duration::from_millis(100));
    let client = client(SqlitePool::connect_with(quick).await.unwrap()).await;
    let (token, idle) = (client.token(1).await, client.token(2).await);
    run(&fixture.store, MAKE_IDLE).await;
    assert_eq!(client.me(&token).await.token(), token, "renewed");

    let mut other = SqliteConnection::connect_with(&options(&fixture.url)).await.unwrap();
    Sqlite::run_on(&mut other, "BEGIN IMMEDIATE").await.unwrap();
    for reply in join_all((0..20).map(|_| client.me(&token))).await {
        assert_eq!(reply.body, "name-1");
    }
    let reply = client.me(&idle).await;
    assert_eq!((reply.body.as_str(), reply.cookies.len()), ("name-2", 0), "served unrenewed");
    assert!(client.login(3, "").await.is_unavailable());
    assert!(client.login(3, &token).await.is_unavailable());
    assert!(client.logout(&token).await.is_unavailable());
    Sqlite::run_on(&mut other, "ROLLBACK").await.unwrap();

    assert_eq!(client.me(&idle).await.token(), idle, "renewed later");
    assert_eq!(fixture.sessions().await, 2);
    assert!(client.logout(&token).await.removes_the_cookie());
    assert!(client.login(3, "").await.is_ok());
}

#[actix_web::test]
async fn many_readers_and_writers_of_one_file_all_get_the_right_response() {
    let fixture = Fixture::<Sqlite>::new().await;
    let client = &fixture.client;
    let kept = client.token(9).await;
    let writers = join_all((0..16).map(|number: i64| async move {
        let id = 1 + number % 8;
        for _ in 0..25 {
            let token = client.token(id).await;
            assert_eq!(client.me(&token).await.body, format!("name-{id}"));
            let newer = client.login(id, &token).await.token();
            assert_eq!(client.me(&token).await.status, StatusCode::UNAUTHORIZED);
            assert!(client.logout(&newer).await.removes_the_cookie());
            assert_eq!(client.me(&newer).await.status, StatusCode::UNAUTHORIZED);
        }
    }));
    let kept = &kept;
    let readers = join_all((0..16).map(|_| async move {
        for _ in 0..100 {
            assert_eq!(client.me(kept).await.body, "name-9");
        }
    }));
    futures_util::future::join(writers, readers).await;
    assert_eq!(fixture.sessions().await, 1);
}

#[actix_web::test]
async fn a_full_disk_stops_logins_and_nothing_else() {
    let fixture = Fixture::<Sqlite>::new().await;
    let tokens = join_all((1..10).map(|id| fixture.client.token(id))).await;
    let pages = Sqlite::number(fixture.store.pool(), "PRAGMA page_count").await;
    run(&fixture.store, MAKE_IDLE).await;
    fixture.store.pool().close().await;

    let full = options(&fixture.url).pragma("max_page_count", pages.to_string());
    let pool = SqlitePoolOptions::new().connect_with(full).await.unwrap();
    let client = client(pool.clone()).await;
    let mut stored = 9;
    let refused = loop {
        let reply = client.login(1, "").await;
        if !reply.is_ok() {
            break reply;
        }
        stored += 1;
        assert!(stored < 1_000, "the database is not full");
    };
    assert!(refused.is_unavailable(), "{refused:?}");
    for (token, id) in tokens.iter().zip(1..) {
        for _ in 0..2 {
            let reply = client.me(token).await;
            assert_eq!((reply.status, reply.body), (StatusCode::OK, format!("name-{id}")));
        }
    }
    // Renewed above, so that no renewal stands beside the failure.
    assert!(client.login(1, &tokens[0]).await.is_unavailable());
    assert_eq!(Sqlite::number(&pool, "SELECT COUNT(*) FROM user_sessions").await, stored);
    for token in &tokens {
        assert!(client.logout(token).await.removes_the_cookie());
        assert_eq!(client.me(token).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(Sqlite::number(&pool, "SELECT COUNT(*) FROM user_sessions").await, stored - 9);
    let check = sqlx::query_scalar("PRAGMA integrity_check");
    let check: String = check.fetch_one(&pool).await.unwrap();
    assert_eq!(check, "ok");
    assert!(client.login(1, "").await.is_ok(), "what was freed can be used");
}

#[actix_web::test]
async fn writers_take_turns_and_block_no_reader() {
    // More than the pool has connections.
    const WRITERS: usize = 30;
    // The last one waits for all the others, on a disk that may be slow.
    const BUSY_TIMEOUT: Duration = Duration::from_mins(1);
    let fixture = Fixture::<Sqlite>::new().await;
    let pool = SqlitePoolOptions::new().acquire_timeout(BUSY_TIMEOUT);
    let pool = pool.connect_with(options(&fixture.url).busy_timeout(BUSY_TIMEOUT)).await.unwrap();
    let auth = Sqlite::builder(SqlStore::new(pool)).build().unwrap();
    let client = Client::of(&auth).await;
    let token = client.token(9).await;
    let mut sessions = Vec::new();
    for _ in 0..WRITERS {
        sessions.push(auth.create_session(&Account::numbered(1)).await.unwrap().id());
    }
    let mut other = SqliteConnection::connect_with(&options(&fixture.url)).await.unwrap();
    Sqlite::run_on(&mut other, "BEGIN IMMEDIATE").await.unwrap();

    let served = RefCell::new(Vec::new());
    let writers = join_all(sessions.iter().map(|id| async {
        auth.invalidate_session(*id).await.unwrap();
        served.borrow_mut().push(*id);
    }));
    let readers = async {
        for _ in 0..20 {
            assert_eq!(client.me(&token).await.body, "name-9");
        }
        assert!(served.borrow().is_empty(), "nobody can have written yet");
        Sqlite::run_on(&mut other, "ROLLBACK").await.unwrap();
    };
    // The writers first, so that they all wait before anybody reads.
    futures_util::future::join(writers, readers).await;
    assert_eq!(served.take(), sessions, "in the order in which they came");
    assert_eq!(fixture.sessions().await, 1);
}
