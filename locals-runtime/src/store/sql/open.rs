//! How a pool is opened for sessions.

use std::str::FromStr;

use sqlx::pool::PoolOptions;

use crate::{
    model::{error::StoreError, user::AuthUser},
    store::sql::{driver::Dialect, settings::TIMEOUT, store::SqlStore},
};

/// How many connections a pool has at most, unless the app says otherwise: as by default in the driver.
const CONNECTIONS: u32 = 10;

/// A pool that gives a connection or an error in time, and asks for no proof of life before
/// each use: that would be a second message to the server for every request. A connection that
/// turns out to be dead is replaced where it is used.
fn options<D: Dialect>(connections: u32) -> PoolOptions<D> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TIMEOUT)
        .test_before_acquire(false)
}

/// The same, whose connections are made as [`Settings`](super::settings::Settings) say.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn options_with_settings<D: Dialect>(connections: u32) -> PoolOptions<D> {
    options(connections).after_connect(|connection, _| {
        Box::pin(async move {
            for setting in D::SQL.settings.set {
                match D::run_unprepared(connection, setting).await {
                    // Not every server has each of them, and some forbid one.
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
    /// Opens an SQLite database, makes the file if it is not there, and keeps sessions in it.
    ///
    /// `url` is `sqlite://path/to/file.db`, the path alone, or `sqlite::memory:`. The settings
    /// are those that sessions want: WAL, so that readers never wait; full synchronisation, so
    /// that a logout outlives a power cut; enforced foreign keys; 2 s of timeout with a busy
    /// database, then 503.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the address cannot be read or the database cannot be opened.
    pub async fn sqlite(url: &str) -> Result<Self, StoreError> {
        let database = sqlx::sqlite::SqliteConnectOptions::from_str(url)?.create_if_missing(true);
        Self::sqlite_with(database, CONNECTIONS).await
    }

    /// Opens an SQLite database by options of the app's own, such as an extension, a key or a page size,
    /// with so many connections at most. The settings that [`sqlite`](Self::sqlite) names are added.
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

        // The options have no other way to say so.
        let is_in_memory = format!("{database:?}").contains("in_memory: true")
            || database.get_filename().as_os_str() == ":memory:";
        let database = database
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(TIMEOUT);
        let options = if is_in_memory {
            // Each connection would be a database of its own, and gone with it.
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
    /// `url` is `postgres://user:password@host/database`. A request waits 2 s for a connection
    /// and 2 s for a statement, then it is answered 503. The server is told to wait no longer for a lock,
    /// and to give up a statement whose client has gone, unless the URL or the server set these times
    /// themselves (`lock_timeout`, `client_connection_check_interval`); that counts for the app's own
    /// queries by [`pool`](Self::pool) as well.
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
    /// [`StoreError::Backend`] if the address cannot be read or the server cannot be reached;
    /// [`StoreError::Schema`] if a pooler in between mixes up prepared statements.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        Self::postgres_with(sqlx::postgres::PgConnectOptions::from_str(url)?, CONNECTIONS).await
    }

    /// Connects by options of the app's own, with so many connections at most. What
    /// [`postgres`](Self::postgres) says is set besides.
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
    /// As [`postgres`](Self::postgres).
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
            // What is set on a connection that is shared would be set for others.
            Sharing::Shared => options(connections),
        };
        Ok(Self::with(options.connect_with(database).await?, true, true))
    }
}

#[cfg(feature = "mysql")]
impl<T: AuthUser> SqlStore<sqlx::MySql, T> {
    /// Connects to a MySQL or MariaDB server and keeps sessions there.
    ///
    /// `url` is `mysql://user:password@host/database`. A request waits 2 s for a connection and
    /// 2 s for a statement, then it is answered 503. Each connection commits by itself, checks foreign keys
    /// and values strictly, and waits no longer than 2 s for a lock, whatever the server's defaults are;
    /// that counts for the app's own queries by [`pool`](Self::pool) as well.
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
        Self::mysql_with(sqlx::mysql::MySqlConnectOptions::from_str(url)?, CONNECTIONS).await
    }

    /// Connects by options of the app's own, with so many connections at most. What
    /// [`mysql`](Self::mysql) says is set besides.
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
    /// As [`mysql`](Self::mysql).
    pub async fn mysql_with(
        database: sqlx::mysql::MySqlConnectOptions,
        connections: u32,
    ) -> Result<Self, StoreError> {
        use super::{driver::Driver, tls};

        tls::warn(tls::Address::of_mysql(&database));
        sqlx::MySql::examine(&database).await?;
        // A connection that is given back in the middle of a transaction would go on to read what
        // was there when it began: sessions that have ended since.
        let options = options_with_settings(connections).after_release(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                Ok(true)
            })
        });
        Ok(Self::with(options.connect_with(database).await?, true, true))
    }
}
