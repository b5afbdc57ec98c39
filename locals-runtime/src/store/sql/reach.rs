//! Single connections to a server, outside of the pool.

use std::fmt;

use sqlx::Connection;
use tokio::time::timeout;

use crate::{
    model::error::StoreError,
    store::sql::{failure::timed_out, settings::TIMEOUT},
};

/// Opens a single connection, within the timeout. Unlike a pool, which would report only a timeout, it
/// returns the cause of a failure.
///
/// # Errors
/// [`StoreError::Backend`] with the error of the server or of the network.
pub(super) async fn connect<C: Connection>(options: &C::Options) -> Result<C, StoreError> {
    let connection = timeout(TIMEOUT, C::connect_with(options)).await;
    connection
        .unwrap_or_else(|_| Err(timed_out("no connection within the timeout")))
        .map_err(|source| StoreError::backend(Unreachable { source }))
}

/// The error if no connection to the server can be opened.
#[derive(Debug)]
struct Unreachable {
    source: sqlx::Error,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database server cannot be reached")
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
