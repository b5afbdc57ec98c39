//! The status, the code and the title of each error, and the problem details of RFC 9457.

use actix_web::{ResponseError, http::StatusCode};

use crate::model::{error::Error, settings::GUEST_COUNT_LASTS};

impl Error {
    /// A short name that does not change between versions, for programs: `not_logged_in`,
    /// `reauthenticate`, `user_gone`, `forbidden`, `impersonating`, `inactive_user`, `cross_origin`,
    /// `two_credentials`, `too_much_data`, `too_many_guests`, `guest_gone`, `unavailable` or `internal`.
    ///
    /// It stands in the body of the response, as `code`.
    pub fn code(&self) -> &'static str {
        self.problem().1
    }

    /// What a client is told: the status, the code and the sentence.
    pub(crate) fn problem(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Store(_) | Self::Random(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")
            }
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "not_logged_in", "Not logged in"),
            Self::UserGone => (StatusCode::UNAUTHORIZED, "user_gone", "The account is gone"),
            Self::NotRecent => {
                (StatusCode::UNAUTHORIZED, "reauthenticate", "Logged in too long ago")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::InactiveUser => {
                (StatusCode::FORBIDDEN, "inactive_user", "This account is disabled")
            }
            Self::Impersonating => {
                (StatusCode::FORBIDDEN, "impersonating", "Not allowed while impersonating")
            }
            Self::CrossOrigin { .. } => {
                (StatusCode::FORBIDDEN, "cross_origin", "Request from another site refused")
            }
            Self::TwoCredentials => {
                (StatusCode::BAD_REQUEST, "two_credentials", "A cookie and a bearer token")
            }
            Self::TwoAuthorizations => {
                (StatusCode::BAD_REQUEST, "two_credentials", "Several Authorization headers")
            }
            Self::TooMuchData { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_much_data", "More data than can be kept")
            }
            Self::TooManyGuests { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "too_many_guests", "Too many visitors")
            }
            Self::GuestGone => (StatusCode::CONFLICT, "guest_gone", "This visit has ended"),
            Self::Config(_)
            | Self::Query(_)
            | Self::UnwritableData(_)
            | Self::ResponseStarted { .. }
            | Self::NotConfigured
            | Self::WrongUser { .. }
            | Self::MissingCredential { .. }
            | Self::WrongUserId(_)
            | Self::WrongStore { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
            }
        }
    }

    /// After how many seconds another try may do.
    pub(crate) fn retry_after(&self) -> u64 {
        match self {
            Self::TooManyGuests { .. } => GUEST_COUNT_LASTS.as_secs(),
            _ => 1,
        }
    }

    /// Whether it is the request that is at fault, and not the app or its surroundings.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status_code().is_client_error()
    }
}
