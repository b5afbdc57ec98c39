//! Types of ids and names of tables, on servers, and on SQLite beside them.

use locals::{
    AuthUser, StoreError,
    store::{SessionUserStore, SqlStore},
};
use sqlx::{AssertSqlSafe, Database, FromRow};
use uuid::{Uuid, fmt::Hyphenated};

use crate::{Account, Key, ids::create_use_and_end_sessions, servers::TestDatabase};

/// A user whose UUID is kept as text.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Textual {
    #[sqlx(try_from = "Hyphenated")]
    id: Uuid,
    name: String,
}

/// A user whose UUID is kept as the driver has it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Binary {
    id: Uuid,
    name: String,
}

/// The same for PostgreSQL, whose driver has no text for UUIDs.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Spelled {
    #[sqlx(try_from = "String")]
    id: Uuid,
    name: String,
}

/// A user of a table in a schema of its own.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "auth.accounts")]
struct Elsewhere {
    id: i64,
    name: String,
}

const ADA: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const BOB: Uuid = Uuid::from_u128(0xfedc_ba98_7654_3210_fedc_ba98_7654_3210);

fn textual() -> [Textual; 2] {
    [(ADA, "Ada"), (BOB, "Bob")].map(|(id, name)| Textual { id, name: name.to_owned() })
}

fn binary() -> [Binary; 2] {
    textual().map(|Textual { id, name }| Binary { id, name })
}

/// Statements that make a table with two users.
fn accounts(declared: &str, ids: [&str; 2]) -> String {
    let [ada, bob] = ids;
    format!(
        "CREATE TABLE accounts (name VARCHAR(64) NOT NULL, id {declared} NOT NULL PRIMARY KEY); \
         INSERT INTO accounts VALUES ('Ada', {ada}), ('Bob', {bob})"
    )
}

const TEXTS: [&str; 2] =
    ["'01234567-89ab-cdef-0123-456789abcdef'", "'fedcba98-7654-3210-fedc-ba9876543210'"];
const BYTES: [&str; 2] =
    ["x'0123456789abcdef0123456789abcdef'", "x'fedcba9876543210fedcba9876543210'"];

/// What `migrate` and `check` say of a column that the id in Rust does not fit.
fn refusal(declared: &str, kind: &str) -> String {
    format!("`accounts.id` is {declared}, but the user's id in Rust is {kind}: change one of them")
}

fn complaint(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(StoreError::Schema(complaint)) => complaint,
        other => panic!("{other:?}"),
    }
}

/// The same helpers for each kind of database but for how one is opened.
macro_rules! helpers {
    ($database:ty, $place:ty, $open:expr) => {
        /// A store in a database of its own, in which this SQL has been run.
        async fn store<T: AuthUser>(sql: &str) -> ($place, SqlStore<$database, T>) {
            let (place, store): (_, SqlStore<$database, T>) = $open.await;
            let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(store.pool()).await;
            done.unwrap_or_else(|error| panic!("{error} in: {sql}"));
            (place, store)
        }

        async fn uuids_as<T>(declared: &str, ids: [&str; 2], users: [T; 2])
        where
            T: AuthUser<Id = Uuid> + Clone + std::fmt::Debug + PartialEq,
            SqlStore<$database, T>: SessionUserStore<T>,
        {
            let (_place, store) = store::<T>(&accounts(declared, ids)).await;
            store.migrate().await.unwrap();
            store.migrate().await.unwrap();
            store.check().await.unwrap();
            create_use_and_end_sessions(store, users).await;
        }

        async fn is_refused<I: Key>(declared: &str, named: &str, kind: &str) {
            let table = format!("CREATE TABLE accounts (id {declared} NOT NULL PRIMARY KEY)");
            let (_place, store) = store::<Account<I>>(&table).await;
            let name = <$database as Database>::NAME;
            let expected = refusal(named, kind);
            assert_eq!(complaint(store.migrate().await), expected, "{name}");
            assert_eq!(complaint(store.check().await), expected, "{name}");
        }
    };
}

