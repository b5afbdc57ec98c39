//! Conversions from the errors of `sqlx`.

use crate::{
    model::error::{Error, StoreError},
    store::sql::failure::is_outage,
};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::backend(error)
    }
}

/// For the app's own queries. An outage, such as a lost connection, an exhausted pool or a deadlock,
/// becomes [`Error::Store`], 503, as for the library's own queries. Everything else becomes
/// [`Error::Query`], 500, because it would fail again. That includes cases that only the app can
/// interpret and should handle itself: a missing row, with `fetch_optional`, and a value that is already
/// taken, with `is_unique_violation`.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) { StoreError::from(error).into() } else { Self::Query(error.into()) }
    }
}
