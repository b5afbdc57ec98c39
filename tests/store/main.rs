//! The stores of the crate: their conformance, and the schema of their databases.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod app_tables;
mod columns;
mod conformance;
mod foreign_keys_off;
mod ids;
mod loader;
mod newest;
mod query_errors;
#[cfg(feature = "redis")]
mod redis;
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server_schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod servers;
mod sqlite;
mod two_types;
mod versions;

use locals::{AuthUser, UserId, UserKey, WrongIdKind, store::SqlStore};
use sqlx::{AssertSqlSafe, Database, Sqlite};
use tempfile::TempDir;

/// A user with any type of id.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Account<I> {
    id: I,
}

impl<I: Key> AuthUser for Account<I> {
    type Id = I;

    const ID_COLUMN: &'static str = "id";
    const TABLE: &'static str = "accounts";

    fn id(&self) -> &I {
        &self.id
    }
}

/// A type of id.
trait Key: UserKey + TryFrom<UserId, Error = WrongIdKind> + Unpin + Send + Sync + 'static {}

impl<K: UserKey + TryFrom<UserId, Error = WrongIdKind> + Unpin + Send + Sync + 'static> Key for K {}

/// An id in a database, and how its column is usually declared there.
trait KeyIn<D: Database>:
    Key + sqlx::Type<D> + for<'a> sqlx::Encode<'a, D> + for<'a> sqlx::Decode<'a, D>
{
    const DECLARED: &'static str;
}

macro_rules! keys {
    ($($database:ident: $($key:ty = $declared:literal),+;)+) => {$($(
        impl KeyIn<sqlx::$database> for $key {
            const DECLARED: &'static str = $declared;
        }
    )+)+};
}

keys! {
    Sqlite: i64 = "INTEGER", i32 = "INTEGER", String = "TEXT", uuid::Uuid = "BLOB";
}

#[cfg(feature = "postgres")]
keys! {
    Postgres: i64 = "BIGINT", i32 = "INTEGER", i16 = "SMALLINT", String = "TEXT", uuid::Uuid = "UUID";
}

// Ids that differ by case or by white space differ under this collation alone.
#[cfg(feature = "mysql")]
keys! {
    MySql: i64 = "BIGINT",
        i32 = "INT",
        u64 = "BIGINT UNSIGNED",
        String = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
        uuid::Uuid = "BINARY(16)";
}

/// A database in a file of its own, made by this SQL; the directory goes when it is dropped.
async fn database<I: Key>(sql: &str) -> (TempDir, SqlStore<Sqlite, Account<I>>) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("app.db");
    let store = SqlStore::sqlite(&format!("sqlite://{}", path.display())).await.unwrap();
    run(&store, sql).await;
    (directory, store)
}

/// A database of its own on a server; it goes when it is dropped.
#[cfg(feature = "postgres")]
async fn postgres<U: AuthUser>()
-> (servers::TestDatabase<sqlx::Postgres>, SqlStore<sqlx::Postgres, U>) {
    let database = servers::TestDatabase::new().await;
    let store = SqlStore::postgres(&database.url()).await.unwrap();
    (database, store)
}

#[cfg(feature = "mysql")]
async fn mysql<U: AuthUser>() -> (servers::TestDatabase<sqlx::MySql>, SqlStore<sqlx::MySql, U>) {
    let database = servers::TestDatabase::new().await;
    let store = SqlStore::mysql(&database.url()).await.unwrap();
    (database, store)
}

/// Runs statements that the app itself would run.
async fn run<T: AuthUser>(store: &SqlStore<Sqlite, T>, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(store.pool()).await;
    done.unwrap_or_else(|error| panic!("{error} in: {sql}"));
}

/// Panics if what is searched holds eight bytes in a row of a secret, as they are or in hexadecimal.
fn assert_no_part_of(secret: &[u8], holds: impl Fn(&[u8]) -> bool) {
    for part in secret.windows(8) {
        assert!(!holds(part), "eight bytes of the secret are there");
        let hex = format!("{:016x}", u64::from_be_bytes(part.try_into().unwrap()));
        assert!(!holds(hex.as_bytes()), "the secret is there in hexadecimal");
        assert!(!holds(hex.to_uppercase().as_bytes()), "the secret is there in hexadecimal");
    }
}
