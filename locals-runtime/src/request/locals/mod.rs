//! `Locals`, and its verbs: one file for each subject.

mod client;
mod conflicts;
mod current_session;
mod devices;
mod guest;
mod impersonate;
mod log_in;
mod log_out;
mod reauthenticate;
mod session_data;

pub use current_session::Locals;
