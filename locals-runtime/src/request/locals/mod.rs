//! `Locals`, and its verbs: one file each.

mod client;
mod conflicts;
mod devices;
mod guest;
mod handle;
mod impersonate;
mod log_in;
mod log_out;
mod reauthenticate;
mod session_data;

pub use handle::Locals;
