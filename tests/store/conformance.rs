//! The published suite, run on each store with each type of id.

use std::marker::PhantomData;

use locals::{
    UserId,
    store::{
        MemoryStore, SqlStore,
        suite::{Harness, store_suite},
    },
};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use crate::{Account, Key, KeyIn};

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

/// SQLite, in a file that goes with the harness or in memory.
struct InSqlite<I> {
    url: String,
    _directory: Option<TempDir>,
    id: PhantomData<I>,
}

impl<I> InSqlite<I> {
    fn in_a_file() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let url = format!("sqlite://{}", directory.path().join("app.db").display());
        Self { url, _directory: Some(directory), id: PhantomData }
    }

    fn in_memory() -> Self {
        Self { url: "sqlite::memory:".to_owned(), _directory: None, id: PhantomData }
    }
}

/// A server, in a database that goes with the harness.
#[cfg(any(feature = "postgres", feature = "mysql"))]
struct OnServer<D: crate::servers::Server, I> {
    database: std::cell::OnceCell<crate::servers::TestDatabase<D>>,
    id: PhantomData<I>,
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl<D: crate::servers::Server, I> OnServer<D, I> {
    fn new() -> Self {
        Self { database: std::cell::OnceCell::new(), id: PhantomData }
    }

    async fn url(&self) -> String {
        let database = crate::servers::TestDatabase::new().await;
        self.database.get_or_init(|| database).url()
    }
}

/// The same harness for each database but for how a store is opened and what a parameter is.
macro_rules! sql_harness {
    ($harness:ty, $database:ident, $parameter:literal, |$this:ident| $open:expr) => {
        impl<I: KeyIn<sqlx::$database>> Harness for $harness {
            type Store = SqlStore<sqlx::$database, Account<I>>;
            type User = Account<I>;

            async fn store(&self) -> Self::Store {
                let $this = self;
                let store: Self::Store = $open.expect("a database");
                let sql =
                    format!("CREATE TABLE accounts (id {} NOT NULL PRIMARY KEY)", I::DECLARED);
                let made = sqlx::query(AssertSqlSafe(sql)).execute(store.pool()).await;
                made.expect("a table of users");
                store.migrate().await.expect("a table of sessions");
                store
            }

            async fn add_user(&self, store: &Self::Store, id: UserId) {
                let id: I = id.try_into().expect("an id of this type");
                let sql = concat!("INSERT INTO accounts (id) VALUES (", $parameter, ")");
                let added = sqlx::query(sql).bind(id).execute(store.pool()).await;
                added.expect("a new user");
            }

            async fn remove_user(&self, store: &Self::Store, id: UserId) {
                let id: I = id.try_into().expect("an id of this type");
                let sql = concat!("DELETE FROM accounts WHERE id = ", $parameter);
                let removed = sqlx::query(sql).bind(id).execute(store.pool()).await;
                removed.expect("a user to remove");
            }
        }
    };
}

sql_harness!(InSqlite<I>, Sqlite, "?", |this| SqlStore::sqlite(&this.url).await);

#[cfg(feature = "postgres")]
sql_harness!(OnServer<sqlx::Postgres, I>, Postgres, "$1", |this| {
    SqlStore::postgres(&this.url().await).await
});

#[cfg(feature = "mysql")]
sql_harness!(OnServer<sqlx::MySql, I>, MySql, "?", |this| SqlStore::mysql(&this.url().await).await);

macro_rules! suites {
    ($($name:ident: $harness:expr;)+) => {$(
        mod $name {
            use super::*;

            store_suite!($harness);
        }
    )+};
}

#[cfg(feature = "redis")]
pub(crate) use suites;

suites! {
    memory_i64: Memory::<i64>(PhantomData);
    memory_i32: Memory::<i32>(PhantomData);
    memory_u64: Memory::<u64>(PhantomData);
    memory_text: Memory::<String>(PhantomData);
    memory_uuid: Memory::<uuid::Uuid>(PhantomData);
    sqlite_i64: InSqlite::<i64>::in_a_file();
    sqlite_i32: InSqlite::<i32>::in_a_file();
    sqlite_text: InSqlite::<String>::in_a_file();
    sqlite_uuid: InSqlite::<uuid::Uuid>::in_a_file();
    sqlite_in_memory: InSqlite::<i64>::in_memory();
}

#[cfg(feature = "postgres")]
suites! {
    postgres_i64: OnServer::<sqlx::Postgres, i64>::new();
    postgres_i32: OnServer::<sqlx::Postgres, i32>::new();
    postgres_i16: OnServer::<sqlx::Postgres, i16>::new();
    postgres_text: OnServer::<sqlx::Postgres, String>::new();
    postgres_uuid: OnServer::<sqlx::Postgres, uuid::Uuid>::new();
}

#[cfg(feature = "mysql")]
suites! {
    mysql_i64: OnServer::<sqlx::MySql, i64>::new();
    mysql_i32: OnServer::<sqlx::MySql, i32>::new();
    mysql_u64: OnServer::<sqlx::MySql, u64>::new();
    mysql_text: OnServer::<sqlx::MySql, String>::new();
    mysql_uuid: OnServer::<sqlx::MySql, uuid::Uuid>::new();
}

macro_rules! newest {
    ($($name:ident: $harness:expr;)+) => {$(
        #[actix_web::test]
        async fn $name() {
            crate::newest::remain(&$harness, Account { id: 1 }).await;
        }
    )+};
}

newest! {
    simultaneous_logins_leave_the_newest_sessions_in_memory: Memory::<i64>(PhantomData);
    simultaneous_logins_leave_the_newest_sessions_on_sqlite: InSqlite::<i64>::in_a_file();
}

#[cfg(feature = "postgres")]
newest! {
    simultaneous_logins_leave_the_newest_sessions_on_postgres:
        OnServer::<sqlx::Postgres, i64>::new();
}

#[cfg(feature = "mysql")]
newest! {
    simultaneous_logins_leave_the_newest_sessions_on_mysql: OnServer::<sqlx::MySql, i64>::new();
}
