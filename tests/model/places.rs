//! Where sessions and users are kept, and what an app does to its users there.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
};

use locals::{
    AuthUser, UserId,
    store::{
        Dialect, MemoryStore, SessionStore, SessionUserStore, SqlStore, StoreFuture, UserLoader,
        WithLoader,
    },
};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use crate::{app::Account, command::USERS};

pub trait Place: Sized {
    type Store: SessionUserStore<Account>;

    /// Whether the users are somewhere else: then no foreign key takes sessions along, and who may
    /// not be logged in is not loaded.
    const USERS_ARE_APART: bool = false;

    fn new() -> impl Future<Output = Self>;

    /// The store, as a process finds it that starts now.
    fn open(&self) -> impl Future<Output = Self::Store>;

    /// Adds a user, or replaces the one with this id.
    fn put(&self, account: Account) -> impl Future<Output = ()>;

    fn remove(&self, user: i64) -> impl Future<Output = ()>;

    /// How many sessions are stored, whether they live or not.
    fn rows(&self) -> impl Future<Output = usize>;

    /// No sessions, and all users.
    fn clear(&self) -> impl Future<Output = ()> {
        async {
            for id in 1..=USERS {
                self.remove(id).await;
                self.put(Account { id, is_enabled: true }).await;
            }
        }
    }
}

pub struct Memory(MemoryStore<Account>);

impl Place for Memory {
    type Store = MemoryStore<Account>;

    async fn new() -> Self {
        Self(MemoryStore::new())
    }

    async fn open(&self) -> Self::Store {
        self.0.clone()
    }

    async fn put(&self, account: Account) {
        self.0.insert_user(account);
    }

    async fn remove(&self, user: i64) {
        self.0.remove_user(user);
    }

    async fn rows(&self) -> usize {
        rows(&self.0, UserId::from).await
    }
}

async fn rows<T: AuthUser>(store: &MemoryStore<T>, id: impl Fn(i64) -> UserId) -> usize {
    let mut rows = 0;
    for user in 1..=USERS {
        rows += store.list_by_user(&id(user)).await.unwrap().len();
    }
    rows
}

/// Sessions in one place, and users in another.
pub struct Apart {
    /// It knows of all users, always: for itself it would find no session without its user.
    sessions: MemoryStore<Known>,
    directory: Directory,
}

/// A user as the store of sessions knows them: by a text that names their table.
#[derive(Clone, AuthUser)]
pub struct Known {
    id: String,
}

impl Known {
    fn of(user: i64) -> Self {
        Self { id: format!("accounts/i:{user}") }
    }
}

#[derive(Clone, Default)]
pub struct Directory(Arc<Mutex<BTreeMap<i64, Account>>>);

impl UserLoader<Account> for Directory {
    fn load(&self, id: i64) -> StoreFuture<'_, Option<Account>> {
        let account = self.0.lock().unwrap().get(&id).filter(|account| account.is_enabled).cloned();
        Box::pin(async move { Ok(account) })
    }
}

impl Place for Apart {
    type Store = WithLoader<MemoryStore<Known>, Directory, Account>;

    const USERS_ARE_APART: bool = true;

    async fn new() -> Self {
        Self { sessions: MemoryStore::new(), directory: Directory::default() }
    }

    async fn open(&self) -> Self::Store {
        WithLoader::new(self.sessions.clone(), self.directory.clone())
    }

    async fn put(&self, account: Account) {
        self.directory.0.lock().unwrap().insert(account.id, account);
    }

    async fn remove(&self, user: i64) {
        self.directory.0.lock().unwrap().remove(&user);
    }

    async fn rows(&self) -> usize {
        rows(&self.sessions, |user| Known::of(user).id.into()).await
    }

    async fn clear(&self) {
        for id in 1..=USERS {
            self.sessions.remove_user(Known::of(id).id);
            self.sessions.insert_user(Known::of(id));
            self.put(Account { id, is_enabled: true }).await;
        }
    }
}

/// A database of its own.
pub struct Sql<D: Dialect, K> {
    url: String,
    store: SqlStore<D, Account>,
    /// Goes last, and the database with it.
    _keeper: K,
}

macro_rules! sql {
    ($database:ty, $keeper:ty, $open:ident, $make:expr) => {
        impl Place for Sql<$database, $keeper> {
            type Store = SqlStore<$database, Account>;

            async fn new() -> Self {
                let (keeper, url): ($keeper, String) = $make.await;
                let store = SqlStore::$open(&url).await.unwrap();
                let place = Self { url, store, _keeper: keeper };
                place
                    .run("CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, is_enabled BOOLEAN NOT NULL)")
                    .await;
                place.store.migrate().await.unwrap();
                place
            }

            async fn open(&self) -> Self::Store {
                SqlStore::$open(&self.url).await.unwrap()
            }

            async fn put(&self, Account { id, is_enabled }: Account) {
                let update = format!("UPDATE accounts SET is_enabled = {is_enabled} WHERE id = {id}");
                if self.run(&update).await == 0 {
                    self.run(&format!("INSERT INTO accounts VALUES ({id}, {is_enabled})")).await;
                }
            }

            async fn remove(&self, user: i64) {
                self.run(&format!("DELETE FROM accounts WHERE id = {user}")).await;
            }

            async fn rows(&self) -> usize {
                let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM user_sessions");
                count.fetch_one(self.store.pool()).await.unwrap().try_into().unwrap()
            }
        }

        impl Sql<$database, $keeper> {
            /// Says how many rows it changed.
            async fn run(&self, sql: &str) -> u64 {
                let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.store.pool()).await;
                done.unwrap_or_else(|error| panic!("{error} in: {sql}")).rows_affected()
            }
        }
    };
}

sql!(sqlx::Sqlite, TempDir, sqlite, async {
    let directory = TempDir::new().unwrap();
    let url = directory.path().join("app.db").display().to_string();
    (directory, url)
});

#[cfg(feature = "postgres")]
sql!(sqlx::Postgres, crate::servers::TestDatabase<sqlx::Postgres>, postgres, async {
    let database = crate::servers::TestDatabase::new().await;
    let url = database.url();
    (database, url)
});

#[cfg(feature = "mysql")]
sql!(sqlx::MySql, crate::servers::TestDatabase<sqlx::MySql>, mysql, async {
    let database = crate::servers::TestDatabase::new().await;
    let url = database.url();
    (database, url)
});
