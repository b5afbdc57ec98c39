//! Statements on the pool: in time, on a living connection, and again where that is safe.

use std::{
    future::Future,
    io::{self, ErrorKind},
    sync::Arc,
};

use sqlx::{Connection, SqlSafeStr, SqlStr, Transaction, pool::PoolConnection};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{Dialect, SqlStore, Value};
use crate::error::StoreError;

/// How often a statement that lost a deadlock is tried. It has changed nothing, so it may be.
const DEADLOCK_TRIES: u32 = 5;

/// A statement of several that are done together.
pub(super) struct Step<'a> {
    pub sql: &'a SqlStr,
    pub values: Vec<Value<'a>>,
    /// Whether none of them is done where this one changes no row.
    pub is_required: bool,
}

impl<D: Dialect, T> SqlStore<D, T> {
    /// Reads. A read that meets a dead connection is done once more, on one that has shown to
    /// live.
    pub(super) async fn fetch(
        &self,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Vec<D::Row>, StoreError> {
        let work = async {
            let mut lease = Lease::new(self.pool.acquire().await?);
            let mut result = D::fetch(&mut lease.connection, sql.clone(), values).await;
            if result.as_ref().is_err_and(is_lost) {
                drop(lease);
                lease = self.living().await?;
                result = D::fetch(&mut lease.connection, sql.clone(), values).await;
            }
            lease.end(result)
        };
        Ok(in_time::<D, _>(work).await?)
    }

    /// Writes; says how many rows changed. It is never done again on another connection: the
    /// lost one may have done it. So the connection shows that it lives before it is used.
    pub(super) async fn execute(
        &self,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let work = async {
            let mut lease = self.living().await?;
            let mut tries = 1;
            loop {
                let result = D::execute(&mut lease.connection, sql.clone(), values).await;
                if tries == DEADLOCK_TRIES || !result.as_ref().is_err_and(is_deadlock) {
                    return lease.end(result);
                }
                tries += 1;
            }
        };
        Ok(in_time::<D, _>(work).await?)
    }

    /// Writes in one transaction: all steps are done, or none. Gives the place of the required one
    /// that has changed no row, if none is done because of it.
    pub(super) async fn execute_all(
        &self,
        steps: &[Step<'_>],
    ) -> Result<Option<usize>, StoreError> {
        let work = async {
            let mut lease = self.living().await?;
            let mut tries = 1;
            loop {
                let transaction = lease.connection.begin_with(D::SQL.begin.into_sql_str()).await;
                let result = all_or_none(transaction, steps).await;
                if tries == DEADLOCK_TRIES || !result.as_ref().is_err_and(is_deadlock) {
                    return lease.end(result);
                }
                tries += 1;
            }
        };
        Ok(in_time::<D, _>(work).await?)
    }

    /// A connection that has answered just now, outside any transaction, and the turn to write.
    pub(super) async fn living(&self) -> sqlx::Result<Lease<D>> {
        let work = async {
            // Before the connection: who waits for a turn keeps no reader from one.
            let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
            loop {
                let mut lease = Lease::new(self.pool.acquire().await?);
                if D::is_ready(&mut lease.connection).await {
                    lease.turn = turn;
                    return Ok(lease);
                }
            }
        };
        // Both together take no longer than the pool lets the one take.
        let patience = self.pool.options().get_acquire_timeout();
        timeout(patience, work)
            .await
            .unwrap_or_else(|_| Err(late("neither turn nor connection to write in time")))
    }
}

/// A connection that is closed, and not given back, unless its statement has come to its end.
/// One that was left in the middle, by time running out or by a request that went away, would
/// take the old answer for that of the next statement.
pub(super) struct Lease<D: Dialect> {
    pub(super) connection: PoolConnection<D>,
    /// Given on with the connection.
    turn: Option<OwnedSemaphorePermit>,
    ended: bool,
}

impl<D: Dialect> Lease<D> {
    fn new(connection: PoolConnection<D>) -> Self {
        // The driver of SQLite minds this itself, and a database in memory must not be closed.
        Self { connection, turn: None, ended: D::SQL.patience.is_none() }
    }

    /// Takes note of how the statement ended, and gives that on.
    pub(super) fn end<R>(mut self, result: sqlx::Result<R>) -> sqlx::Result<R> {
        self.ended |= !matches!(&result, Err(error) if is_lost(error));
        result
    }
}

impl<D: Dialect> Drop for Lease<D> {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// Takes these steps and commits, or rolls back; says as `execute_all` does why.
pub(super) async fn all_or_none<D: Dialect>(
    transaction: sqlx::Result<Transaction<'_, D>>,
    steps: &[Step<'_>],
) -> sqlx::Result<Option<usize>> {
    let mut transaction = transaction?;
    for (place, step) in steps.iter().enumerate() {
        match D::execute(&mut transaction, step.sql.clone(), &step.values).await {
            Ok(0) if step.is_required => {
                transaction.rollback().await?;
                return Ok(Some(place));
            }
            Ok(_) => {}
            Err(error) => {
                // The first error says more than one of giving up.
                let _ = transaction.rollback().await;
                return Err(error);
            }
        }
    }
    transaction.commit().await?;
    Ok(None)
}

/// Gives work its time, and no more. Where the driver keeps time itself, as that of SQLite does,
/// there is no clock beside it.
pub(super) async fn in_time<D: Dialect, R>(
    work: impl Future<Output = sqlx::Result<R>>,
) -> sqlx::Result<R> {
    match D::SQL.patience {
        None => work.await,
        Some(patience) => {
            timeout(patience, work).await.unwrap_or_else(|_| Err(late("no answer in time")))
        }
    }
}

fn late(what: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, what))
}

/// Whether the connection is gone, or the server that was at its other end.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // Class 08 is a connection exception; 57P is PostgreSQL's when it goes down, 70100 and
        // 1927 are those of MySQL and MariaDB for a connection that was killed.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "70100" || code == "1927"
        }),
        _ => false,
    }
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    // Serialisation failure (both), deadlock (PostgreSQL).
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "40001" || code == "40P01")
}
