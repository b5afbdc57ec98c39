//! Sessions, and guests, in tables beside the app's own users.

use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, FromRow, Pool, SqlSafeStr, SqlStr,
    error::{DatabaseError, ErrorKind},
};
use tokio::sync::Semaphore;

use super::{End, Ends, SessionStore, SessionUserStore, StoreFuture, readable};
use crate::model::{
    error::{Error, StoreError},
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::Timestamp,
    user::AuthUser,
    user_id::UserId,
};

mod catalogue;
mod check;
mod dialect;
mod driver;
mod failure;
mod migrate;
mod names;
mod open;
#[cfg(feature = "postgres")]
mod pooler;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod reach;
mod record;
mod run;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod tls;
mod transaction;
mod users;
mod verbs;

use dialect::Statements;
pub use driver::Dialect;
use driver::Value;
pub(crate) use failure::advice;
use names::Names;
use record::{
    guest_values, hash_value, id_value, integer, read_guest, read_record, read_times,
    record_values, time, token_values,
};
use run::Step;
use users::Users;
pub use verbs::VerbSql;

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
    pool: Pool<D>,
    /// What clones have in common.
    shared: Arc<Shared>,
    user: PhantomData<fn() -> T>,
}

struct Shared {
    names: Names,
    statements: Statements,
    has_foreign_key: bool,
    /// What is known of the app's own table.
    users: RwLock<Option<Arc<Users>>>,
    /// Held by who reads that anew.
    is_reading_users: tokio::sync::Mutex<()>,
    /// Whether a user is made of more columns than their type says.
    reads_all_columns: AtomicBool,
    /// Whose turn it is to write.
    turns: Arc<Semaphore>,
    /// Whether the way to the server was examined when the pool was opened.
    is_examined: bool,
    /// When all connections turned out to lead to servers that only read.
    demoted: Mutex<Option<Instant>>,
}

/// How often a session is created for a user who is there although a foreign key says otherwise.
const CREATE_TRIES: u32 = 5;

/// For how long it is believed that all connections lead to servers that only read. Until then a write
/// tries one other, and leaves the rest to readers.
const DEMOTION_LASTS: Duration = Duration::from_secs(1);

impl Shared {
    fn new<D: Dialect, T: AuthUser>(has_foreign_key: bool, is_examined: bool) -> Self {
        let names = Names::of::<T>(D::SQL);
        Self {
            statements: D::SQL.statements(&names, has_foreign_key),
            names,
            has_foreign_key,
            users: RwLock::default(),
            is_reading_users: tokio::sync::Mutex::default(),
            reads_all_columns: AtomicBool::new(false),
            turns: Arc::new(Semaphore::new(D::SQL.writers)),
            is_examined,
            demoted: Mutex::default(),
        }
    }

    fn read_all_columns(&self) {
        self.reads_all_columns.store(true, Ordering::Relaxed);
    }

    fn is_reading_all_columns(&self) -> bool {
        self.reads_all_columns.load(Ordering::Relaxed)
    }

    fn note_demotion(&self) {
        if let Ok(mut demoted) = self.demoted.lock() {
            *demoted = Some(Instant::now());
        }
    }

