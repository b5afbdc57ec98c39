//! Who waits for the end of a session in this process.

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
