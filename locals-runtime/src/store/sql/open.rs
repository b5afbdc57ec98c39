//! Opens pools with the settings that sessions need.

use std::str::FromStr;

use sqlx::pool::PoolOptions;

use crate::{
    model::{error::StoreError, user::AuthUser},
    store::sql::{driver::Dialect, settings::TIMEOUT, store::SqlStore},
};

/// The default maximum number of connections of a pool, the same as the driver's default.
const CONNECTIONS: u32 = 10;

/// Options for a pool that returns a connection or an error within the timeout. Connections are not
/// tested before each use, because that would be a second message to the server for every request; a
/// connection that turns out to be broken is replaced when it is used.
fn options<D: Dialect>(connections: u32) -> PoolOptions<D> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TIMEOUT)
        .test_before_acquire(false)
}

/// The same options, with the [`Settings`](super::settings::Settings) applied to each new connection.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn options_with_settings<D: Dialect>(connections: u32) -> PoolOptions<D> {
    options(connections).after_connect(|connection, _| {
        Box::pin(async move {
            for setting in D::SQL.settings.set {
                match D::run_unprepared(connection, setting).await {
                    // Some servers do not have a setting, or forbid it.
                    Ok(()) | Err(sqlx::Error::Database(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    })
}

#[cfg(feature = "sqlite")]
impl<T: AuthUser> SqlStore<sqlx::Sqlite, T> {
    /// Opens an SQLite database to keep sessions in it. Creates the file if it does not exist.
    ///
    /// `url` is `sqlite://path/to/file.db`, the path alone, or `sqlite::memory:`. The connections have
    /// these settings: WAL, so that readers never wait; full synchronization, so that a logout survives a
    /// power failure; enforced foreign keys; a busy timeout of 2 s, after which a request gets 503.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the URL is invalid or the database cannot be opened.
    pub async fn sqlite(url: &str) -> Result<Self, StoreError> {
        let database = sqlx::sqlite::SqliteConnectOptions::from_str(url)?.create_if_missing(true);
        Self::sqlite_with(database, CONNECTIONS).await
    }

    /// Opens an SQLite database with the app's own options, such as an extension, a key or a page size,
    /// and at most this many connections. The settings that [`sqlite`](Self::sqlite) names are added.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example() -> Result<(), StoreError> {
    /// use sqlx::sqlite::SqliteConnectOptions;
    ///
    /// let database = SqliteConnectOptions::new().filename("app.db").create_if_missing(true);
    /// let store = SqlStore::<_, Account>::sqlite_with(database, 20).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the database cannot be opened.
    pub async fn sqlite_with(
        database: sqlx::sqlite::SqliteConnectOptions,
        connections: u32,
    ) -> Result<Self, StoreError> {
        use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

        // The options have no getter for this.
        let is_in_memory = format!("{database:?}").contains("in_memory: true")
            || database.get_filename().as_os_str() == ":memory:";
        let database = database
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(TIMEOUT);
        let options = if is_in_memory {
            // Each connection has its own in-memory database, which is lost when it is closed.
            options(1).idle_timeout(None).max_lifetime(None)
        } else {
            options(connections)
        };
        Ok(Self::new(options.connect_with(database).await?))
    }
}

#[cfg(feature = "postgres")]
impl<T: AuthUser> SqlStore<sqlx::Postgres, T> {
    /// Connects to a PostgreSQL server and keeps sessions there.
    ///
    /// `url` is `postgres://user:password@host/database`. A request waits 2 s for a connection and 2 s
    /// for a statement; after that it gets 503. The server is told to wait no longer than that for a lock,
    /// and to cancel a statement whose client has disconnected (`lock_timeout`,
    /// `client_connection_check_interval`), unless the URL or the server set these themselves. The
    /// settings also apply to the app's own queries through [`pool`](Self::pool).
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
    /// [`StoreError::Backend`] if the URL is invalid or the server cannot be reached;
    /// [`StoreError::Schema`] if a connection pooler in between mixes up prepared statements.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        Self::postgres_with(sqlx::postgres::PgConnectOptions::from_str(url)?, CONNECTIONS).await
    }

    /// Connects with the app's own options and at most this many connections. The settings that
    /// [`postgres`](Self::postgres) names are added.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use sqlx::postgres::PgConnectOptions;
    ///
    /// let database: PgConnectOptions = "postgres://app@db.internal/app".parse()?;
    /// let database = database.application_name("shop").options([("lock_timeout", "5s")]);
    /// let store = SqlStore::<_, Account>::postgres_with(database, 20).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The same as [`postgres`](Self::postgres).
    pub async fn postgres_with(
        database: sqlx::postgres::PgConnectOptions,
        connections: u32,
    ) -> Result<Self, StoreError> {
        use super::{
            pooler::{Sharing, examine},
            tls,
        };

        tls::warn(tls::Address::of_postgres(&database));
        let options = match examine(&database).await? {
            Sharing::Own => options_with_settings(connections),
            // A setting on a shared server connection would apply to other clients.
            Sharing::Shared => options(connections),
        };
        Ok(Self::with(options.connect_with(database).await?, true, true))
    }
}

#[cfg(feature = "mysql")]
impl<T: AuthUser> SqlStore<sqlx::MySql, T> {
    /// Connects to a MySQL or MariaDB server and keeps sessions there.
    ///
    /// `url` is `mysql://user:password@host/database`. A request waits 2 s for a connection and 2 s for
    /// a statement; after that it gets 503. Whatever the server's defaults are, each connection uses
    /// autocommit and strict mode, checks foreign keys, and waits no longer than 2 s for a lock. The
    /// settings also apply to the app's own queries through [`pool`](Self::pool).
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
    /// [`StoreError::Backend`] if the URL is invalid or the server cannot be reached.
    pub async fn mysql(url: &str) -> Result<Self, StoreError> {
        Self::mysql_with(sqlx::mysql::MySqlConnectOptions::from_str(url)?, CONNECTIONS).await
    }

    /// Connects with the app's own options and at most this many connections. The settings that
    /// [`mysql`](Self::mysql) names are added.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example() -> Result<(), StoreError> {
    /// use sqlx::mysql::MySqlConnectOptions;
    ///
    /// let database = MySqlConnectOptions::new().socket("/run/mysqld/mysqld.sock").database("app");
    /// let store = SqlStore::<_, Account>::mysql_with(database, 20).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The same as [`mysql`](Self::mysql).
    pub async fn mysql_with(
        database: sqlx::mysql::MySqlConnectOptions,
        connections: u32,
    ) -> Result<Self, StoreError> {
        use super::{driver::Driver, tls};

        tls::warn(tls::Address::of_mysql(&database));
        sqlx::MySql::examine(&database).await?;
        // A connection that is returned in the middle of a transaction would keep reading its old
        // snapshot, with sessions that have ended since.
        let options = options_with_settings(connections).after_release(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                Ok(true)
            })
        });
        Ok(Self::with(options.connect_with(database).await?, true, true))
    }
}
