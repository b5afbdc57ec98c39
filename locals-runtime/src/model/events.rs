//! The events that are logged and counted.
//!
//! `docs/observability.md` lists them. Their names and fields do not change between versions. No event
//! contains a token, a cookie or the query of a request.

use tracing::Level;

use crate::model::{error::Error, session_id::SessionId, user_id::UserId};

/// Something that happened to a session or to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    LogIn { session: SessionId, user: &'a UserId },
    LogOut { session: SessionId },
    SessionCreated { session: SessionId, user: &'a UserId },
    SessionEnded { session: SessionId },
    SessionTrimmed { session: SessionId, user: &'a UserId },
    SessionsEnded { user: &'a UserId, count: u64 },
    SessionRenewed { session: SessionId, user: &'a UserId },
    TokenReplaced { session: SessionId, user: &'a UserId },
    TokenRotated { session: SessionId, user: &'a UserId },
    ImpersonationBegan { session: SessionId, user: &'a UserId, actor: &'a UserId },
    ImpersonationEnded { session: SessionId, user: &'a UserId, actor: &'a UserId },
    SessionExpired { session: SessionId, user: &'a UserId },
    UserInactive { session: SessionId, user: &'a UserId },
    CredentialChanged { session: SessionId, user: &'a UserId },
    SecretWrong { session: SessionId, user: &'a UserId },
    TokenSuperseded { session: SessionId, user: &'a UserId },
    CookieConflicting { ignored: usize },
    CookieMalformed,
    Refused(RefusedRequest<'a>),
    CrossOriginRefused(RefusedRequest<'a>),
    RedirectLoop { path: &'a str, page: &'a str },
    RowUnreadable { cause: &'a str },
    StoreFailed { cause: &'a str, doing: &'a str },
    QueryFailed { cause: &'a str },
    GuestsFull { most: u64 },
}

/// A request that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedRequest<'a> {
    pub code: &'static str,
    pub reason: &'a Error,
    pub method: &'a str,
    /// Without the query, which may contain secrets.
    pub path: &'a str,
    pub session: Option<SessionId>,
    pub user: Option<&'a UserId>,
}

/// Logs and counts an event.
macro_rules! record {
    ($level:ident, $name:literal, $($fields:tt)*) => {{
        #[cfg(feature = "metrics")]
        metrics::counter!("locals_events_total", "event" => $name).increment(1);
        tracing::event!(
            name: concat!("locals.", $name),
            target: "locals",
            Level::$level,
            event = $name,
            $($fields)*
        );
    }};
}

impl Event<'_> {
    pub(crate) fn record(self) {
        match self {
            Self::LogIn { session, user } => {
                record!(INFO, "log_in", %session, %user, "a user logged in");
            }
            Self::LogOut { session } => {
                record!(INFO, "log_out", %session, "a user logged out");
            }
            Self::SessionCreated { session, user } => {
                record!(INFO, "session_created", %session, %user, "a session was created");
            }
            Self::SessionEnded { session } => {
                record!(INFO, "session_ended", %session, "a session was ended");
            }
            Self::SessionTrimmed { session, user } => {
                record!(INFO, "session_trimmed", %session, %user, "a session was ended because its user had too many");
            }
            Self::SessionsEnded { user, count } => {
                record!(INFO, "sessions_ended", %user, count, "sessions of a user were ended");
            }
            Self::SessionRenewed { session, user } => {
                record!(DEBUG, "session_renewed", %session, %user, "an idle session was renewed");
            }
            Self::TokenReplaced { session, user } => {
                record!(INFO, "token_replaced", %session, %user, "a session was given a new token");
            }
            Self::TokenRotated { session, user } => {
                record!(DEBUG, "token_rotated", %session, %user, "a token was rotated");
            }
            Self::ImpersonationBegan { session, user, actor } => {
                record!(WARN, "impersonation_began", %session, %user, %actor, "an impersonation began");
            }
            Self::ImpersonationEnded { session, user, actor } => {
                record!(WARN, "impersonation_ended", %session, %user, %actor, "an impersonation ended");
            }
            Self::SessionExpired { session, user } => {
                record!(DEBUG, "session_expired", %session, %user, "a token of a session that has ended was presented");
            }
            Self::UserInactive { session, user } => {
                record!(DEBUG, "user_inactive", %session, %user, "a token of a disabled account was presented");
            }
            Self::CredentialChanged { session, user } => {
                record!(INFO, "credential_changed", %session, %user, "the user's credential has changed since the session was bound to it");
            }
            Self::SecretWrong { session, user } => {
                record!(WARN, "secret_wrong", %session, %user, "a token with the id of a session but a wrong secret was presented");
            }
            Self::TokenSuperseded { session, user } => {
                record!(WARN, "token_superseded", %session, %user, "a token that has been rotated was presented");
            }
            Self::CookieConflicting { ignored } => {
                record!(
                    WARN,
                    "cookie_conflicting",
                    ignored,
                    "several session cookies with different values: treated as none"
                );
            }
            Self::CookieMalformed => {
                record!(DEBUG, "cookie_malformed", "a malformed session cookie: treated as none");
            }
            Self::Refused(refused) => refused.record(),
            Self::CrossOriginRefused(RefusedRequest { reason, method, path, .. }) => {
                record!(WARN, "cross_origin_refused", %reason, method, path, "a request from another origin was refused");
            }
            Self::RedirectLoop { path, page } => {
                record!(
                    ERROR,
                    "redirect_loop",
                    path,
                    page,
                    "the page that this one redirects to is guarded by the same rule, so it was not \
                     redirected: make the login page accessible without a session \
                     (`#[with_session]`, outside of guarded scopes), and redirect logged-in users \
                     from it to another page (`guest_only`)"
                );
            }
            Self::RowUnreadable { cause } => {
                record!(
                    ERROR,
                    "row_unreadable",
                    cause,
                    "a stored session cannot be read: treated as none"
                );
            }
            Self::StoreFailed { cause, doing } => {
                record!(ERROR, "store_failed", cause, doing, "the store failed");
            }
            Self::QueryFailed { cause } => {
                record!(ERROR, "query_failed", cause, "a query of the app failed");
            }
            Self::GuestsFull { most } => {
                record!(WARN, "guests_full", most, "the maximum number of guests is reached");
            }
        }
    }
}

impl RefusedRequest<'_> {
    fn record(self) {
        let Self { code, reason, method, path, session, user } = self;
        let (session, user) =
            (session.map(tracing::field::display), user.map(tracing::field::display));
        record!(INFO, "refused", code, %reason, method, path, session, user, "a request was refused");
    }
}
