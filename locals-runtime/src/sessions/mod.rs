//! Sessions on the server, without a request.

pub(crate) mod accounts;
pub(crate) mod actor;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod creation;
pub(crate) mod creation_times;
pub(crate) mod end_notifier;
pub(crate) mod guest_quota;
pub(crate) mod guests;
pub(crate) mod impersonation_guard;
pub(crate) mod invalidation;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod manager;
pub(crate) mod renewal;
pub(crate) mod session;
pub(crate) mod sweeper;
pub(crate) mod token_change;
#[cfg(feature = "sql")]
pub(crate) mod transaction;
pub(crate) mod verified;
pub(crate) mod wait_for_end;
pub(crate) mod write_permits;
