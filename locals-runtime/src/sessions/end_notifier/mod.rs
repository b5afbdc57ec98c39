//! Notifies those in this process who wait for the end of a session.

use std::sync;

use tokio::sync::Notify;

#[cfg(test)]
mod interleaved;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use waiting::EndNotifier;
#[cfg(test)]
pub(crate) use waiting::Ending;
