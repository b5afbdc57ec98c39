//! The example as its users run it, on PostgreSQL, over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod story;

const PROGRAM: &str = env!("CARGO_BIN_EXE_seaorm");
