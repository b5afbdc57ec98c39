//! Sessions in a table beside the app's own users.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use sqlx::{FromRow, Pool, SqlStr, error::DatabaseError};

use super::{SessionStore, SessionUserStore, StoreFuture};
use crate::{
    clock::Timestamp,
    error::StoreError,
    session::{Renewal, SessionRecord},
    token::{SecretHash, SessionId},
    user::{AuthUser, UserId, UserKey},
};

mod dialect;
mod driver;
mod open;
mod run;
mod schema;
#[cfg(test)]
mod tests;
mod transaction;

use dialect::Statements;
pub use driver::Dialect;
use driver::Value;
use schema::Users;

/// Sessions in the table `user_sessions`, in the database that holds the app's users.
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
/// sqlx::query("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, email TEXT)")
///     .execute(store.pool())
///     .await?;
/// store.migrate().await?;
/// let auth = Auth::<Account>::builder(store).build()?;
/// # Ok(())
/// # }
/// ```
pub struct SqlStore<D: Dialect, T> {
    pool: Pool<D>,
    statements: Arc<Statements>,
    users: Arc<OnceLock<Users>>,
    user: PhantomData<fn() -> T>,
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// A store in the database of a pool that the app has opened itself.
    ///
    /// It is used as it is. For the settings that sessions want, let the store open it, as by
    /// [`SqlStore::sqlite`], and share it through [`SqlStore::pool`]. On MySQL this mends one thing
    /// more: a `begin` of the app that is dropped before it is answered gives back a connection
    /// that goes on to read what was there then.
    pub fn new(pool: Pool<D>) -> Self {
        let statements = Arc::new(D::SQL.statements(T::TABLE, T::ID_COLUMN));
        Self { pool, statements, users: Arc::default(), user: PhantomData }
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
            None => (&self.statements.delete_by_user, vec![user]),
            Some(keep) => (&self.statements.delete_others, vec![user, id_value(keep)]),
        })
    }

    async fn row(&self, sql: &SqlStr, id: SessionId) -> Result<Option<D::Row>, StoreError> {
        Ok(self.fetch(sql, &[id_value(&id)]).await?.pop())
    }
}

impl<D: Dialect, T: AuthUser> SessionStore for SqlStore<D, T> {
    fn create<'a>(&'a self, session: &'a SessionRecord) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let user = self.user_value(&session.user_id).await?;
            let values = record_values(session, user);
            let created = self.execute(&self.statements.create, &values).await;
            created.map(drop).map_err(transaction::taken)
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(async move {
            let row = self.row(&self.statements.find, id).await?;
            row.map(|row| read_record::<D, T>(&row, 0, Some(id))).transpose()
        })
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let values = [
                time(renewal.active_expires_at),
                time(renewal.idle_expires_at),
                id_value(&id),
                time(renewal.replaces),
            ];
            Ok(self.execute(&self.statements.renew, &values).await? == 1)
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let deleted = self.execute(&self.statements.delete, &[id_value(&id)]).await?;
            Ok(deleted == 1)
        })
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
            let rows = self.fetch(&self.statements.list_by_user, &[user]).await?;
            rows.iter().map(|row| read_record::<D, T>(row, 0, None)).collect()
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let values = [time(now), Value::Integer(limit.into())];
            self.execute(&self.statements.delete_expired, &values).await
        })
    }
}

impl<D, T> SessionUserStore<T> for SqlStore<D, T>
where
    D: Dialect,
    T: AuthUser + for<'r> FromRow<'r, D::Row>,
{
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        Box::pin(async move {
            let users = self.users().await?;
            let Some(row) = self.row(&users.find_with_user, id).await? else {
                return Ok(None);
            };
            let user = T::from_row(&row)?;
            Ok(Some((read_record::<D, T>(&row, users.columns, Some(id))?, user)))
        })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::backend(error)
    }
}

fn is_taken(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(DatabaseError::is_unique_violation)
}

fn time(time: Timestamp) -> Value<'static> {
    Value::Integer(time.as_millis())
}

fn id_value(id: &SessionId) -> Value<'_> {
    Value::Bytes(id.as_bytes())
}

/// The columns of a session in the order of every `INSERT` and `SELECT` of `dialect.rs`.
fn record_values<'a>(session: &'a SessionRecord, user: Value<'a>) -> [Value<'a>; 10] {
    [
        Value::Bytes(session.secret_hash.as_bytes()),
        user,
        time(session.created_at),
        time(session.authenticated_at),
        time(session.active_expires_at),
        time(session.idle_expires_at),
        time(session.absolute_expires_at),
        Value::Text(session.user_agent.as_deref()),
        Value::Text(session.address.as_deref()),
        id_value(&session.id),
    ]
}

/// The session whose columns begin at `first`, with this id or with the one behind them.
fn read_record<D: Dialect, T: AuthUser>(
    row: &D::Row,
    first: usize,
    id: Option<SessionId>,
) -> Result<SessionRecord, StoreError> {
    let read = || -> Result<SessionRecord, sqlx::error::BoxDynError> {
        let time = |column| D::integer(row, first + column).map(Timestamp::from_millis);
        Ok(SessionRecord {
            secret_hash: SecretHash::from_bytes(D::bytes(row, first)?.try_into()?),
            user_id: D::user_id(row, first + 1, T::Id::KIND)?,
            created_at: time(2)?,
            authenticated_at: time(3)?,
            active_expires_at: time(4)?,
            idle_expires_at: time(5)?,
            absolute_expires_at: time(6)?,
            user_agent: D::text(row, first + 7)?,
            address: D::text(row, first + 8)?,
            id: match id {
                Some(id) => id,
                None => SessionId::from_bytes(D::bytes(row, first + 9)?.try_into()?),
            },
        })
    };
    read().map_err(|error| StoreError::Corrupt(error.to_string()))
}

impl<D: Dialect, T> Clone for SqlStore<D, T> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            statements: Arc::clone(&self.statements),
            users: Arc::clone(&self.users),
            user: PhantomData,
        }
    }
}

impl<D: Dialect, T> fmt::Debug for SqlStore<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("database", &D::NAME).finish_non_exhaustive()
    }
}
