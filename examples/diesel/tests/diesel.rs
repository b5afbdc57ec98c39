//! The example as a program, on PostgreSQL, over HTTP.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

// The two apps have the same routes.
#[path = "../../seaorm/tests/story/mod.rs"]
mod story;

const PROGRAM: &str = env!("CARGO_BIN_EXE_diesel-users");
