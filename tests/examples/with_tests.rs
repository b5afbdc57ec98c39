//! The examples that have tests of their own, which run here. (With `test = true` at an example
//! Cargo would build its tests in place of its program.)
#![allow(dead_code, reason = "their programs run as such")]

#[path = "../../examples/custom_store.rs"]
mod custom_store;
#[path = "../../examples/testing.rs"]
mod testing;
