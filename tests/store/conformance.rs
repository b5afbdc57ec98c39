//! The published suite, run on each store with each type of id.

use std::marker::PhantomData;

use locals::{
    UserId,
    store::{
        MemoryStore, SqlStore,
        suite::{Harness, store_suite},
    },
};
use sqlx::{AssertSqlSafe, Sqlite};
use tempfile::TempDir;

use crate::{Account, Key};

struct Memory<I>(PhantomData<I>);

impl<I: Key> Harness for Memory<I> {
    type Store = MemoryStore<Account<I>>;
    type User = Account<I>;

    async fn store(&self) -> Self::Store {
        MemoryStore::new()
    }

    async fn add_user(&self, store: &Self::Store, id: UserId) {
        store.insert_user(Account { id: id.try_into().expect("an id of this type") });
    }

    async fn remove_user(&self, store: &Self::Store, id: UserId) {
        store.remove_user(id);
    }
}

struct Database<I> {
    url: String,
    /// Removed with the harness.
    _directory: Option<TempDir>,
    id: PhantomData<I>,
}

impl<I: Key> Database<I> {
    fn in_a_file() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let url = format!("sqlite://{}", directory.path().join("app.db").display());
        Self { url, _directory: Some(directory), id: PhantomData }
    }

    fn in_memory() -> Self {
        Self { url: "sqlite::memory:".to_owned(), _directory: None, id: PhantomData }
    }
}

impl<I: Key> Harness for Database<I> {
    type Store = SqlStore<Sqlite, Account<I>>;
    type User = Account<I>;

    async fn store(&self) -> Self::Store {
        let store = SqlStore::sqlite(&self.url).await.expect("a database");
        let users = format!("CREATE TABLE accounts (id {} NOT NULL PRIMARY KEY)", I::DECLARED);
        let made = sqlx::query(AssertSqlSafe(users)).execute(store.pool()).await;
        made.expect("a table of users");
        store.migrate().await.expect("a table of sessions");
        store
    }

    async fn add_user(&self, store: &Self::Store, id: UserId) {
        let id: I = id.try_into().expect("an id of this type");
        let added = sqlx::query("INSERT INTO accounts (id) VALUES (?)").bind(id);
        added.execute(store.pool()).await.expect("a new user");
    }

    async fn remove_user(&self, store: &Self::Store, id: UserId) {
        let id: I = id.try_into().expect("an id of this type");
        let removed = sqlx::query("DELETE FROM accounts WHERE id = ?").bind(id);
        removed.execute(store.pool()).await.expect("a user to remove");
    }
}

macro_rules! suites {
    ($($name:ident: $harness:expr;)+) => {$(
        mod $name {
            use super::*;

            store_suite!($harness);
        }
    )+};
}

suites! {
    memory_i64: Memory::<i64>(PhantomData);
    memory_i32: Memory::<i32>(PhantomData);
    memory_text: Memory::<String>(PhantomData);
    memory_uuid: Memory::<uuid::Uuid>(PhantomData);
    sqlite_i64: Database::<i64>::in_a_file();
    sqlite_i32: Database::<i32>::in_a_file();
    sqlite_text: Database::<String>::in_a_file();
    sqlite_uuid: Database::<uuid::Uuid>::in_a_file();
    sqlite_in_memory: Database::<i64>::in_memory();
}
