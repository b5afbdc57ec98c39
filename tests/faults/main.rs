//! Databases that fail, and processes that are killed, under apps that go on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod cancelled;
#[cfg(feature = "postgres")]
mod clocks;
mod expand_and_contract;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod failover;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod flood;
mod killed;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod locks;
mod migrating;
#[cfg(feature = "postgres")]
mod nodes;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod outage;
#[cfg(feature = "mysql")]
mod own_mariadb;
#[cfg(feature = "postgres")]
mod own_postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod own_server;
#[cfg(feature = "postgres")]
mod pgbouncer;
#[cfg(feature = "postgres")]
mod poolers;
mod process;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod proxied;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod proxy;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod serializable;
#[cfg(any(feature = "postgres", feature = "mysql"))]
#[path = "../store/servers.rs"]
mod servers;
mod settings;
mod sqlite;
mod support;
mod transactions;
