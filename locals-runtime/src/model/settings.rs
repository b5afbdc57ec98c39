//! The app's settings for its sessions on the server.

use std::time::Duration;

use crate::model::{data, error::ConfigError, lifecycle::Lifetime};

/// How long a count of the guests is cached, and how often a full store is logged.
pub(crate) const GUEST_COUNT_LASTS: Duration = Duration::from_mins(1);

/// How often tokens are rotated, if rotation is enabled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RotationPolicy {
    pub every: Duration,
    /// How long the old token is still accepted, for requests that were under way.
    pub overlap: Duration,
}

/// The app's settings for its sessions.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub lifetime: Lifetime,
    pub rotation: Option<RotationPolicy>,
    pub token_reuse: TokenReuse,
    /// The maximum number of sessions per user. Beyond it, the oldest are ended.
    pub max_sessions: Option<usize>,
    /// How long the data of a guest are kept after they were last written.
    pub guest_lifetime: Duration,
    /// The maximum size of the JSON of a guest, in bytes.
    pub guest_data_limit: usize,
    /// The maximum number of guests in the store.
    pub max_guests: u64,
}

/// What happens when a token that has been rotated is presented after the overlap; see
/// [`AuthBuilder::on_token_reuse`](crate::AuthBuilder::on_token_reuse).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TokenReuse {
    /// The session is ended, also for the holder of the new token.
    #[default]
    EndSession,
    /// The event `token_superseded` is logged, and the session continues.
    Log,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifetime: Lifetime::default(),
            rotation: None,
            token_reuse: TokenReuse::default(),
            max_sessions: Some(100),
            guest_lifetime: Duration::from_hours(7 * 24),
            guest_data_limit: 8 * 1024,
            max_guests: 100_000,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.lifetime.check()?;
        if self.max_sessions == Some(0) {
            let reason = "AuthBuilder::max_sessions is 0, but then nobody could log in";
            return Err(ConfigError(reason.to_owned()));
        }
        if self.guest_lifetime.is_zero() {
            let reason = "AuthBuilder::guest_lifetime is zero, but then nothing would be kept";
            return Err(ConfigError(reason.to_owned()));
        }
        if self.guest_data_limit == 0 {
            let reason = "AuthBuilder::guest_data_limit is 0, but then nothing could be kept";
            return Err(ConfigError(reason.to_owned()));
        }
        if self.guest_data_limit > data::MAX_BYTES {
            return Err(ConfigError(format!(
                "AuthBuilder::guest_data_limit is {}, but neither a session nor a guest holds more \
                 than {} bytes",
                self.guest_data_limit,
                data::MAX_BYTES
            )));
        }
        if self.max_guests == 0 {
            let reason = "AuthBuilder::max_guests is 0, but then no guest could be kept";
            return Err(ConfigError(reason.to_owned()));
        }
        let Some(RotationPolicy { every, overlap }) = self.rotation else { return Ok(()) };
        if overlap < Duration::from_millis(1) {
            return Err(ConfigError(format!(
                "AuthBuilder::rotation_overlap is {overlap:?}, but it must be at least a \
                 millisecond: without an overlap the parallel requests of a page would log their \
                 user out"
            )));
        }
        if every <= overlap {
            return Err(ConfigError(format!(
                "AuthBuilder::rotate_every is {every:?}, but it must be longer than the \
                 {overlap:?} for which the old token still opens the session"
            )));
        }
        Ok(())
    }
}
