//! The differences between databases: SQL statements and names of types.

#[macro_use]
mod columns;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "mysql")]
pub use mysql::MYSQL;
#[cfg(feature = "postgres")]
pub use postgres::POSTGRES;
pub use sql::{Rights, Sql, Statements, Types, UuidForm};
#[cfg(feature = "sqlite")]
pub use sqlite::SQLITE;
