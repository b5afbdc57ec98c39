//! Runs statements on the pool: with a timeout, on a working connection, and with retries where safe.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use sqlx::{Connection, SqlSafeStr, SqlStr, pool::PoolConnection};
use tokio::{
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};

use crate::{
    model::error::StoreError,
    store::sql::{
        driver::{Dialect, Value},
        failure::{Remedy, remedy, timed_out},
        store::SqlStore,
    },
};

/// How often a statement is retried that the database aborted because of a conflict. This is safe because
/// it has changed nothing.
const CONFLICT_RETRIES: u32 = 29;

/// The maximum pause before a retry, in milliseconds.
const MAX_PAUSE: u64 = 64;

/// One statement of a transaction.
pub(super) struct Step<'a> {
    pub sql: &'a SqlStr,
    pub values: Vec<Value<'a>>,
    /// Whether the transaction is rolled back if this statement changes no row.
    pub is_required: bool,
}

/// Work on a connection. It owns its inputs, so that it can continue in a task of its own.
pub(super) trait Work<D: Dialect>: Send + 'static {
    type Output: Send + 'static;

    /// Whether it may be repeated if it is unknown whether it was executed. If not, its connection
    /// is tested first.
    const IS_READ: bool;

    fn run(
        self,
        connection: &mut D::Connection,
    ) -> impl Future<Output = sqlx::Result<Self::Output>> + Send;
}

/// Runs a statement that reads, and returns the rows.
struct Fetch<D: Dialect>(SqlStr, D::Arguments);

impl<D: Dialect> Work<D> for Fetch<D> {
    type Output = Vec<D::Row>;

    const IS_READ: bool = true;

    async fn run(self, connection: &mut D::Connection) -> sqlx::Result<Vec<D::Row>> {
        D::fetch(connection, self.0, self.1).await
    }
}

/// Runs a statement that writes, and returns how many rows it changed.
struct Execute<D: Dialect>(SqlStr, D::Arguments);

impl<D: Dialect> Work<D> for Execute<D> {
    type Output = u64;

    const IS_READ: bool = false;

    async fn run(self, connection: &mut D::Connection) -> sqlx::Result<u64> {
        D::execute(connection, self.0, self.1).await
    }
}

/// Runs steps in one transaction or savepoint: all or none. Returns the index of the required step that
/// changed no row, if the transaction was rolled back because of it.
pub(super) struct All<D: Dialect> {
    steps: Vec<(SqlStr, D::Arguments, bool)>,
    /// Begins the transaction; `None` inside a transaction of the app, where a savepoint is used.
    begin: Option<SqlStr>,
}

impl<D: Dialect> All<D> {
    pub(super) fn new(steps: &[Step<'_>], begin: Option<SqlStr>) -> sqlx::Result<Self> {
        let bind = |step: &Step| Ok((step.sql.clone(), D::bind(&step.values)?, step.is_required));
        Ok(Self { steps: steps.iter().map(bind).collect::<sqlx::Result<_>>()?, begin })
    }
}

impl<D: Dialect> Work<D> for All<D> {
    type Output = Option<usize>;

    const IS_READ: bool = false;

    async fn run(self, connection: &mut D::Connection) -> sqlx::Result<Option<usize>> {
        let mut transaction = match self.begin {
            Some(begin) => connection.begin_with(begin).await?,
            None => connection.begin().await?,
        };
        for (place, (sql, arguments, is_required)) in self.steps.into_iter().enumerate() {
            match D::execute(&mut transaction, sql, arguments).await {
                Ok(0) if is_required => {
                    transaction.rollback().await?;
                    return Ok(Some(place));
                }
                Ok(_) => {}
                Err(error) => {
                    // The first error is more helpful than an error of the rollback.
                    let _ = transaction.rollback().await;
                    return Err(error);
                }
            }
        }
        transaction.commit().await?;
        Ok(None)
    }
}

impl<D: Dialect, T> SqlStore<D, T> {
    /// Runs a statement that reads.
    pub(super) async fn fetch(
        &self,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Vec<D::Row>, StoreError> {
        self.run(|| Ok(Fetch::<D>(sql.clone(), D::bind(values)?))).await
    }

    /// Runs a statement that writes. Returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        self.run(|| Ok(Execute::<D>(sql.clone(), D::bind(values)?))).await
    }

