//! `locals::testing`: sessions for tests, and the jar.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod sessions;
