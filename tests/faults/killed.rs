//! `kill -9`, of the app and of the database, while users log in and out.

use std::{collections::HashMap, thread, time::Duration};

use actix_web::http::StatusCode;
use sqlx::Sqlite;

use crate::{
    process::{Process, database, say},
    support::{Client, Engine, Fixture},
};

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its login was acknowledged.
    In,
    /// Something that ends it was begun.
    Open,
    /// Its end was acknowledged.
    Out,
}

impl Fate {
    /// Of what the child says: a word and a token.
    fn read(said: &str) -> (Self, String) {
        let (word, token) = said.split_once(' ').unwrap();
        let fate = match word {
            "in" => Self::In,
            "open" => Self::Open,
            "out" => Self::Out,
            other => panic!("{other}"),
        };
        (fate, token.to_owned())
    }
}

/// Logs in, in again over it, and out, until it is told to stop; every third session is left.
/// Tells of each step, and with an empty token of one that failed.
async fn work(client: &Client, mut tell: impl AsyncFnMut(Fate, &str) -> bool) {
    for round in 0_u64.. {
        let reply = client.login(1, "").await;
        if reply.is_unavailable() {
            if !tell(Fate::Open, "").await {
                return;
            }
            continue;
        }
        let token = reply.token();
        let mut go_on = tell(Fate::In, &token).await;
        if round % 3 < 2 {
            go_on &= tell(Fate::Open, &token).await;
            let reply = client.login(1, &token).await;
            if reply.is_unavailable() {
                go_on &= tell(Fate::Open, "").await;
            } else {
                let newer = reply.token();
                go_on &= tell(Fate::Out, &token).await;
                go_on &= tell(Fate::Open, &newer).await;
                let reply = client.logout(&newer).await;
                if reply.is_unavailable() {
                    go_on &= tell(Fate::Open, "").await;
                } else {
                    assert!(reply.removes_the_cookie(), "{reply:?}");
                    go_on &= tell(Fate::Out, &newer).await;
                }
            }
        }
        if !go_on {
            return;
        }
    }
}

/// Says whether all that was acknowledged is so; gives how many sessions live, at most.
async fn check(client: &Client, fates: &HashMap<String, Fate>) -> i64 {
    let mut valid = 0;
    for (token, fate) in fates {
        let status = client.me(token).await.status;
        match fate {
            Fate::In => assert_eq!(status, StatusCode::OK, "an acknowledged login is lost"),
            Fate::Out => {
                assert_eq!(status, StatusCode::UNAUTHORIZED, "an acknowledged logout is lost");
            }
            Fate::Open => {
                assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
            }
        }
        valid += i64::from(status == StatusCode::OK);
    }
    valid
}

#[actix_web::test]
#[ignore = "a child of the test below"]
async fn child() {
    let Some(url) = database() else { return };
    let client = Client::of(&Sqlite::builder(Sqlite::open(&url).await).build().unwrap()).await;
    let tell = async |fate, token: &str| {
        let word = match fate {
            Fate::In => "in",
            Fate::Open => "open",
            Fate::Out => "out",
        };
        say(&format!("{word} {token}"));
        true
    };
    work(&client, tell).await;
}

#[actix_web::test]
async fn an_app_that_is_killed_loses_nothing_it_has_acknowledged() {
    const ROUNDS: u64 = 20;
    let fixture = Fixture::<Sqlite>::new().await;
    let mut fates = HashMap::new();
    for round in 0..ROUNDS {
        let mut process = Process::run("killed::child", &fixture.url);
        for _ in 0..=(round * 37 % 50) {
            let (fate, token) = Fate::read(&process.hear().expect("a child that lives"));
            fates.insert(token, fate);
        }
        // Somewhere in the middle of what it does next.
        thread::sleep(Duration::from_micros(random() % 4_000));
        for said in process.kill() {
            let (fate, token) = Fate::read(&said);
            fates.insert(token, fate);
        }
        let valid = check(&fixture.client, &fates).await;
        // What was stored and never acknowledged: at most one login for each kill.
        let stored = fixture.sessions().await;
        assert!((valid..=valid + 1 + i64::try_from(round).unwrap()).contains(&stored));
    }
    let acknowledged = fates.values().filter(|fate| **fate != Fate::Open).count();
    assert!(acknowledged > 100, "{acknowledged} of {}", fates.len());
    let check = sqlx::query_scalar("PRAGMA integrity_check");
    let check: String = check.fetch_one(fixture.store.pool()).await.unwrap();
    assert_eq!(check, "ok");
}

fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn a_server_that_is_killed_loses_nothing_that_was_acknowledged() {
    use std::time::Instant;

    use crate::{own_postgres::OwnPostgres, support::populate};

    let mut server = OwnPostgres::new();
    let store = sqlx::Postgres::open(&server.url()).await;
    populate(&store).await;
    let client = Client::of(&sqlx::Postgres::builder(store).build().unwrap()).await;
    let kept = client.token(9).await;
    let mut fates = HashMap::new();
    for round in 0..3 {
        let (until, pids) = (20 + random() % 60, server.pids());
        let (mut said, mut failed) = (0, 0);
        let tell = async |fate, token: &str| {
            said += 1;
            if token.is_empty() {
                failed += 1;
            } else {
                fates.insert(token.to_owned(), fate);
            }
            if said == until {
                let pids = pids.clone();
                thread::spawn(move || {
                    thread::sleep(Duration::from_micros(random() % 3_000));
                    OwnPostgres::kill(&pids);
                });
            }
            failed == 0
        };
        work(&client, tell).await;
        let reply = client.me(&kept).await;
        // A process of the server's that has not noticed yet may still answer.
        assert!(reply.is_unavailable() || reply.is_ok(), "round {round}: {reply:?}");

        server.restart();
        let start = Instant::now();
        assert_eq!(client.me(&kept).await.body, "name-9", "without a restart of the app");
        assert!(start.elapsed() < Duration::from_secs(2));
        check(&client, &fates).await;
    }
    let acknowledged = fates.values().filter(|fate| **fate != Fate::Open).count();
    assert!(acknowledged > 30, "{acknowledged} of {}", fates.len());
}