    /// Runs steps in one transaction. Returns the same as [`All`].
    pub(super) async fn execute_all(
        &self,
        steps: &[Step<'_>],
    ) -> Result<Option<usize>, StoreError> {
        self.run(|| All::<D>::new(steps, Some(D::SQL.begin.into_sql_str()))).await
    }

    /// Runs some work within the timeout. Retries where that is safe, on another connection if necessary.
    async fn run<W: Work<D>>(
        &self,
        work: impl Fn() -> sqlx::Result<W>,
    ) -> Result<W::Output, StoreError> {
        let attempts = async {
            let mut tries = Tries::default();
            let mut held = None;
            let mut permit = None;
            loop {
                let lease = match held.take() {
                    Some(lease) => lease,
                    None if W::IS_READ => Lease::new(self.acquire().await?),
                    None => self.writer(&mut permit).await?,
                };
                let must_be_ready = !W::IS_READ || tries.has_lost_one;
                let attempt = attempt(lease, must_be_ready, work()?);
                // The driver of SQLite completes a statement even if its future is dropped.
                let (lease, result) = match D::SQL.timeout {
                    None => attempt.await,
                    Some(_) => DetachOnDrop::new(attempt).await,
                };
                let error = match result {
                    Ok(Some(output)) => return Ok(output),
                    Ok(None) => continue,
                    Err(error) => error,
                };
                match tries.next::<D>(&error, W::IS_READ, || self.other_connections()) {
                    Next::GiveUp => {
                        if remedy(&error) == Remedy::OtherServer {
                            self.shared.note_demotion();
                        }
                        return Err(error);
                    }
                    Next::Elsewhere => {}
                    Next::Here(pause) => {
                        held = Some(lease);
                        if let Some(pause) = pause {
                            sleep(pause).await;
                        }
                    }
                }
            }
        };
        Ok(in_time::<D, _>(attempts).await?)
    }

    /// How many other connections a write tries after it has found a read-only server.
    fn other_connections(&self) -> u32 {
        if self.shared.is_demoted() { 1 } else { self.pool.size() + 1 }
    }

    /// Acquires a connection of the pool. A connection that is being opened is completed even if
    /// the request is dropped, so that a later request can use it.
    async fn acquire(&self) -> sqlx::Result<PoolConnection<D>> {
        let acquire = self.pool.acquire();
        if self.pool.num_idle() > 0 || D::SQL.timeout.is_none() {
            return acquire.await;
        }
        DetachOnDrop::new(acquire).await
    }

    /// Acquires a connection and the permit to write.
    async fn writer(&self, permit: &mut Option<OwnedSemaphorePermit>) -> sqlx::Result<Lease<D>> {
        let work = async {
            // Before the connection, so that waiting writers do not take connections from readers.
            if permit.is_none() {
                *permit = Arc::clone(&self.shared.writers).acquire_owned().await.ok();
            }
            Ok(Lease::new(self.acquire().await?))
        };
        // Both together may take as long as the pool allows for the connection.
        let limit = self.pool.options().get_acquire_timeout();
        timeout(limit, work).await.unwrap_or_else(|_| {
            Err(timed_out("no permit or no connection to write within the timeout"))
        })
    }

    /// Acquires a working connection and the permit to write, for a migration, which has no timeout.
    pub(super) async fn ready_writer(
        &self,
    ) -> sqlx::Result<(Lease<D>, Option<OwnedSemaphorePermit>)> {
        let mut permit = None;
        loop {
            let mut lease = self.writer(&mut permit).await?;
            if D::is_ready(&mut lease.connection).await {
                return Ok((lease, permit));
            }
        }
    }
}

/// Runs some work once. Returns `None` if the connection does not work.
async fn attempt<D: Dialect, W: Work<D>>(
    mut lease: Lease<D>,
    must_be_ready: bool,
    work: W,
) -> (Lease<D>, sqlx::Result<Option<W::Output>>) {
    let result = in_statement_time::<D, _>(async {
        let connection = &mut lease.connection;
        if must_be_ready && !D::is_ready(connection).await {
            return Ok(None);
        }
        work.run(connection).await.map(Some)
    })
    .await;
    match &result {
        Ok(None) => {}
        Ok(Some(_)) => lease.has_ended = true,
        Err(error) => match remedy(error) {
            Remedy::OtherConnection | Remedy::OtherServer | Remedy::None { closes: true } => {}
            Remedy::FreshStatement => {
                lease.has_ended = D::forget_statements(&mut lease.connection).await.is_ok();
            }
            Remedy::Again | Remedy::None { closes: false } => lease.has_ended = true,
        },
    }
    (lease, result)
}

/// What has been tried so far.
#[derive(Default)]
struct Tries {
    conflicts: u32,
    has_lost_one: bool,
    is_prepared_anew: bool,
    /// How many more connections may be tried that turn out to lead to a read-only server.
    others: Option<u32>,
}

enum Next {
    GiveUp,
    /// Retry on this connection, after this pause.
    Here(Option<Duration>),
    /// Retry on another connection.
    Elsewhere,
}

impl Tries {
    fn next<D: Dialect>(
        &mut self,
        error: &sqlx::Error,
        is_read: bool,
        other_connections: impl Fn() -> u32,
    ) -> Next {
        match remedy(error) {
            Remedy::Again if self.conflicts < CONFLICT_RETRIES => {
                self.conflicts += 1;
                Next::Here(D::SQL.timeout.map(|_| pause(self.conflicts)))
            }
            // A write may have been executed on the lost connection.
            Remedy::OtherConnection if is_read && !self.has_lost_one => {
                self.has_lost_one = true;
                Next::Elsewhere
            }
            Remedy::OtherServer => {
                let others = self.others.unwrap_or_else(other_connections).checked_sub(1);
                self.others = others;
                others.map_or(Next::GiveUp, |_| Next::Elsewhere)
            }
            Remedy::FreshStatement if !self.is_prepared_anew => {
                self.is_prepared_anew = true;
                Next::Here(None)
            }
            _ => Next::GiveUp,
        }
    }
}

/// Returns a random pause before a retry, so that conflicting transactions do not conflict again.
fn pause(retries: u32) -> Duration {
    let longest = (2_u64 << retries.min(16)).min(MAX_PAUSE) * 1000;
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    Duration::from_micros(u64::from(random) % longest)
}

/// Work that continues in a task of its own if its future is dropped.
///
/// Otherwise a client that disconnects would cancel a statement, and a connection that is left in the
/// middle of a statement has to be closed.
struct DetachOnDrop<F: Future + Send + 'static>(Option<Pin<Box<F>>>)
where
    F::Output: Send;

impl<F: Future + Send + 'static> DetachOnDrop<F>
where
    F::Output: Send,
{
    fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F: Future + Send + 'static> Future for DetachOnDrop<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let poll = work.as_mut().poll(context);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<F: Future + Send + 'static> Drop for DetachOnDrop<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        // If the runtime has shut down, the connection is closed anyway.
        if let Some(work) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}

/// A connection that is closed instead of returned to the pool, unless its statement has completed.
/// Otherwise the reply of an unfinished statement would be taken for that of the next one.
pub(super) struct Lease<D: Dialect> {
    pub(super) connection: PoolConnection<D>,
    pub(super) has_ended: bool,
}

impl<D: Dialect> Lease<D> {
    fn new(connection: PoolConnection<D>) -> Self {
        // The driver of SQLite handles this itself, and an in-memory database must not be closed.
        Self { connection, has_ended: D::SQL.timeout.is_none() }
    }
}

impl<D: Dialect> Drop for Lease<D> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.connection.close_on_drop();
        }
    }
}

/// Applies the timeout of a request. The driver of SQLite has its own.
pub(super) async fn in_time<D: Dialect, R>(
    work: impl Future<Output = sqlx::Result<R>>,
) -> sqlx::Result<R> {
    within(D::SQL.timeout, work).await
}

/// Applies the timeout of a statement. It is longer than that of the request, so that the lock timeout of
/// the server comes first and the connection stays usable.
async fn in_statement_time<D: Dialect, R>(
    work: impl Future<Output = sqlx::Result<R>>,
) -> sqlx::Result<R> {
    within(D::SQL.timeout.map(|limit| limit * 2), work).await
}

async fn within<R>(
    limit: Option<Duration>,
    work: impl Future<Output = sqlx::Result<R>>,
) -> sqlx::Result<R> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(timed_out("no reply within the timeout"))),
    }
}
