//! Runs the tests that examples contain. (With `test = true` for an example, Cargo would build its
//! tests instead of its program.)
#![allow(dead_code, reason = "only the tests are used here")]

#[path = "../../examples/custom_store.rs"]
mod custom_store;
#[path = "../../examples/testing.rs"]
mod testing;
