//! The example as its users run it, and a local provider, over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod log_in;
mod provider;
mod site;
