//! The stores of the crate: their conformance, and the schema of SQLite.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod conformance;
mod schema;
mod sqlite;

use locals::{AuthUser, UserId, UserKey, WrongIdKind, store::SqlStore};
use sqlx::{AssertSqlSafe, Sqlite};
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

/// An id, and how its column is declared.
trait Key:
    UserKey
    + TryFrom<UserId, Error = WrongIdKind>
    + sqlx::Type<Sqlite>
    + for<'a> sqlx::Encode<'a, Sqlite>
    + for<'a> sqlx::Decode<'a, Sqlite>
    + Unpin
    + Send
    + Sync
    + 'static
{
    const DECLARED: &'static str;
}

impl Key for i64 {
    const DECLARED: &'static str = "INTEGER";
}

impl Key for i32 {
    const DECLARED: &'static str = "INTEGER";
}

impl Key for String {
    const DECLARED: &'static str = "TEXT";
}

impl Key for uuid::Uuid {
    const DECLARED: &'static str = "BLOB";
}

/// A database in a file of its own, made by this SQL; the directory goes when it is dropped.
async fn database<I: Key>(sql: &str) -> (TempDir, SqlStore<Sqlite, Account<I>>) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("app.db");
    let store = SqlStore::sqlite(&format!("sqlite://{}", path.display())).await.unwrap();
    run(&store, sql).await;
    (directory, store)
}

/// Runs statements that the app itself would run.
async fn run<T: AuthUser>(store: &SqlStore<Sqlite, T>, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(store.pool()).await;
    done.unwrap_or_else(|error| panic!("{error} in: {sql}"));
}
