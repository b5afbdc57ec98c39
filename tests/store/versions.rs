//! Nodes of two versions on one database: what each version had as its table of sessions, and what its
//! statements do on the table of today.

use locals::{
    SessionId,
    store::{SessionStore, SqlStore},
};
use sqlx::AssertSqlSafe;

use crate::Account;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::servers::TestDatabase;

/// A column of the table: its name, what stands behind its type, and what a version writes there.
type Column = (&'static str, Kind, &'static str, &'static str);

#[derive(Clone, Copy)]
enum Kind {
    Id,
    Hash,
    Rotation,
    Integer,
    Text,
    Data,
}

/// The columns that each version has added, the first version first.
const VERSIONS: &[&[Column]] = &[
    &[
        ("id", Kind::Id, "NOT NULL PRIMARY KEY", "{id}"),
        ("secret_hash", Kind::Hash, "NOT NULL", "{hash}"),
        ("user_id", Kind::Integer, "NOT NULL", "1"),
        ("created_at", Kind::Integer, "NOT NULL", "7"),
        ("active_expires_at", Kind::Integer, "NOT NULL", "8"),
        ("idle_expires_at", Kind::Integer, "NOT NULL", "9"),
        ("absolute_expires_at", Kind::Integer, "NOT NULL", "10"),
    ],
    &[
        ("authenticated_at", Kind::Integer, "NOT NULL", "7"),
        ("user_agent", Kind::Text, "", "'curl'"),
        ("address", Kind::Text, "", "NULL"),
    ],
    &[
        ("renewed_at", Kind::Integer, "NOT NULL", "7"),
        ("active_period", Kind::Integer, "", "NULL"),
        ("idle_period", Kind::Integer, "", "NULL"),
        ("is_persistent", Kind::Integer, "NOT NULL DEFAULT 1", "1"),
        ("actor_session", Kind::Id, "", "NULL"),
        ("data_revision", Kind::Integer, "NOT NULL DEFAULT 0", "0"),
        ("rotation", Kind::Rotation, "", "NULL"),
        ("data", Kind::Data, "", "'{}'"),
    ],
    &[("credential", Kind::Hash, "", "NULL")],
];

/// The columns of one version.
fn columns(version: usize) -> impl Iterator<Item = Column> {
    VERSIONS[..=version].iter().flat_map(|added| added.iter().copied())
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// The `INSERT` of one version, for a session with this number.
fn insert(version: usize, number: u8, bytes: fn(u8, usize) -> String) -> String {
    let names = joined(columns(version).map(|(name, ..)| name.to_owned()));
    let values = joined(columns(version).map(|(.., value)| {
        value.replace("{id}", &bytes(number, 16)).replace("{hash}", &bytes(number, 32))
    }));
    format!("INSERT INTO user_sessions ({names}) VALUES ({values})")
}

macro_rules! versions {
    ($module:ident, $database:ty, $place:ty, $open:expr, $types:expr, $bytes:expr, $rest:literal) => {
        mod $module {
            use super::*;

            fn declared(kind: Kind) -> &'static str {
                let types: [&str; 6] = $types;
                types[kind as usize]
            }

            fn bytes(number: u8, length: usize) -> String {
                let digits = format!("{number:02x}").repeat(length);
                $bytes.replace("{}", &digits)
            }

            async fn run(store: &SqlStore<$database, Account<i64>>, sql: &str) -> u64 {
                let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(store.pool()).await;
                done.unwrap_or_else(|error| panic!("{error} in: {sql}")).rows_affected()
            }

            #[actix_web::test]
            async fn each_earlier_version_keeps_working_on_the_table_of_this_one() {
                for version in 0..VERSIONS.len() {
                    let (_place, store): ($place, SqlStore<$database, Account<i64>>) = $open.await;
                    let table =
                        joined(columns(version).map(|(name, kind, rest, _)| {
                            format!("{name} {} {rest}", declared(kind))
                        }));
                    run(&store, "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY)").await;
                    run(&store, "INSERT INTO accounts VALUES (1)").await;
                    run(
                        &store,
                        &format!(
                            "CREATE TABLE user_sessions ({table}, FOREIGN KEY (user_id) \
                             REFERENCES accounts (id) ON DELETE CASCADE){}",
                            $rest
                        ),
                    )
                    .await;
                    run(&store, &insert(version, 1, bytes)).await;
                    // This version starts beside the other.
                    store.migrate().await.unwrap();
                    store.check().await.unwrap();
                    store.migrate().await.unwrap();

                    // What the other goes on to do, and what this one makes of it.
                    assert_eq!(run(&store, &insert(version, 2, bytes)).await, 1, "{version}");
                    for number in [1, 2] {
                        let id = SessionId::from_bytes([number; 16]);
                        let found = store.find(id).await.unwrap().unwrap();
                        assert_eq!(found.idle_expires_at.as_millis(), 9, "{version}");
                        let names = joined(columns(version).map(|(name, ..)| name.to_owned()));
                        let key = bytes(number, 16);
                        let one = format!("FROM user_sessions WHERE id = {key}");
                        let read = sqlx::query(AssertSqlSafe(format!("SELECT {names} {one}")));
                        assert_eq!(read.fetch_all(store.pool()).await.unwrap().len(), 1);
                        let renew = format!(
                            "UPDATE user_sessions SET active_expires_at = 18, idle_expires_at = 19 \
                             WHERE id = {key} AND active_expires_at = 8"
                        );
                        assert_eq!(run(&store, &renew).await, 1, "{version}");
                        let found = store.find(id).await.unwrap().unwrap();
                        assert_eq!(found.idle_expires_at.as_millis(), 19, "{version}");
                        assert_eq!(run(&store, &format!("DELETE {one}")).await, 1, "{version}");
                        assert!(store.find(id).await.unwrap().is_none(), "{version}");
                    }
                }
            }
        }
    };
}

versions!(
    sqlite,
    sqlx::Sqlite,
    (),
    async { ((), SqlStore::sqlite("sqlite::memory:").await.unwrap()) },
    ["BLOB", "BLOB", "BLOB", "INTEGER", "TEXT", "TEXT"],
    "x'{}'",
    " WITHOUT ROWID"
);

#[cfg(feature = "postgres")]
versions!(
    postgres,
    sqlx::Postgres,
    TestDatabase<sqlx::Postgres>,
    crate::postgres(),
    ["BYTEA", "BYTEA", "BYTEA", "BIGINT", "TEXT", "TEXT"],
    r"'\x{}'",
    ""
);

#[cfg(feature = "mysql")]
versions!(
    mysql,
    sqlx::MySql,
    TestDatabase<sqlx::MySql>,
    crate::mysql(),
    ["BINARY(16)", "BINARY(32)", "BINARY(72)", "BIGINT", "VARCHAR(255)", "MEDIUMTEXT"],
    "x'{}'",
    ""
);
