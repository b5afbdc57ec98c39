//! How a pool is opened for sessions.

use std::{str::FromStr, time::Duration};

use sqlx::pool::PoolOptions;

use super::{Dialect, SqlStore};
use crate::{error::StoreError, user::AuthUser};

/// How long a request waits for a connection, and for a statement.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A pool that gives a connection or an error in time, and asks for no proof of life before
/// each use: that would be a second message to the server for every request. A connection that
/// turns out to be dead is replaced where it is used.
fn options<D: Dialect>() -> PoolOptions<D> {
    PoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false)
}

#[cfg(feature = "sqlite")]
impl<T: AuthUser> SqlStore<sqlx::Sqlite, T> {
    /// Opens an SQLite database, makes the file if it is not there, and keeps sessions in it.
    ///
    /// `url` is `sqlite://path/to/file.db`, the path alone, or `sqlite::memory:`. The settings
    /// are those that sessions want: WAL, so that readers never wait; full synchronisation, so
    /// that a log-out outlives a power cut; enforced foreign keys; 2 s of patience with a busy
    /// database, then 503.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the address cannot be read or the database cannot be opened.
    pub async fn sqlite(url: &str) -> Result<Self, StoreError> {
        use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

        let database = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let mut options = options();
        if url.contains(":memory:") || url.contains("mode=memory") {
            // Each connection would be a database of its own, and gone with it.
            options = options.max_connections(1).idle_timeout(None).max_lifetime(None);
        }
        Ok(Self::new(options.connect_with(database).await?))
    }
}

#[cfg(feature = "postgres")]
impl<T: AuthUser> SqlStore<sqlx::Postgres, T> {
    /// Connects to a PostgreSQL server and keeps sessions there.
    ///
    /// `url` is `postgres://user:password@host/database`. A request waits 2 s for a connection
    /// and 2 s for a statement, then it is answered 503.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example() -> Result<(), StoreError> {
    /// let store = SqlStore::<_, Account>::postgres("postgres://app:secret@db.internal/app").await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the address cannot be read or the server cannot be reached.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        let database = sqlx::postgres::PgConnectOptions::from_str(url)?;
        Ok(Self::new(options().connect_with(database).await?))
    }
}

#[cfg(feature = "mysql")]
impl<T: AuthUser> SqlStore<sqlx::MySql, T> {
    /// Connects to a MySQL or MariaDB server and keeps sessions there.
    ///
    /// `url` is `mysql://user:password@host/database`. A request waits 2 s for a connection and
    /// 2 s for a statement, then it is answered 503.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example() -> Result<(), StoreError> {
    /// let store = SqlStore::<_, Account>::mysql("mysql://app:secret@db.internal/app").await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the address cannot be read or the server cannot be reached.
    pub async fn mysql(url: &str) -> Result<Self, StoreError> {
        let database = sqlx::mysql::MySqlConnectOptions::from_str(url)?;
        // A connection that is given back in the middle of a transaction would go on to read what
        // was there when it began: sessions that have ended since.
        let options = options().after_release(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                Ok(true)
            })
        });
        Ok(Self::new(options.connect_with(database).await?))
    }
}
