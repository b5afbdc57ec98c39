//! `locals::testing`: sessions for tests, the jar, and the examination of an app's hygiene.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod broken;
mod hygiene;
mod sessions;
