//! The app's data of a session or a guest: a type in the app, JSON in the store.

mod json;
mod merge;
mod part;
mod repair;
mod typed;
mod writable;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;

pub use typed::SessionData;
pub(crate) use typed::{MAX_BYTES, MAX_WRITE_TRIES, changed, default_text, read, too_busy};
