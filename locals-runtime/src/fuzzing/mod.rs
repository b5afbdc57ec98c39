//! What holds for every input that a stranger sends: one function for each parser, which panics
//! where it does not hold. `cargo fuzz` feeds them for minutes, from `fuzz/`; the tests below for a
//! moment, with the same seeds and the same words.
//!
//! No part of the API: compiled only for the two.

mod cookie;
mod input;
mod next;
mod origin;
#[cfg(test)]
mod tests;
mod token;

pub use self::{cookie::cookie, next::next, origin::origin, token::token};
