//! One app under attack, and those who attack it.
//!
//! What is short runs as a test, with `cargo test --workspace --all-features`; `cargo xtask` runs the
//! same for as long as it is told to.
#![allow(clippy::missing_errors_doc, clippy::missing_panics_doc, reason = "it ends with its cause")]

pub mod app;
pub mod client;
pub mod database;
pub mod fuzz;
pub mod history;
pub mod load;
pub mod operation;
pub mod server;

#[path = "../../faults/proxy.rs"]
#[allow(clippy::unwrap_used, reason = "it is shared with tests")]
mod proxy;