    fn is_demoted(&self) -> bool {
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

    fn with(pool: Pool<D>, has_foreign_key: bool, is_examined: bool) -> Self {
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

    async fn delete_by_user_statement<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<&'a SessionId>,
    ) -> Result<(&'a SqlStr, Vec<Value<'a>>), StoreError> {
        let user = self.user_value(user).await?;
        Ok(match keep {
            None => (&self.shared.statements.delete_by_user, vec![user]),
            Some(keep) => (&self.shared.statements.delete_others, vec![user, id_value(keep)]),
        })
    }

    /// What the creation of a session consists of: the session itself, so that one that is refused
    /// has waited for nobody, and then its ends, in an order in which no two of them wait for each
    /// other.
    async fn create_steps<'a>(
        &'a self,
        session: &'a SessionRecord,
        ends: &'a Ends<'a>,
    ) -> Result<Vec<Step<'a>>, StoreError> {
        let user = self.user_value(&session.user_id).await?;
        let statements = &self.shared.statements;
        let values = self.create_values(session, user);
        let create = Step { sql: &statements.create, values, is_required: true };
        let mut sessions: Vec<_> = ends.sessions.iter().collect();
        sessions.sort_unstable_by_key(|end| end.id);
        let sessions = sessions
            .into_iter()
            .map(|end| end_step(end, &statements.delete, &statements.delete_unchanged));
        let guest = ends.guest.map(|change| Step {
            sql: &statements.write_guest,
            values: overwrite_values(change.record, change.replaces).into(),
            is_required: true,
        });
        Ok([create].into_iter().chain(sessions).chain(guest).collect())
    }

    async fn try_create(&self, steps: &[Step<'_>]) -> Result<bool, StoreError> {
        created(match steps {
            [step] => self.execute(step.sql, &step.values).await.map(first_refused),
            steps => self.execute_all(steps).await,
        })
    }

    /// Whether a user is there after all, of whom a foreign key has said that they are not: while
    /// `MariaDB` copies a table that is altered, its foreign keys find nobody in it.
    async fn is_there(&self, user: &UserId) -> Result<bool, StoreError> {
        let Some(question) = D::SQL.is_user_there.filter(|_| self.shared.has_foreign_key) else {
            return Ok(false);
        };
        let sql = AssertSqlSafe(self.shared.names.fill(question, &[])).into_sql_str();
        Ok(!self.fetch(&sql, &[self.user_value(user).await?]).await?.is_empty())
    }

    /// The values of `create`.
    fn create_values<'a>(&self, session: &'a SessionRecord, user: Value<'a>) -> Vec<Value<'a>> {
        let mut values = record_values(session, user);
        if D::SQL.repeats_user && !self.shared.has_foreign_key {
            values.push(user);
        }
        values
    }

    async fn row(&self, sql: &SqlStr, id: SessionId) -> Result<Option<D::Row>, StoreError> {
        Ok(self.fetch(sql, &[id_value(&id)]).await?.pop())
    }

    /// Runs a statement that changes one row or none, and says whether it did.
    async fn changes_one(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<bool, StoreError> {
        Ok(self.execute(sql, values).await? == 1)
    }
}

impl<D: Dialect, T: AuthUser> SessionStore for SqlStore<D, T> {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let steps = self.create_steps(session, &ends).await?;
            for _ in 0..CREATE_TRIES {
                match self.try_create(&steps).await {
                    Err(StoreError::UserGone) if self.is_there(&session.user_id).await? => {}
                    answer => return answer,
                }
            }
            Err(StoreError::backend("the foreign key does not find a user who is there"))
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(async move {
            let row = self.row(&self.shared.statements.find, id).await?;
            row.map(|row| read_record::<D, T>(&row, 0, Some(id))).transpose()
        })
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let values = [
                time(renewal.active_expires_at),
                time(renewal.idle_expires_at),
                time(renewal.renewed_at),
                id_value(&id),
                time(renewal.replaces),
                hash_value(&renewal.secret_hash),
            ];
            self.changes_one(&self.shared.statements.renew, &values).await
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.changes_one(&self.shared.statements.change_token, &token_values(&id, change)).await
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let values = [Value::Text(Some(&change.data)), id_value(&id), integer(change.replaces)];
            self.changes_one(&self.shared.statements.write_data, &values).await
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(
            async move { self.changes_one(&self.shared.statements.delete, &[id_value(&id)]).await },
        )
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let (sql, values) = self.delete_by_user_statement(user, keep.as_ref()).await?;
            self.execute(sql, &values).await
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            let user = self.user_value(user).await?;
            let rows = self.fetch(&self.shared.statements.list_by_user, &[user]).await?;
            readable(rows.iter().map(|row| read_record::<D, T>(row, 0, None)))
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        Box::pin(async move {
            let user = self.user_value(user).await?;
            let rows = self.fetch(&self.shared.statements.list_times_by_user, &[user]).await?;
            readable(rows.iter().map(read_times::<D>))
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let sessions = &self.shared.statements.delete_expired;
            let sessions = self.execute(sessions, &[time(now), integer(limit.into())]).await?;
            let left = i64::from(limit).saturating_sub_unsigned(sessions);
            if left <= 0 {
                return Ok(sessions);
            }
            let guests = &self.shared.statements.delete_expired_guests;
            Ok(sessions + self.execute(guests, &[time(now), integer(left)]).await?)
        })
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        Box::pin(async move {
            let row = self.row(&self.shared.statements.find_guest, id).await?;
            row.map(|row| read_guest::<D>(&row, id)).transpose()
        })
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let Some(replaces) = replaces else {
                let values = guest_values(guest);
                let created = self.changes_one(&self.shared.statements.create_guest, &values).await;
                return created.map_err(refusal);
            };
            let values = overwrite_values(guest, replaces);
            self.changes_one(&self.shared.statements.write_guest, &values).await
        })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.changes_one(&self.shared.statements.delete_guest, &[id_value(&id)]).await
        })
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let rows = self.fetch(&self.shared.statements.count_guests, &[time(now)]).await?;
            let count = rows.first().map(|row| D::integer(row, 0)).transpose()?;
            Ok(count.unwrap_or_default().unsigned_abs())
        })
    }

    fn users_table(&self) -> Option<&'static str> {
        Some(T::TABLE)
    }
}

