//! What can go wrong: opaque to clients, rich in logs.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};

use crate::{events::Event, session::Session, user::WrongIdKind};

/// An error of a driver or of a third party's store, whatever its type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a request can meet.
///
/// As a response it tells the client the status and nothing of the cause; the cause is
/// logged when the response is made. A fault of the store is 503 with `Retry-After`, never
/// 401, and never touches the session cookie: an outage logs nobody out.
///
/// ```
/// use actix_web::ResponseError;
/// use locals::Error;
///
/// let error = Error::Unauthenticated;
/// assert_eq!((error.status_code().as_u16(), error.code()), (401, "not_signed_in"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store of the sessions failed, or a query of the app's own, whose `sqlx::Error` becomes one
    /// of these by `?`. 503 with `Retry-After`.
    #[error("the store failed")]
    Store(#[source] StoreError),

    /// No session, or one that has ended. 401 with `WWW-Authenticate`.
    #[error("not signed in")]
    Unauthenticated,

    /// A session was to be created for a user who is not there any more, such as one whose row was
    /// deleted after their password had been checked. 401.
    #[error("the account is gone")]
    UserGone,

    /// The user may not do this: a [check](crate::Check) said no. 403.
    #[error("the user may not do this")]
    Forbidden,

    /// The user signed in too long ago for this. 401 with the code `reauthenticate`; in a browser,
    /// a redirect to the page that asks for the password again.
    #[error("signed in too long ago")]
    NotRecent,

    /// A session cookie and an `Authorization: Bearer` in one request: which of them counts would
    /// be a guess. 400.
    #[error("a session cookie and a bearer token in one request")]
    TwoCredentials,

    /// More data than a session or a guest may hold. 413.
    #[error("more than {most} bytes of data for one session")]
    #[non_exhaustive]
    TooMuchData {
        /// How many bytes of JSON it may be.
        most: usize,
    },

    /// Data of a session or a guest that cannot be written as JSON, such as a map whose keys are no
    /// texts. 500.
    #[error("data that cannot be written as JSON")]
    UnwritableData(#[source] BoxError),

    /// A setting that cannot work, such as the lifetime given to a log-in. 500.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The request comes from another origin. 403.
    #[error("cross-origin request refused: {reason}")]
    #[non_exhaustive]
    CrossOrigin {
        /// Which header decided, for the log.
        reason: &'static str,
    },

    /// The app has not registered its `Auth`. 500.
    #[error(
        "no `Auth` is registered for this route: call `App::new().configure(auth.configure())`, \
         or `.configure(..)` on a scope around it"
    )]
    NotConfigured,

    /// A handler or a call names one type of user, and the app's `Auth` is for another. 500.
    #[error("asked for a user of `{asked}`, but this app's `Auth` is for `{registered}`")]
    #[non_exhaustive]
    WrongUser {
        /// The type, or the table, that was asked for.
        asked: &'static str,
        /// The type, or the table, that the `Auth` in reach was built for.
        registered: &'static str,
    },

    /// The id of a user is of another type than the ids of the app's users. 500.
    #[error("an id of no user of this app: {0}")]
    WrongUserId(#[from] WrongIdKind),

    /// A transaction of one database, and sessions in another, or not in a database. 500.
    #[error("this app's sessions are not in the {transaction} database of the transaction")]
    #[non_exhaustive]
    WrongStore {
        /// The kind of database that the transaction is on.
        transaction: &'static str,
    },

    /// The operating system gave no random bytes for a new token. 503 with `Retry-After`.
    #[error("the operating system gave no random bytes")]
    Random(#[source] BoxError),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.problem().0
    }

    /// The answer for programs: a problem of RFC 9457 that names no cause. In an annotated handler
    /// people are answered otherwise, see [`AuthBuilder::answer_with`](crate::AuthBuilder::answer_with).
    fn error_response(&self) -> HttpResponse {
        self.log();
        let (status, code, title) = self.problem();
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => response.insert_header((header::RETRY_AFTER, "1")),
            // RFC 9110 §15.5.2 asks for a challenge; no registered scheme names a cookie.
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Session"))
            }
            _ => &mut response,
        };
        response.content_type("application/problem+json").body(format!(
            r#"{{"type":"about:blank","status":{},"code":"{code}","title":"{title}"}}"#,
            status.as_u16()
        ))
    }
}

