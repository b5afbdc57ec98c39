//! The example as a program, with a local provider, over HTTP.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod log_in;
mod provider;
mod site;