mod sqlite {
    use super::*;

    helpers!(sqlx::Sqlite, (), async { ((), SqlStore::sqlite("sqlite::memory:").await.unwrap()) });

    #[actix_web::test]
    async fn uuids_may_be_kept_as_text() {
        for declared in ["TEXT", "CHAR(36)", "VARCHAR(36)"] {
            uuids_as(declared, TEXTS, textual()).await;
        }
    }

    #[actix_web::test]
    async fn uuids_may_be_kept_as_bytes() {
        for declared in ["BLOB", "UUID"] {
            uuids_as(declared, BYTES, binary()).await;
        }
    }

    #[actix_web::test]
    async fn ids_of_another_kind_than_the_column_are_refused() {
        is_refused::<i64>("TEXT", "TEXT", "an integer").await;
        is_refused::<String>("INTEGER", "INTEGER", "a `String`").await;
        is_refused::<Uuid>("INTEGER", "INTEGER", "a `Uuid`").await;
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;

    helpers!(sqlx::Postgres, TestDatabase<sqlx::Postgres>, crate::postgres());

    #[actix_web::test]
    async fn uuids_may_be_kept_as_text() {
        for declared in ["TEXT", "CHAR(36)", "VARCHAR(36)"] {
            let users = textual().map(|Textual { id, name }| Spelled { id, name });
            uuids_as(declared, TEXTS, users).await;
        }
    }

    #[actix_web::test]
    async fn uuids_may_be_kept_as_uuids() {
        uuids_as("UUID", TEXTS, binary()).await;
    }

    #[actix_web::test]
    async fn ids_of_another_kind_than_the_column_are_refused() {
        is_refused::<i64>("TEXT", "text", "an integer").await;
        is_refused::<i32>("VARCHAR(20)", "character varying(20)", "an integer").await;
        is_refused::<i64>("UUID", "uuid", "an integer").await;
        is_refused::<String>("INTEGER", "integer", "a `String`").await;
        is_refused::<String>("UUID", "uuid", "a `String`").await;
        is_refused::<Uuid>("BIGINT", "bigint", "a `Uuid`").await;
    }

    #[actix_web::test]
    async fn the_table_of_users_may_be_in_another_schema() {
        let (_database, store) = store::<Elsewhere>(
            "CREATE SCHEMA auth; \
             CREATE TABLE auth.accounts (id BIGINT PRIMARY KEY, name TEXT NOT NULL); \
             CREATE TABLE accounts (id TEXT PRIMARY KEY); \
             INSERT INTO auth.accounts VALUES (7, 'Ada'), (8, 'Bob')",
        )
        .await;
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        let users = [(7, "Ada"), (8, "Bob")];
        let users = users.map(|(id, name)| Elsewhere { id, name: name.to_owned() });
        create_use_and_end_sessions(store, users).await;
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use super::*;

    helpers!(sqlx::MySql, TestDatabase<sqlx::MySql>, crate::mysql());

    #[actix_web::test]
    async fn uuids_may_be_kept_as_text() {
        for declared in ["CHAR(36)", "VARCHAR(36)", "CHAR(36) CHARACTER SET ascii"] {
            uuids_as(declared, TEXTS, textual()).await;
        }
    }

    #[actix_web::test]
    async fn uuids_may_be_kept_as_bytes() {
        uuids_as("BINARY(16)", BYTES, binary()).await;
    }

    #[actix_web::test]
    async fn ids_of_another_kind_than_the_column_are_refused() {
        let text = "varchar(20) CHARACTER SET latin1 COLLATE latin1_bin";
        is_refused::<i64>(text, text, "an integer").await;
        is_refused::<i32>(text, text, "an integer").await;
        is_refused::<String>("TINYINT(1)", "tinyint(1)", "a `String`").await;
        is_refused::<Uuid>("TINYINT(1)", "tinyint(1)", "a `Uuid`").await;
    }
}
