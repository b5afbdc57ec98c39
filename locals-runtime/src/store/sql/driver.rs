//! Binds values to the statements of each database, and reads them from its rows.

use std::future::Future;

use sqlx::{Arguments, Encode, Row, SqlStr, Type, error::BoxDynError};
use uuid::Uuid;

use crate::{
    model::{
        error::StoreError,
        record::Rotation,
        user_id::{UserId, UserIdKind},
    },
    store::sql::dialect::{Sql, UuidForm},
};

/// A database that [`SqlStore`](super::SqlStore) supports: `sqlx::Sqlite`, `sqlx::Postgres` or
/// `sqlx::MySql`, each with the feature of its name. Sealed.
pub trait Dialect: Driver {}

/// A value to bind to a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Integer(Option<i64>),
    Bytes(Option<&'a [u8]>),
    Text(Option<&'a str>),
    Rotation(Option<&'a Rotation>),
    Uuid(Uuid, UuidForm),
    /// `NULL` for a UUID column of this form.
    NoUuid(UuidForm),
}

/// The operations of one driver. It is separate from [`Dialect`] to keep its long bounds out of the
/// documentation.
pub trait Driver: sqlx::Database<Arguments: Send + 'static> {
    const SQL: &'static Sql;

    /// Checks that the server can be reached, and that a connection pooler in between is safe.
    fn examine(
        options: &<Self::Connection as sqlx::Connection>::Options,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Clears the prepared statements of a connection.
    fn forget_statements(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Runs a statement without a result, unprepared.
    fn run_unprepared(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Binds values as the arguments of a statement.
    fn bind(values: &[Value<'_>]) -> sqlx::Result<Self::Arguments>;

    /// Whether a connection works and has no open transaction. If a `begin` is dropped before the server
    /// replies, its connection returns to the pool in the middle of a transaction without the driver
    /// noticing; writes on it would be acknowledged but never committed.
    fn is_ready(connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;

    /// Runs a statement and returns how many rows it changed.
    fn execute(
        connection: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;

    /// Runs a statement and returns all its rows.
    fn fetch(
        connection: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Row>>> + Send;

    fn integer(row: &Self::Row, column: usize) -> sqlx::Result<i64>;

    fn optional_integer(row: &Self::Row, column: usize) -> sqlx::Result<Option<i64>>;

    fn bytes(row: &Self::Row, column: usize) -> sqlx::Result<&[u8]>;

    fn optional_bytes(row: &Self::Row, column: usize) -> sqlx::Result<Option<&[u8]>>;

    fn text(row: &Self::Row, column: usize) -> sqlx::Result<Option<String>>;

    fn user_id(row: &Self::Row, column: usize, kind: UserIdKind) -> Result<UserId, BoxDynError>;
}

macro_rules! driver {
    (
        $database:ty, $connection:ty, $row:ty, $arguments:ty, $sql:ident,
        i64 $(or $other:ty)*,
        |$ready:ident| $is_ready:expr,
        |$options:ident| $examine:expr
    ) => {
        impl Dialect for $database {}

        impl Driver for $database {
            const SQL: &'static Sql = &super::dialect::$sql;

            async fn examine(
                $options: &<$connection as sqlx::Connection>::Options,
            ) -> Result<(), StoreError> {
                $examine
            }

            async fn forget_statements(connection: &mut $connection) -> sqlx::Result<()> {
                sqlx::Connection::clear_cached_statements(connection).await
            }

            async fn run_unprepared(connection: &mut $connection, sql: &'static str) -> sqlx::Result<()> {
                sqlx::raw_sql(sql).execute(connection).await.map(drop)
            }

            fn bind(values: &[Value<'_>]) -> sqlx::Result<$arguments> {
                bind(values)
            }

            async fn is_ready($ready: &mut $connection) -> bool {
                $is_ready
            }

            async fn execute(
                connection: &mut $connection,
                sql: SqlStr,
                arguments: $arguments,
            ) -> sqlx::Result<u64> {
                let query = sqlx::query_with(sql, arguments);
                Ok(query.execute(connection).await?.rows_affected())
            }

            async fn fetch(
                connection: &mut $connection,
                sql: SqlStr,
                arguments: $arguments,
            ) -> sqlx::Result<Vec<$row>> {
                sqlx::query_with(sql, arguments).fetch_all(connection).await
            }

            fn integer(row: &$row, column: usize) -> sqlx::Result<i64> {
                row.try_get(column)
            }

            fn optional_integer(row: &$row, column: usize) -> sqlx::Result<Option<i64>> {
                row.try_get(column)
            }

            fn bytes(row: &$row, column: usize) -> sqlx::Result<&[u8]> {
                row.try_get(column)
            }

            fn optional_bytes(row: &$row, column: usize) -> sqlx::Result<Option<&[u8]>> {
                row.try_get(column)
            }

            fn text(row: &$row, column: usize) -> sqlx::Result<Option<String>> {
                row.try_get(column)
            }

            fn user_id(row: &$row, column: usize, kind: UserIdKind) -> Result<UserId, BoxDynError> {
                Ok(match kind {
                    UserIdKind::Text => UserId::Text(row.try_get(column)?),
                    UserIdKind::Integer => {
                        let id = row.try_get::<i64, _>(column).map_err(BoxDynError::from);
                        $(let id = id.or_else(|wrong| {
                            row.try_get::<$other, _>(column).map_err(|_| wrong).and_then(number)
                        });)*
                        UserId::Integer(id?)
                    }
                    UserIdKind::Uuid => UserId::Uuid(match row.try_get::<&str, _>(column) {
                        Ok(text) => Uuid::parse_str(text)?,
                        Err(_) => row.try_get(column)?,
                    }),
                })
            }
        }
    };
}

#[cfg(feature = "sqlite")]
driver!(
    sqlx::Sqlite,
    sqlx::SqliteConnection,
    sqlx::sqlite::SqliteRow,
    sqlx::sqlite::SqliteArguments,
    SQLITE,
    i64,
    // The driver handles both itself.
    |_connection| true,
    |_options| Ok(())
);

#[cfg(feature = "postgres")]
driver!(
    sqlx::Postgres,
    sqlx::PgConnection,
    sqlx::postgres::PgRow,
    sqlx::postgres::PgArguments,
    POSTGRES,
    i64 or i32 or i16,
    // After an empty statement, a transaction is open only if one was open before.
    |connection| {
        use sqlx::Connection;
        matches!(connection.begin_with("").await, Err(sqlx::Error::BeginFailed))
    },
    |options| super::pooler::examine(options).await.map(drop)
);

#[cfg(feature = "mysql")]
driver!(
    sqlx::MySql,
    sqlx::MySqlConnection,
    sqlx::mysql::MySqlRow,
    sqlx::mysql::MySqlArguments,
    MYSQL,
    // All unsigned columns are read as `u64`.
    i64 or u64,
    // Does nothing if no transaction is open.
    |connection| sqlx::raw_sql("ROLLBACK").execute(connection).await.is_ok(),
    |options| {
        use sqlx::Connection;
        let connection = super::reach::connect::<sqlx::MySqlConnection>(options).await?;
        // The server has replied; an error on closing does not matter.
        let _ = connection.close().await;
        Ok(())
    }
);

/// Converts the id of a user from a column whose type is not `i64`.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn number<N: TryInto<i64> + Copy + std::fmt::Display>(id: N) -> Result<i64, BoxDynError> {
    let too_large = |_| {
        format!(
            "the user's id {id} is greater than {}, the largest id that a session can have",
            i64::MAX
        )
    };
    Ok(id.try_into().map_err(too_large)?)
}

fn bind<A>(values: &[Value<'_>]) -> sqlx::Result<A>
where
    A: Arguments,
    for<'a> Option<i64>: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> &'a [u8]: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> Option<&'a [u8]>: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> Option<Vec<u8>>: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> Option<&'a str>: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> String: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> Uuid: Encode<'a, A::Database> + Type<A::Database>,
    for<'a> Option<Uuid>: Encode<'a, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match *value {
            Value::Integer(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Rotation(value) => arguments.add(value.map(|value| value.to_bytes().to_vec())),
            Value::Uuid(value, UuidForm::Native) => arguments.add(value),
            Value::Uuid(value, UuidForm::Bytes) => arguments.add(value.as_bytes().as_slice()),
            Value::Uuid(value, UuidForm::Text) => arguments.add(value.hyphenated().to_string()),
            Value::NoUuid(UuidForm::Native) => arguments.add(None::<Uuid>),
            Value::NoUuid(UuidForm::Bytes) => arguments.add(None::<&[u8]>),
            Value::NoUuid(UuidForm::Text) => arguments.add(None::<&str>),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
