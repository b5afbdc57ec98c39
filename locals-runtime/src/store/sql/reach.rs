//! A connection to a server by itself, beside the pool.

use std::fmt;

use sqlx::Connection;
use tokio::time::timeout;

use crate::{
    model::error::StoreError,
    store::sql::{failure::timed_out, settings::TIMEOUT},
};

/// Opens a connection by itself, in time. A pool would say no more than that there was none in time.
///
/// # Errors
/// [`StoreError::Backend`] with what the server, or the way to it, says.
pub(super) async fn connect<C: Connection>(options: &C::Options) -> Result<C, StoreError> {
    let connection = timeout(TIMEOUT, C::connect_with(options)).await;
    connection
        .unwrap_or_else(|_| Err(timed_out("no connection in time")))
        .map_err(|source| StoreError::backend(Unreachable { source }))
}

/// No connection to the server.
#[derive(Debug)]
struct Unreachable {
    source: sqlx::Error,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server of the database cannot be reached")
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
