//! The example as its users run it, on PostgreSQL, over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

// The two apps look alike from outside.
#[path = "../../seaorm/tests/story/mod.rs"]
mod story;

const PROGRAM: &str = env!("CARGO_BIN_EXE_diesel-users");