/// For tests of what an app answers to an error.
impl Error {
    /// A [`TooMuchData`](Self::TooMuchData), of a limit of so many bytes.
    pub fn too_much_data(most: usize) -> Self {
        Self::TooMuchData { most }
    }

    /// A [`CrossOrigin`](Self::CrossOrigin), for which this header decided.
    pub fn cross_origin(reason: &'static str) -> Self {
        Self::CrossOrigin { reason }
    }

    /// A [`WrongUser`](Self::WrongUser): the type or table that was asked for, and the registered
    /// one.
    pub fn wrong_user(asked: &'static str, registered: &'static str) -> Self {
        Self::WrongUser { asked, registered }
    }

    /// A [`WrongStore`](Self::WrongStore), of a transaction on this kind of database.
    pub fn wrong_store(transaction: &'static str) -> Self {
        Self::WrongStore { transaction }
    }
}

impl Error {
    /// A short name that does not change between versions, for programs: `not_signed_in`,
    /// `reauthenticate`, `user_gone`, `forbidden`, `cross_origin`, `two_credentials`, `too_much_data`,
    /// `unavailable` or `internal`.
    ///
    /// It stands in the body of the response, as `code`.
    pub fn code(&self) -> &'static str {
        self.problem().1
    }

    /// Why a session does not count as a recent log-in. Who acts as another user cannot help it:
    /// their password is not the user's.
    pub(crate) fn not_recent(session: &Session) -> Self {
        if session.actor().is_some() { Self::Forbidden } else { Self::NotRecent }
    }

    /// What a client is told: the status, the code and the sentence.
    pub(crate) fn problem(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Store(_) | Self::Random(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")
            }
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "not_signed_in", "Not signed in"),
            Self::UserGone => (StatusCode::UNAUTHORIZED, "user_gone", "The account is gone"),
            Self::NotRecent => {
                (StatusCode::UNAUTHORIZED, "reauthenticate", "Signed in too long ago")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::CrossOrigin { .. } => {
                (StatusCode::FORBIDDEN, "cross_origin", "Request from another site refused")
            }
            Self::TwoCredentials => {
                (StatusCode::BAD_REQUEST, "two_credentials", "A cookie and a bearer token")
            }
            Self::TooMuchData { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_much_data", "More data than can be kept")
            }
            Self::Config(_)
            | Self::UnwritableData(_)
            | Self::NotConfigured
            | Self::WrongUser { .. }
            | Self::WrongUserId(_)
            | Self::WrongStore { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
            }
        }
    }

    /// Logs a fault. What is refused is logged with the request, see `Answers`.
    fn log(&self) {
        match self {
            Self::Store(error) => {
                let (cause, doing) = (&chain(error), "answering a request");
                Event::StoreFailed { cause, doing }.record();
            }
            Self::Random(error) | Self::UnwritableData(error) => {
                tracing::error!(cause = %chain(error.as_ref()), "{self}");
            }
            _ if self.is_refusal() => {}
            _ => tracing::error!("{self}"),
        }
    }

    /// Whether it is the request that is at fault, and not the app or its surroundings.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status_code().is_client_error()
    }
}

/// Why a store could not do what it was asked.
///
/// "There is no such session" is not an error: stores say it with `None`, `false` or `0`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A session with this id exists already. The new one was not stored.
    #[error("a session with this id exists already")]
    Collision,

    /// There is no such user (any more), so they can have no session. The new one was not stored.
    #[error("there is no such user")]
    UserGone,

    /// The database, its driver or the connection failed.
    #[error("the database failed")]
    Backend(#[source] BoxError),

    /// A stored row cannot be read as a session.
    #[error("a stored session cannot be read: {0}")]
    Corrupt(String),

    /// The tables are missing or not as this version expects them; says what to do.
    #[error("{0}")]
    Schema(String),
}

impl StoreError {
    /// Wraps the error of a driver.
    ///
    /// ```
    /// use locals::StoreError;
    ///
    /// fn read(path: &str) -> Result<Vec<u8>, StoreError> {
    ///     std::fs::read(path).map_err(StoreError::backend)
    /// }
    /// ```
    pub fn backend(error: impl Into<BoxError>) -> Self {
        Self::Backend(error.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            // The store has done what it should.
            StoreError::UserGone => Self::UserGone,
            error => Self::Store(error),
        }
    }
}

/// A setting that cannot work, found when the app starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// An error and its sources in one line, for logs.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
