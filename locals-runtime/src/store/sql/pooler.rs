//! Detects a connection pooler between the app and PostgreSQL that mixes up prepared statements.
//!
//! A pooler that shares connections between transactions, as PgBouncer does with `pool_mode =
//! transaction`, may send two transactions of one client to two server connections. The driver names its
//! prepared statements with numbers that start at one on each of its connections. So the names of several
//! clients collide, unless the pooler keeps them apart.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{
    model::error::StoreError,
    store::sql::{
        failure::{POOLER, Remedy, remedy},
        settings::TIMEOUT,
    },
};

/// How connections of the app relate to server connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each connection has its own server connection for its whole lifetime.
    Own,
    /// Server connections are shared between transactions, and prepared statements are kept apart. A
    /// setting on a connection would apply to other clients.
    Shared,
}

/// The timeout of a query whose reply may have to wait for another connection.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// How often the two connections are compared, because a pooler may have several server connections.
const ROUNDS: usize = 3;

/// Examines the server with two connections of its own.
///
/// # Errors
/// [`StoreError::Schema`] if statements get mixed up; [`StoreError::Backend`] if the server cannot be
/// reached.
pub async fn examine(options: &PgConnectOptions) -> Result<Sharing, StoreError> {
    let mut one = connect(options).await?;
    // If the server has no room for a second connection, nothing can be found out.
    let Ok(mut other) = connect(options).await else {
        let _ = one.close().await;
        return Ok(Sharing::Own);
    };
    // In session mode, a connection waits until the pooler has a server connection for it.
    if is_waiting(&mut one).await || is_waiting(&mut other).await {
        return Ok(Sharing::Own);
    }
    let sharing = match is_shared(&mut one, &mut other).await {
        Ok(false) => Ok(Sharing::Own),
        Ok(true) if are_statements_apart(&mut one, &mut other).await => Ok(Sharing::Shared),
        Ok(true) => Err(StoreError::Schema(POOLER.to_owned())),
        Err(error) => Err(error.into()),
    };
    let _ = timeout(REPLY_TIMEOUT, async {
        let _ = one.close().await;
        let _ = other.close().await;
    })
    .await;
    sharing
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    super::reach::connect::<PgConnection>(options).await
}

/// Whether a connection gets no reply in time although no other connection is busy.
async fn is_waiting(connection: &mut PgConnection) -> bool {
    !matches!(timeout(REPLY_TIMEOUT, process(connection)).await, Ok(Ok(_)))
}

/// Whether both connections use the same server connection, or one of them uses several in turn.
async fn is_shared(one: &mut PgConnection, other: &mut PgConnection) -> sqlx::Result<bool> {
    let first = process(one).await?;
    for _ in 0..ROUNDS {
        // Occupies a server connection, if they are shared.
        if other.execute(sqlx::raw_sql("BEGIN")).await.is_err() {
            // A pooler that shares connections between statements allows no transactions.
            return Ok(true);
        }
        let others = process(other).await?;
        // The first connection may have to wait for that server connection.
        let again = timeout(REPLY_TIMEOUT, process(one)).await;
        other.execute(sqlx::raw_sql("ROLLBACK")).await?;
        let Ok(again) = again else { return Ok(true) };
        if again? != first || others == first {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the id of the server process. The query is not prepared, because prepared statements are what
/// is being tested.
async fn process(connection: &mut PgConnection) -> sqlx::Result<i32> {
    connection.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid()")).await?.try_get(0)
}

/// Whether each connection keeps getting the results of its own statements.
async fn are_statements_apart(one: &mut PgConnection, other: &mut PgConnection) -> bool {
    for round in 0..ROUNDS {
        let is_right = timeout(TIMEOUT, async {
            // The first statement of each connection, which the driver gives the same name.
            Ok::<_, sqlx::Error>(
                selects(one, &format!("one {round}")).await?
                    && (&mut *other).execute(sqlx::raw_sql("BEGIN")).await.is_ok()
                    && selects(other, &format!("other {round}")).await?
                    && (&mut *other).execute(sqlx::raw_sql("COMMIT")).await.is_ok()
                    && selects(one, &format!("one {round}")).await?
                    && selects(other, &format!("other {round}")).await?,
            )
        });
        if !matches!(is_right.await, Ok(Ok(true))) {
            return false;
        }
    }
    // Unnamed statements would be prepared and run in two separate transactions.
    one.cached_statements_size() > 0
}

async fn selects(connection: &mut PgConnection, expected: &str) -> sqlx::Result<bool> {
    let sql = AssertSqlSafe(format!("SELECT '{expected}'"));
    let row = connection.fetch_one(sqlx::query(sql)).await;
    match row {
        Ok(row) => Ok(row.try_get::<String, _>(0)? == expected),
        // A missing or duplicate statement is what the test looks for; any other error is a failure.
        Err(error) if remedy(&error) == (Remedy::None { closes: true }) => Ok(false),
        Err(error) => Err(error),
    }
}