impl<D, T> SessionUserStore<T> for SqlStore<D, T>
where
    D: Dialect,
    T: AuthUser + for<'r> FromRow<'r, D::Row>,
{
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        Box::pin(async move {
            let read = |row: &D::Row, users: &Users| {
                let user = T::from_row(row).map_err(unreadable_user)?;
                Ok((read_record::<D, T>(row, users.columns, Some(id))?, user))
            };
            self.ask(|users| &users.find_with_user, &[id_value(&id)], read).await
        })
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<T>> {
        Box::pin(async move {
            let id = self.user_value(id).await?;
            let read = |row: &D::Row, _: &Users| T::from_row(row).map_err(unreadable_user);
            self.ask(|users| &users.find_user, &[id], read).await
        })
    }

    fn row_reader(&self) -> Option<Box<dyn Any>> {
        let read: ReadRow<D, T> = |row| T::from_row(row);
        Some(Box::new(read))
    }
}

/// How a user is made of a row.
pub(crate) type ReadRow<D, T> = fn(&<D as sqlx::Database>::Row) -> sqlx::Result<T>;

/// One user whose row does not fit their type is not logged in; a type that asks for a column that
/// is not there is a fault of the app.
fn unreadable_user(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt(format!("the user of a session: {error}"))
        }
        error => error.into(),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::backend(error)
    }
}

/// For the app's own queries. An outage, such as a lost connection, a full pool or a deadlock, is
/// [`Error::Store`], 503, as where a query of ours meets it. Everything else is [`Error::Query`], 500: it
/// would fail again. So is what only the app knows the meaning of, which it is to see before: a row that
/// is missing, by `fetch_optional`, and a value that is taken, by `is_unique_violation`.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if failure::is_outage(&error) {
            StoreError::from(error).into()
        } else {
            Self::Query(error.into())
        }
    }
}

/// The values of every `write_guest` of `dialect.rs`.
fn overwrite_values(guest: &GuestRecord, replaces: i64) -> [Value<'_>; 5] {
    let [_, data, revision, end, id] = guest_values(guest);
    [data, revision, end, id, integer(replaces)]
}

/// What ends one session, by the statement for those that end in any case, or by the one for
/// those whose data must not have changed.
fn end_step<'a>(end: &'a End, always: &'a SqlStr, unchanged: &'a SqlStr) -> Step<'a> {
    let id = id_value(&end.id);
    match end.data_revision {
        None => Step { sql: always, values: vec![id], is_required: false },
        Some(revision) => {
            Step { sql: unchanged, values: vec![id, integer(revision)], is_required: true }
        }
    }
}

/// What came of the steps of a creation, by the place of the one that was refused: the first, for want
/// of the user, or one that ends what has changed meanwhile.
fn created(refused: Result<Option<usize>, StoreError>) -> Result<bool, StoreError> {
    match refused {
        Ok(None) => Ok(true),
        Ok(Some(0)) => Err(StoreError::UserGone),
        Ok(Some(_)) => Ok(false),
        Err(error) => Err(refusal(error)),
    }
}

/// The place of the only step, if it has changed no row.
fn first_refused(changed: u64) -> Option<usize> {
    (changed == 0).then_some(0)
}

/// Tells a taken id, and a user who is not there, from faults. No other key than that of a session to
/// its user is foreign.
fn refusal(error: StoreError) -> StoreError {
    let StoreError::Backend(cause) = &error else { return error };
    let cause = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    match cause.map(DatabaseError::kind) {
        Some(ErrorKind::UniqueViolation) => StoreError::Collision,
        Some(ErrorKind::ForeignKeyViolation) => StoreError::UserGone,
        _ => error,
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
