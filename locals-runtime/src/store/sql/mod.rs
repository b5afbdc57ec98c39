//! The store in an SQL database: tables of sessions and guests next to the app's own table of users.

mod catalog;
mod check;
mod dialect;
mod driver;
mod errors;
mod failure;
mod migrate;
mod names;
mod open;
#[cfg(feature = "postgres")]
mod pooler;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod reach;
mod record;
mod run;
mod sessions;
mod settings;
mod store;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod tls;
mod transaction;
mod user_statements;
mod users;
mod verbs;
mod with_user;

pub use driver::Dialect;
pub(crate) use failure::advice;
pub(crate) use store::ReadRow;
pub use store::SqlStore;
pub use verbs::VerbSql;
