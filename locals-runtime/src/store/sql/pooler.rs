//! Whether a pooler stands between the app and PostgreSQL, and what it does to statements.
//!
//! A pooler that shares connections between transactions, as PgBouncer does with `pool_mode =
//! transaction`, sends two transactions of one client to two connections of the server. The driver
//! prepares its statements under names, and each of its connections counts from one: so names of several
//! clients meet, unless the pooler keeps them apart.

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

/// How connections to the server behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each is one connection of the server, for as long as it lasts.
    Own,
    /// They are shared between transactions, and prepared statements are kept apart. What is set on one
    /// would be set for others.
    Shared,
}

/// How long a question may take whose answer may have to wait for another connection.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// How often two connections take turns: a pooler may have several connections to the server.
const ROUNDS: usize = 3;

/// Finds out by two connections of its own.
///
/// # Errors
/// [`StoreError::Schema`] if statements get mixed up; [`StoreError::Backend`] if the server cannot be
/// reached.
pub async fn examine(options: &PgConnectOptions) -> Result<Sharing, StoreError> {
    let mut one = connect(options).await?;
    // A server that has no room for a second one tells nothing.
    let Ok(mut other) = connect(options).await else {
        let _ = one.close().await;
        return Ok(Sharing::Own);
    };
    // In the mode of sessions, a connection waits until the pooler has one of the server for it.
    if is_waiting(&mut one).await || is_waiting(&mut other).await {
        return Ok(Sharing::Own);
    }
    let sharing = match is_shared(&mut one, &mut other).await {
        Ok(false) => Ok(Sharing::Own),
        Ok(true) if are_statements_apart(&mut one, &mut other).await => Ok(Sharing::Shared),
        Ok(true) => Err(StoreError::Schema(POOLER.to_owned())),
        Err(error) => Err(error.into()),
    };
    let _ = timeout(ANSWER_TIMEOUT, async {
        let _ = one.close().await;
        let _ = other.close().await;
    })
    .await;
    sharing
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    super::reach::connect::<PgConnection>(options).await
}

/// Whether a connection has no answer in time, where nothing keeps another one busy.
async fn is_waiting(connection: &mut PgConnection) -> bool {
    !matches!(timeout(ANSWER_TIMEOUT, process(connection)).await, Ok(Ok(_)))
}

/// Whether two connections meet on one of the server, or one of them is on two in turn.
async fn is_shared(one: &mut PgConnection, other: &mut PgConnection) -> sqlx::Result<bool> {
    let first = process(one).await?;
    for _ in 0..ROUNDS {
        // Holds one connection of the server, if it is shared.
        if other.execute(sqlx::raw_sql("BEGIN")).await.is_err() {
            // A pooler that shares connections between statements allows no transactions.
            return Ok(true);
        }
        let others = process(other).await?;
        // It may have to wait for that one.
        let again = timeout(ANSWER_TIMEOUT, process(one)).await;
        other.execute(sqlx::raw_sql("ROLLBACK")).await?;
        let Ok(again) = again else { return Ok(true) };
        if again? != first || others == first {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The process of the server that answers. Prepared statements are what is in doubt here, so it is asked
/// without one.
async fn process(connection: &mut PgConnection) -> sqlx::Result<i32> {
    connection.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid()")).await?.try_get(0)
}

/// Whether each connection goes on to get the answers of its own statements.
async fn are_statements_apart(one: &mut PgConnection, other: &mut PgConnection) -> bool {
    for round in 0..ROUNDS {
        let is_right = timeout(TIMEOUT, async {
            // The first statement of each, which the driver gives the same name.
            Ok::<_, sqlx::Error>(
                answer(one, &format!("one {round}")).await?
                    && (&mut *other).execute(sqlx::raw_sql("BEGIN")).await.is_ok()
                    && answer(other, &format!("other {round}")).await?
                    && (&mut *other).execute(sqlx::raw_sql("COMMIT")).await.is_ok()
                    && answer(one, &format!("one {round}")).await?
                    && answer(other, &format!("other {round}")).await?,
            )
        });
        if !matches!(is_right.await, Ok(Ok(true))) {
            return false;
        }
    }
    // Without names they are prepared and run in two transactions.
    one.cached_statements_size() > 0
}

async fn answer(connection: &mut PgConnection, expected: &str) -> sqlx::Result<bool> {
    let sql = AssertSqlSafe(format!("SELECT '{expected}'"));
    let row = connection.fetch_one(sqlx::query(sql)).await;
    match row {
        Ok(row) => Ok(row.try_get::<String, _>(0)? == expected),
        // What is missing or there twice is what was looked for, whatever else fails is a fault.
        Err(error) if remedy(&error) == (Remedy::None { closes: true }) => Ok(false),
        Err(error) => Err(error),
    }
}
