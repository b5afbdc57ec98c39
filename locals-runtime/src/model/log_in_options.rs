//! The options of a login, and the expiry times of a new session.

use crate::model::{error::ConfigError, lifecycle::Lifetime, record::Periods, time::Timestamp};

/// Options of a login that differ from the app's defaults.
///
/// ```
/// # use locals::{AuthUser, Error, Locals, LogInOptions, with_session};
/// # #[derive(Clone, AuthUser)]
/// # struct Account { id: i64 }
/// # async fn verify() -> (Account, bool) { (Account { id: 1 }, false) }
/// #[with_session]
/// async fn login(locals: Locals) -> Result<&'static str, Error> {
///     let (account, stay_logged_in) = verify().await;
///     locals.log_in_with(&account, LogInOptions::new().remember(stay_logged_in)).await?;
///     Ok("Logged in")
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
    /// Returns the defaults: a remembered session with the app's lifetime.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the session survives when the browser is closed. `true` by default. With `false`,
    /// for users who do not want to stay logged in, the cookie has no `Max-Age`, and the browser deletes
    /// it when it is closed; but some browsers keep it when they restore their windows. The limits on the
    /// server apply either way.
    pub fn remember(self, remember: bool) -> Self {
        Self { is_persistent: remember, ..self }
    }

    /// Sets a lifetime for this session, such as a shorter one on a shared computer. Renewals keep it.
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Sets when the user authenticated, if that was earlier than now. Use it for a session that is
    /// created in exchange for another kind of session, so that whatever requires a recent login asks for
    /// re-authentication.
    ///
    /// A time up to a minute in the future counts as now. A later one comes from a clock that was wrong
    /// and counts as long ago (as 1970).
    pub fn authenticated_at(self, time: Timestamp) -> Self {
        Self { authenticated_at: Some(time), ..self }
    }
}

impl LogInOptions {
    /// Returns the time of authentication of a session that is created now.
    pub(crate) fn authentication_time(&self, now: Timestamp) -> Timestamp {
        match self.authenticated_at {
            None => now,
            Some(time) if time.age_at(now).is_some() => time.min(now),
            Some(_) => Timestamp::from_millis(0),
        }
    }
}

/// The expiry times of a session that is created now.
#[derive(Debug)]
pub(crate) struct Expiries {
    pub active_expires_at: Timestamp,
    pub idle_expires_at: Timestamp,
    pub absolute_expires_at: Timestamp,
    pub periods: Option<Periods>,
}

impl Expiries {
    /// Computes the expiry times. None of them is after `latest`.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(hours: u32) -> Timestamp {
        Timestamp::from_millis(0) + hours * HOUR
    }

    #[test]
    fn a_login_is_remembered_and_authenticated_now_by_default() {
        let options = LogInOptions::new();
        assert_eq!(options, LogInOptions::default());
        assert!(options.is_persistent && options.lifetime.is_none());
        assert_eq!(options.authentication_time(at(5)), at(5));
        assert!(options.remember(true).is_persistent && !options.remember(false).is_persistent);
        let lifetime = Lifetime::aal3();
        let all = options.remember(false).lifetime(lifetime).authenticated_at(at(1));
        assert_eq!((all.is_persistent, all.lifetime), (false, Some(lifetime)));
        assert_eq!(all.authenticated_at, Some(at(1)));
    }

    #[test]
    fn the_time_of_authentication_is_the_given_one_and_never_in_the_future() {
        let minute = Duration::from_mins(1);
        for (named, proved) in [
            (at(1), at(1)),
            (at(5), at(5)),
            (at(5) + minute, at(5)),
            (at(5) + minute + Duration::from_millis(1), at(0)),
            (at(900), at(0)),
        ] {
            let options = LogInOptions::new().authenticated_at(named);
            assert_eq!(options.authentication_time(at(5)), proved, "{named:?}");
        }
    }

    #[test]
    fn the_lifetime_is_the_apps_or_the_sessions_own_and_is_limited_by_latest() {
        let app = Lifetime::default().active(HOUR).idle(2 * HOUR).max(10 * HOUR);
        let own = Lifetime::default().active(2 * HOUR).idle(3 * HOUR).max(4 * HOUR);
        let (by_app, by_own) = (LogInOptions::new(), LogInOptions::new().lifetime(own));
        let expiries = |options, latest| {
            let expiries = Expiries::new(app, options, at(1), latest).unwrap();
            let ends = [
                expiries.active_expires_at,
                expiries.idle_expires_at,
                expiries.absolute_expires_at,
            ];
            (ends, expiries.periods)
        };
        assert_eq!(expiries(&by_app, None), ([at(2), at(4), at(11)], None));
        let periods = Some(own.own_periods());
        assert_eq!(expiries(&by_own, None), ([at(3), at(5), at(5)], periods));
        assert_eq!(expiries(&by_app, Some(at(3))), ([at(2), at(3), at(3)], None));
        assert_eq!(expiries(&by_app, Some(at(30))), ([at(2), at(4), at(11)], None));
        let never = LogInOptions::new().lifetime(own.idle(Duration::ZERO));
        assert!(Expiries::new(app, &never, at(1), None).is_err());
    }
}
