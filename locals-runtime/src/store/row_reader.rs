//! How a user is made of a row, where only the derive knows the type of the user.
//!
//! `SqlStore` takes users without `FromRow`, too: [`WithLoader`](crate::store::WithLoader) reads the
//! sessions alone. So what checks a store has no bound by which it could read a row. The derive has
//! none either, but it knows the type by name, and there the compiler can be asked: `Rows::<T, D>::reader`
//! is the inherent function where the bounds of that one hold, and else the function of the same name of
//! the trait [`NoReader`], which every type has. For a type parameter it would always be the latter.

use std::{any::Any, fmt, marker::PhantomData};

#[cfg(feature = "mysql")]
pub use sqlx::MySql;
#[cfg(feature = "postgres")]
pub use sqlx::Postgres;
#[cfg(feature = "sqlite")]
pub use sqlx::Sqlite;

/// Stands for a database whose feature is off: no user is made of its rows.
macro_rules! absent {
    ($($feature:literal: $database:ident;)+) => {$(
        /// A database whose feature is off.
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

/// Rows of the database `D` that may be users `T`.
pub struct Rows<T, D>(PhantomData<(T, D)>);

#[cfg(feature = "sql")]
impl<T, D> Rows<T, D>
where
    D: crate::store::Dialect,
    T: for<'r> sqlx::FromRow<'r, D::Row> + 'static,
{
    /// By `FromRow`.
    pub fn reader() -> Option<Box<dyn Any>> {
        let read: crate::store::ReadRow<D, T> = |row| T::from_row(row);
        Some(Box::new(read))
    }
}

/// What all rows have, and what is called where nothing better is there.
pub trait NoReader {
    /// None is known.
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

/// The body of `AuthUser::row_reader`, where the type of the user is known by name.
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
