//! The types of sessions and the decisions about them: pure code without a server, a store or a request.

pub(crate) mod account;
pub(crate) mod credential;
pub(crate) mod data;
#[cfg(feature = "device-names")]
pub(crate) mod device_name;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod guest;
pub(crate) mod guest_successor;
pub(crate) mod hashes;
pub(crate) mod lifecycle;
pub(crate) mod log_in_options;
pub(crate) mod max_sessions;
pub(crate) mod record;
pub(crate) mod session_id;
pub(crate) mod settings;
pub(crate) mod time;
pub(crate) mod token;
pub(crate) mod token_check;
pub(crate) mod user;
pub(crate) mod user_id;
pub(crate) mod user_table;
