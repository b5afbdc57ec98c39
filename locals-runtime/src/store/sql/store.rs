//! `SqlStore`: a pool, the names of the tables, and the statements.

use crate::{
    model::user::AuthUser,
    store::sql::{
        dialect::Statements, driver::Dialect, names::Names, user_statements::UserStatements,
    },
};
use sqlx::Pool;
use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// A store in the SQL database that holds the app's users. Sessions are kept in the table
/// `user_sessions` and guests in `guest_sessions`, unless [`AuthUser::SESSIONS`] names another table.
///
/// A session and its user are read by one query, a join on two primary keys. The user is decoded by
/// the app's own `FromRow`.
///
/// ```
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use locals::{Auth, AuthUser, store::SqlStore};
///
/// #[derive(sqlx::FromRow, AuthUser)]
/// #[auth_user(table = "accounts")]
/// struct Account { id: i64, email: String }
///
/// let store = SqlStore::sqlite("sqlite://app.db").await?;
/// let accounts = "CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT)";
/// sqlx::query(accounts)
///     .execute(store.pool())
///     .await?;
/// store.migrate().await?;
/// let auth = Auth::<Account>::builder(store).build()?;
/// # Ok(())
/// # }
/// ```
pub struct SqlStore<D: Dialect, T> {
    pub(super) pool: Pool<D>,
    /// The state that clones share.
    pub(super) shared: Arc<Shared>,
    user: PhantomData<fn() -> T>,
}

/// Decodes a user from a row.
pub(crate) type ReadRow<D, T> = fn(&<D as sqlx::Database>::Row) -> sqlx::Result<T>;

/// How long the store assumes that all connections lead to read-only servers. During that time a write
/// tries only one other connection, and leaves the rest to readers.
const DEMOTION_LASTS: Duration = Duration::from_secs(1);

pub(super) struct Shared {
    pub names: Names,
    pub statements: Statements,
    pub has_foreign_key: bool,
    /// The statements for the app's own table, once its columns are known.
    pub users: RwLock<Option<Arc<UserStatements>>>,
    /// Held while the columns of the app's table are read.
    pub users_refresh: tokio::sync::Mutex<()>,
    /// Whether decoding a user needs more columns than its type names.
    pub reads_all_columns: AtomicBool,
    /// Limits the number of concurrent writes.
    pub writers: Arc<Semaphore>,
    /// Whether the connection to the server was checked when the pool was opened.
    pub is_examined: bool,
    /// When all connections were last found to lead to read-only servers.
    pub demoted: Mutex<Option<Instant>>,
}

impl Shared {
    fn new<D: Dialect, T: AuthUser>(has_foreign_key: bool, is_examined: bool) -> Self {
        let names = Names::of::<T>(D::SQL.quote);
        Self {
            statements: D::SQL.statements(&names, has_foreign_key),
            names,
            has_foreign_key,
            users: RwLock::default(),
            users_refresh: tokio::sync::Mutex::default(),
            reads_all_columns: AtomicBool::new(false),
            writers: Arc::new(Semaphore::new(D::SQL.writers)),
            is_examined,
            demoted: Mutex::default(),
        }
    }

    pub fn read_all_columns(&self) {
        self.reads_all_columns.store(true, Ordering::Relaxed);
    }

    pub fn is_reading_all_columns(&self) -> bool {
        self.reads_all_columns.load(Ordering::Relaxed)
    }

    pub fn note_demotion(&self) {
        if let Ok(mut demoted) = self.demoted.lock() {
            *demoted = Some(Instant::now());
        }
    }

    pub fn is_demoted(&self) -> bool {
        let demoted = self.demoted.lock().ok().and_then(|demoted| *demoted);
        demoted.is_some_and(|since| since.elapsed() < DEMOTION_LASTS)
    }
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Creates a store on a pool that the app has opened itself.
    ///
    /// The pool is used as it is. [`check`](Self::check) and [`migrate`](Self::migrate) return an error
    /// if its connections have settings that are unsafe for sessions. To get the recommended settings, let
    /// the store open the pool, for example by [`SqlStore::sqlite`] or [`SqlStore::sqlite_with`], and share
    /// it through [`SqlStore::pool`]. With a pool of your own, these are not set:
    ///
    /// - how long a statement waits for a lock: after a request has timed out, its statement may go on
    ///   waiting in the server;
    /// - on PostgreSQL, `synchronous_commit`;
    /// - on MySQL, the rollback of a connection that returns to the pool: if a `begin` of the app
    ///   is dropped before the server has answered it, the connection keeps reading the old
    ///   snapshot.
    ///
    /// ```
    /// # use locals::{AuthUser, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # fn example(pool: sqlx::SqlitePool) {
    /// let store = SqlStore::<_, Account>::new(pool);
    /// # }
    /// ```
    pub fn new(pool: Pool<D>) -> Self {
        Self::with(pool, true, false)
    }

    pub(super) fn with(pool: Pool<D>, has_foreign_key: bool, is_examined: bool) -> Self {
        let shared = Arc::new(Shared::new::<D, T>(has_foreign_key, is_examined));
        Self { pool, shared, user: PhantomData }
    }

    /// Returns the store without a foreign key from `user_sessions` to the users. Use it if the table of
    /// users is a view or is distributed, or if the service has no foreign keys, such as Vitess.
    ///
    /// Sessions of deleted users are still not accepted, because they are read together with their users.
    /// But their rows stay until they expire. On SQLite, the triggers are left out, too. If an id is
    /// reused for another user, that user takes over the old sessions: never reuse ids, or end a user's
    /// sessions when you delete the user.
    ///
    /// Call it before the store is cloned.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example() -> Result<(), StoreError> {
    /// let store = SqlStore::<_, Account>::sqlite("sqlite://app.db").await?.without_foreign_keys();
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_foreign_keys(self) -> Self {
        Self::with(self.pool, false, self.shared.is_examined)
    }

    /// Returns the pool, for the app's own queries.
    pub fn pool(&self) -> &Pool<D> {
        &self.pool
    }
}

impl<D: Dialect, T> Clone for SqlStore<D, T> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), shared: Arc::clone(&self.shared), user: PhantomData }
    }
}

impl<D: Dialect, T> fmt::Debug for SqlStore<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("database", &D::NAME).finish_non_exhaustive()
    }
}
