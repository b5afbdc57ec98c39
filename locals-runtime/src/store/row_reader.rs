//! Finds the function that decodes a user from a row, in code that has no `FromRow` bound.
//!
//! `SqlStore` also accepts users without `FromRow`, because [`WithLoader`](crate::store::WithLoader)
//! reads only the sessions. So the code that checks a store has no bound by which it could decode a row.
//! The derive has no bound either, but it names a concrete type. There `Rows::<T, D>::reader` resolves to
//! the inherent function if its bounds hold, and otherwise to the function of the same name of the trait
//! [`NoReader`], which every type implements. For a type parameter it would
//! always resolve to the latter.

use std::{any::Any, fmt, marker::PhantomData};

#[cfg(feature = "mysql")]
pub use sqlx::MySql;
#[cfg(feature = "postgres")]
pub use sqlx::Postgres;
#[cfg(feature = "sqlite")]
pub use sqlx::Sqlite;

/// Declares placeholders for databases whose feature is disabled.
macro_rules! absent {
    ($($feature:literal: $database:ident;)+) => {$(
        /// A placeholder for a database whose feature is disabled.
        #[cfg(not(feature = $feature))]
        #[derive(Debug)]
        pub enum $database {}
    )+};
}

absent! {
    "sqlite": Sqlite;
    "postgres": Postgres;
    "mysql": MySql;
}

/// Rows of the database `D` that may decode to users `T`.
pub struct Rows<T, D>(PhantomData<(T, D)>);

#[cfg(feature = "sql")]
impl<T, D> Rows<T, D>
where
    D: crate::store::Dialect,
    T: for<'r> sqlx::FromRow<'r, D::Row> + 'static,
{
    /// Decodes by `FromRow`.
    pub fn reader() -> Option<Box<dyn Any>> {
        let read: crate::store::ReadRow<D, T> = |row| T::from_row(row);
        Some(Box::new(read))
    }
}

/// The fallback for rows that cannot be decoded by `FromRow`.
pub trait NoReader {
    /// Returns `None`.
    fn reader() -> Option<Box<dyn Any>> {
        None
    }
}

impl<T, D> NoReader for Rows<T, D> {}

impl<T, D> fmt::Debug for Rows<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

/// The body of `AuthUser::row_reader`, which needs a concrete user type.
#[doc(hidden)]
#[macro_export]
macro_rules! __row_reader {
    ($user:ty, $database:ident) => {{
        use $crate::handler::row_reader::{MySql, NoReader as _, Postgres, Rows, Sqlite};

        if $database == ::core::any::TypeId::of::<Sqlite>() {
            Rows::<$user, Sqlite>::reader()
        } else if $database == ::core::any::TypeId::of::<Postgres>() {
            Rows::<$user, Postgres>::reader()
        } else if $database == ::core::any::TypeId::of::<MySql>() {
            Rows::<$user, MySql>::reader()
        } else {
            ::core::option::Option::None
        }
    }};
}
