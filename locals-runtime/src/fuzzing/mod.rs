//! Properties that hold for every untrusted input: one function for each parser, which panics if its
//! property does not hold. `cargo fuzz` runs them for minutes, from `fuzz/`; the tests below run them
//! briefly, with the same seeds and dictionaries.
//!
//! Not part of the API: compiled only for fuzzing and tests.

mod cookie;
mod input;
mod next;
mod origin;
#[cfg(test)]
mod tests;
mod token;

pub use self::{cookie::cookie, next::next, origin::origin, token::token};
