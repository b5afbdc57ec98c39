//! What `SqlStore` leaves in an SQLite database, and how it opens one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use locals::{Auth, AuthUser, Error, store::SqlStore};
use sqlx::Sqlite;
use tempfile::TempDir;

use crate::{Account, assert_no_part_of, database, run};

#[actix_web::test]
async fn every_connection_has_the_required_settings() {
    let (_directory, store) = database::<i64>("").await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(store.pool().acquire().await.unwrap());
    }
    for connection in &mut connections {
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **connection).await.unwrap();
        assert_eq!(journal, "wal");
        for (setting, expected) in
            [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 2_000)]
        {
            let value: i64 =
                sqlx::query_scalar(setting).fetch_one(&mut **connection).await.unwrap();
            assert_eq!(value, expected, "{setting}");
        }
    }
}

#[actix_web::test]
async fn nothing_that_opens_a_session_is_in_the_files_of_the_database() {
    let (directory, store) =
        database::<i64>("CREATE TABLE accounts (id INTEGER PRIMARY KEY)").await;
    store.migrate().await.unwrap();
    run(&store, "INSERT INTO accounts VALUES (1)").await;
    let auth = Auth::<Account<i64>>::builder(store).build().unwrap();

    for _ in 0..5 {
        let session = auth.create_session(&Account { id: 1 }).await.unwrap();
        let text = session.token().expose_secret();
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        let (id, secret) = bytes.split_at(16);
        let files = bytes_of_all_files(&directory);
        let holds = |part: &[u8]| files.windows(part.len()).any(|window| window == part);

        assert!(holds(id), "the session is in the files that this test reads");
        let hash = session.token().secret_hash::<Account<i64>>();
        assert!(holds(hash.as_bytes()), "the hash of its secret is there");
        assert_no_part_of(secret, holds);
        // The secret begins within the 22nd character.
        for part in text.as_bytes()[22..].windows(8) {
            assert!(!holds(part), "the text of the token is there");
        }
    }
}

fn bytes_of_all_files(directory: &TempDir) -> Vec<u8> {
    let files = std::fs::read_dir(directory.path()).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[actix_web::test]
async fn a_user_deleted_by_plain_sql_takes_their_sessions_with_them() {
    let (_directory, store) =
        database::<i64>("CREATE TABLE accounts (id INTEGER PRIMARY KEY)").await;
    store.migrate().await.unwrap();
    run(&store, "INSERT INTO accounts VALUES (1), (2)").await;
    let auth = Auth::<Account<i64>>::builder(store.clone()).build().unwrap();
    for id in [1, 1, 2] {
        auth.create_session(&Account { id }).await.unwrap();
    }

    run(&store, "DELETE FROM accounts WHERE id = 1").await;

    let left: Vec<i64> = sqlx::query_scalar("SELECT user_id FROM user_sessions")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(left, [2]);
}

#[actix_web::test]
async fn a_session_of_an_unknown_user_is_refused_like_that_of_a_deleted_one() {
    let (_directory, store) =
        database::<i64>("CREATE TABLE accounts (id INTEGER PRIMARY KEY)").await;
    store.migrate().await.unwrap();
    let auth = Auth::<Account<i64>>::builder(store).build().unwrap();
    let refused = auth.create_session(&Account { id: 1 }).await;
    assert!(matches!(refused, Err(Error::UserGone)), "{refused:?}");
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, AuthUser)]
#[auth_user(table = "group")]
struct Member {
    #[auth_user(id = "order")]
    #[sqlx(rename = "order")]
    number: i64,
}

#[actix_web::test]
async fn a_table_and_a_column_named_by_reserved_words_work() {
    let store: SqlStore<Sqlite, Member> = SqlStore::sqlite("sqlite::memory:").await.unwrap();
    run(&store, r#"CREATE TABLE "group" ("order" INTEGER PRIMARY KEY)"#).await;
    store.migrate().await.unwrap();
    run(&store, r#"INSERT INTO "group" VALUES (7)"#).await;
    let member = Member { number: 7 };
    let auth = Auth::<Member>::builder(store).build().unwrap();

    let session = auth.create_session(&member).await.unwrap();

    let token = session.token().expose_secret();
    let (found, user) = auth.validate_session_user(token).await.unwrap().unwrap();
    assert_eq!((found.id(), user.into_inner()), (session.id(), member));
    assert_eq!(auth.user_sessions(7).await.unwrap().len(), 1);
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Lookalike {
    id: i64,
    secret_hash: String,
    user_id: i64,
    created_at: String,
    address: String,
}

#[actix_web::test]
async fn columns_of_the_user_may_be_named_like_those_of_a_session() {
    let store: SqlStore<Sqlite, Lookalike> = SqlStore::sqlite("sqlite::memory:").await.unwrap();
    run(
        &store,
        "CREATE TABLE accounts (address TEXT, created_at TEXT, user_id INTEGER, \
         id INTEGER PRIMARY KEY, secret_hash TEXT); \
         INSERT INTO accounts VALUES ('1 Main Street', 'yesterday', 70, 7, 'of a password')",
    )
    .await;
    store.migrate().await.unwrap();
    let lookalike = Lookalike {
        id: 7,
        secret_hash: "of a password".to_owned(),
        user_id: 70,
        created_at: "yesterday".to_owned(),
        address: "1 Main Street".to_owned(),
    };
    let auth = Auth::<Lookalike>::builder(store).build().unwrap();

    let session = auth.create_session(&lookalike).await.unwrap();

    let token = session.token().expose_secret();
    let (found, user) = auth.validate_session_user(token).await.unwrap().unwrap();
    assert_eq!((found.id(), found.created_at()), (session.id(), session.created_at()));
    assert_eq!(user.into_inner(), lookalike);
}
