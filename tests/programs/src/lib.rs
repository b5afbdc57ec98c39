//! Programs from outside, started by tests and ended with them.
#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by ending"
)]

#[cfg(feature = "browser")]
mod browser;
mod program;
mod visitor;

#[cfg(feature = "browser")]
pub use browser::{Browser, PATIENCE, Screen, keeping_pictures};
#[cfg(feature = "browser")]
pub use fantoccini;
pub use program::{Program, examples_binary, find};
pub use visitor::{Answer, Visitor};
