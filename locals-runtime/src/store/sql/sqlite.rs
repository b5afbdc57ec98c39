//! SQLite: how its pool is opened, and how values go in and out.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Arguments, Row, SqlStr, Sqlite, SqliteConnection, SqlitePool, TypeInfo, ValueRef,
    error::BoxDynError,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use uuid::Uuid;

use super::{
    SqlStore,
    dialect::{Dialect, Driver, SQLITE, Templates, Value},
};
use crate::{
    error::StoreError,
    user::{AuthUser, UserId, UserIdKind},
};

/// How long a request waits for a connection, and a write for the write lock.
const PATIENCE: Duration = Duration::from_secs(2);

impl<T: AuthUser> SqlStore<Sqlite, T> {
    /// Opens an SQLite database, makes the file if it is not there, and keeps sessions in it.
    ///
    /// `url` is `sqlite://path/to/file.db`, the path alone, or `sqlite::memory:`. The settings
    /// are those that sessions want: WAL, so that readers never wait; full synchronisation, so
    /// that a log-out outlives a power cut; enforced foreign keys; 2 s of patience with a busy
    /// database, then 503; no test query before each use of a connection.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the address cannot be read or the database cannot be opened.
    pub async fn sqlite(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let mut pool =
            SqlitePoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
        if url.contains(":memory:") || url.contains("mode=memory") {
            // Each connection would be a database of its own, and gone with it.
            pool = pool.max_connections(1).idle_timeout(None).max_lifetime(None);
        }
        let pool: SqlitePool = pool.connect_with(options).await?;
        Ok(Self::new(pool))
    }
}

impl Dialect for Sqlite {}

impl Driver for Sqlite {
    const TEMPLATES: Templates = SQLITE;

    async fn execute(
        connection: &mut SqliteConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<u64> {
        let query = sqlx::query_with(sql, arguments(values)?);
        Ok(query.execute(connection).await?.rows_affected())
    }

    async fn fetch_optional(
        connection: &mut SqliteConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Option<SqliteRow>> {
        sqlx::query_with(sql, arguments(values)?).fetch_optional(connection).await
    }

    async fn fetch_all(
        connection: &mut SqliteConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<SqliteRow>> {
        sqlx::query_with(sql, arguments(values)?).fetch_all(connection).await
    }

    fn integer(row: &SqliteRow, column: usize) -> Result<i64, BoxDynError> {
        Ok(row.try_get(column)?)
    }

    fn bytes(row: &SqliteRow, column: usize) -> Result<&[u8], BoxDynError> {
        Ok(row.try_get(column)?)
    }

    fn text(row: &SqliteRow, column: usize) -> Result<Option<String>, BoxDynError> {
        Ok(row.try_get(column)?)
    }

    fn user_id(row: &SqliteRow, column: usize, kind: UserIdKind) -> Result<UserId, BoxDynError> {
        Ok(match kind {
            UserIdKind::Integer => UserId::Integer(row.try_get(column)?),
            UserIdKind::Text => UserId::Text(row.try_get(column)?),
            // SQLite has no type of its own for UUIDs: they are found as bytes and as text.
            UserIdKind::Uuid if row.try_get_raw(column)?.type_info().name() == "TEXT" => {
                UserId::Uuid(Uuid::parse_str(row.try_get(column)?)?)
            }
            UserIdKind::Uuid => UserId::Uuid(Uuid::from_slice(row.try_get(column)?)?),
        })
    }
}

fn arguments(values: &[Value<'_>]) -> sqlx::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match *value {
            Value::Integer(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Uuid(value) => arguments.add(value.as_bytes().as_slice()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;

    struct Account;

    impl AuthUser for Account {
        type Id = i64;

        const ID_COLUMN: &'static str = "id";
        const TABLE: &'static str = "accounts";

        fn id(&self) -> &i64 {
            &1
        }
    }

    #[actix_web::test]
    async fn every_statement_finds_its_rows_by_a_key() {
        let store = SqlStore::<Sqlite, Account>::sqlite("sqlite::memory:").await.unwrap();
        let accounts = sqlx::query("CREATE TABLE accounts (id INTEGER PRIMARY KEY)");
        accounts.execute(store.pool()).await.unwrap();
        store.migrate().await.unwrap();

        let session = "SEARCH s USING PRIMARY KEY (id=?)";
        let user = "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)";
        let key = "SEARCH user_sessions USING PRIMARY KEY (id=?)";
        let by_user = "SEARCH user_sessions USING INDEX user_sessions_by_user (user_id=?)";
        let ended = "SEARCH user_sessions USING COVERING INDEX user_sessions_by_expiry \
                     (idle_expires_at<?)";
        let statements = &store.statements;
        for (sql, expected) in [
            (&statements.find, &[session, user][..]),
            (&statements.find_with_user, &[session, user]),
            (&statements.renew, &[key]),
            (&statements.delete, &[key]),
            (&statements.delete_by_user, &[by_user]),
            (&statements.delete_others, &[by_user]),
            (&statements.list_by_user, &[by_user]),
            (&statements.delete_expired, &[key, ended]),
        ] {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
            let plan = sqlx::query(explain).fetch_all(store.pool()).await.unwrap();
            let steps = plan.iter().map(|step| step.get::<&str, _>("detail"));
            // The other steps sort and gather what has been read.
            let reads = |step: &&str| step.starts_with("SEARCH") || step.starts_with("SCAN");
            assert_eq!(steps.filter(reads).collect::<Vec<_>>(), expected, "{}", sql.as_str());
        }
    }
}
