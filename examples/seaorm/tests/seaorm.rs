//! The example as a program, on PostgreSQL, over HTTP.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod story;

const PROGRAM: &str = env!("CARGO_BIN_EXE_seaorm");
