//! How a session is meant when it is created.

use crate::{clock::Timestamp, error::ConfigError, lifecycle::Lifetime, session::Periods};

/// How a user signs in, where it is not as the app's sessions are by default.
///
/// ```
/// # use locals::{AuthUser, Error, Locals, LogInOptions, with_session};
/// # #[derive(Clone, AuthUser)]
/// # struct Account { id: i64 }
/// # async fn verify() -> (Account, bool) { (Account { id: 1 }, false) }
/// #[with_session]
/// async fn login(locals: Locals) -> Result<&'static str, Error> {
///     let (account, stay_signed_in) = verify().await;
///     locals.log_in_with(&account, LogInOptions::new().remember(stay_signed_in)).await?;
///     Ok("Signed in")
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogInOptions {
    pub(crate) is_persistent: bool,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) authenticated_at: Option<Timestamp>,
}

impl Default for LogInOptions {
    fn default() -> Self {
        Self { is_persistent: true, lifetime: None, authenticated_at: None }
    }
}

impl LogInOptions {
    /// As the app's sessions are by default: remembered, with the life that the app gives them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the browser keeps the session when it is closed. With `false` the cookie has no
    /// `Max-Age`, and a browser forgets it, which is what "do not stay signed in" means; some
    /// bring it back when they restore their windows. The server's own limits hold either way.
    pub fn remember(self, remember: bool) -> Self {
        Self { is_persistent: remember, ..self }
    }

    /// A life of its own, such as a shorter one on a shared computer. Renewals keep it.
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// When the user proved who they are, if that was before now, such as for a session that is made
    /// in exchange for one of another kind: what asks for a recent log-in then asks for another proof.
    /// A time to come counts as now.
    pub fn authenticated_at(self, time: Timestamp) -> Self {
        Self { authenticated_at: Some(time), ..self }
    }
}

/// The life of a session that is created now.
#[derive(Debug)]
pub(crate) struct Span {
    pub active_expires_at: Timestamp,
    pub idle_expires_at: Timestamp,
    pub absolute_expires_at: Timestamp,
    pub periods: Option<Periods>,
}

impl Span {
    /// `latest`: an end that no life goes past.
    pub(crate) fn new(
        lifetime: Lifetime,
        options: &LogInOptions,
        now: Timestamp,
        latest: Option<Timestamp>,
    ) -> Result<Self, ConfigError> {
        if let Some(own) = &options.lifetime {
            own.check()?;
        }
        let lifetime = options.lifetime.unwrap_or(lifetime);
        let end = lifetime.end(now);
        let absolute_expires_at = latest.map_or(end, |latest| latest.min(end));
        let (active_expires_at, idle_expires_at) = lifetime.periods(now, absolute_expires_at);
        let periods = options.lifetime.map(Lifetime::own_periods);
        Ok(Self { active_expires_at, idle_expires_at, absolute_expires_at, periods })
    }
}
