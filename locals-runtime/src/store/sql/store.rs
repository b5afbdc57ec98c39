//! The store: a pool, the names of its tables, and its statements.

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

/// Sessions in the table `user_sessions`, and guests in `guest_sessions`, in the database that
/// holds the app's users; in others, where [`AuthUser::SESSIONS`] names one.
///
/// A session and its user are read by one query, a join of two primary keys; the user is
/// decoded by the app's own `FromRow`.
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
    /// What clones have in common.
    pub(super) shared: Arc<Shared>,
    user: PhantomData<fn() -> T>,
}

/// How a user is made of a row.
pub(crate) type ReadRow<D, T> = fn(&<D as sqlx::Database>::Row) -> sqlx::Result<T>;

/// For how long it is believed that all connections lead to servers that only read. Until then a write
/// tries one other, and leaves the rest to readers.
const DEMOTION_LASTS: Duration = Duration::from_secs(1);

pub(super) struct Shared {
    pub names: Names,
    pub statements: Statements,
    pub has_foreign_key: bool,
    /// What is known of the app's own table.
    pub users: RwLock<Option<Arc<UserStatements>>>,
    /// Held by who reads that anew.
    pub is_reading_users: tokio::sync::Mutex<()>,
    /// Whether a user is made of more columns than their type says.
    pub reads_all_columns: AtomicBool,
    /// Whose turn it is to write.
    pub write_permits: Arc<Semaphore>,
    /// Whether the way to the server was examined when the pool was opened.
    pub is_examined: bool,
    /// When all connections turned out to lead to servers that only read.
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
            is_reading_users: tokio::sync::Mutex::default(),
            reads_all_columns: AtomicBool::new(false),
            write_permits: Arc::new(Semaphore::new(D::SQL.writers)),
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
    /// A store in the database of a pool that the app has opened itself.
    ///
    /// It is used as it is; [`check`](Self::check) and [`migrate`](Self::migrate) refuse one whose
    /// connections have settings that sessions cannot live with. For those that they want, let the store
    /// open it, as by [`SqlStore::sqlite`] or [`SqlStore::sqlite_with`], and share it through
    /// [`SqlStore::pool`]. Not set otherwise are: how long a statement waits for a lock, by which requests
    /// that have given up may wait on in the server; on PostgreSQL `synchronous_commit`; and on MySQL a
    /// `begin` of the app that is dropped before it is answered gives back a connection that goes on to
    /// read what was there then.
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

    /// The same store for a database in which `user_sessions` cannot have a foreign key to the users: the
    /// table of users is a view, or distributed, or the service has none, such as Vitess.
    ///
    /// The sessions of users who are gone open nothing all the same, because they are read together with
    /// their users. But the rows stay until they expire; on SQLite, the triggers are left out, too. And
    /// if an id is given to another user, the old sessions become theirs: so let ids never come again, or
    /// end a user's sessions where you delete them.
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

    /// The pool, for the app's own queries.
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
