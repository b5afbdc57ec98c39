//! The errors of `sqlx` as errors of this crate.

use crate::{
    model::error::{Error, StoreError},
    store::sql::failure::is_outage,
};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::backend(error)
    }
}

/// For the app's own queries. An outage, such as a lost connection, a full pool or a deadlock, is
/// [`Error::Store`], 503, as where a query of ours meets it. Everything else is [`Error::Query`], 500: it
/// would fail again. So is what only the app knows the meaning of, which it is to see before: a row that
/// is missing, by `fetch_optional`, and a value that is taken, by `is_unique_violation`.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) { StoreError::from(error).into() } else { Self::Query(error.into()) }
    }
}
