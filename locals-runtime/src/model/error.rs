//! The errors of the library.

use crate::model::user_id::WrongIdKind;

/// An error of any type, such as one of a database driver or of a third-party store.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of a request.
///
/// As a response, it tells the client the status but not the cause; the cause is logged when the
/// response is built. A failure of the store becomes 503 with `Retry-After`, never 401, and leaves
/// the session cookie as it is: an outage does not log anybody out.
///
/// ```
/// use actix_web::ResponseError;
/// use locals::Error;
///
/// let error = Error::Unauthenticated;
/// assert_eq!((error.status_code().as_u16(), error.code()), (401, "not_logged_in"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session store failed, or the app's own database: an `sqlx::Error` that `?` converts becomes
    /// this if it is caused by an outage. 503 with `Retry-After`.
    #[error("the store failed")]
    Store(#[source] StoreError),

    /// A query of the app failed and would fail again: an `sqlx::Error` that `?` converts becomes this
    /// if it is not caused by an outage. 500.
    ///
    /// `RowNotFound` becomes this, too, because only the app knows whether a missing row means 404 or a
    /// bug. Read a row that may be missing with `fetch_optional`.
    #[error("a query of the app failed")]
    Query(#[source] BoxError),

    /// The request has no session, or its session has ended. 401 with `WWW-Authenticate`.
    #[error("not logged in")]
    Unauthenticated,

    /// A session could not be created because the user no longer exists, for example because the row
    /// was deleted after the password had been checked. 401.
    #[error("the account is gone")]
    UserGone,

    /// The user is not allowed to do this: a [check](crate::Check) returned `false`. 403.
    #[error("the user may not do this")]
    Forbidden,

    /// This is not allowed while staff [impersonate](crate::Locals::impersonate) a user: it would give
    /// them a session that outlives the impersonation, or a right that they do not have. They have to
    /// stop impersonating first. 403 with the code `impersonating`.
    #[error("not allowed while impersonating a user: call `stop_impersonating` first")]
    Impersonating,

    /// The user cannot log in because their account is disabled, as decided by the app's
    /// [`active_users`](crate::AuthBuilder::active_users). 403 with the code `inactive_user`.
    #[error("the account of this user is disabled")]
    InactiveUser,

    /// This requires a recent login, and the user logged in too long ago. 401 with the code
    /// `reauthenticate`; in a browser, a redirect to the page that asks for the password again.
    #[error("logged in too long ago")]
    NotRecent,

    /// The request has a session cookie and an `Authorization: Bearer` header. It is refused because it
    /// is ambiguous which of them to use. 400.
    #[error("a session cookie and a bearer token in one request")]
    TwoCredentials,

    /// The request has a bearer token and another `Authorization` value, in a second header or after a
    /// comma. It is refused because it is ambiguous which of them to use. 400, with the code of
    /// [`TwoCredentials`](Self::TwoCredentials).
    #[error("a bearer token and another `Authorization` value in one request")]
    TwoAuthorizations,

    /// The data are larger than a session or a guest may hold. 413.
    #[error("more than {most} bytes of data for one session or guest")]
    #[non_exhaustive]
    TooMuchData {
        /// The maximum number of bytes of JSON.
        most: usize,
    },

    /// The store holds the maximum number of guests, see
    /// [`AuthBuilder::max_guests`](crate::AuthBuilder::max_guests). 503 with `Retry-After`, because it is
    /// not the fault of this client.
    #[error("the maximum of {most} guests is reached")]
    #[non_exhaustive]
    TooManyGuests {
        /// The maximum number of guests.
        most: u64,
    },

    /// The data of a guest could not be written because another request ended the guest in the
    /// meantime, by a logout or by forgetting the guest. 409.
    #[error("the guest has ended in the meantime")]
    GuestGone,

    /// The data of a session or a guest cannot be written as JSON, such as a map whose keys are not
    /// strings, or would not read back unchanged, such as a `NaN`. Nothing was changed. 500.
    #[error("the data cannot be written as JSON")]
    UnwritableData(#[source] BoxError),

    /// A setting is invalid, such as the lifetime given to a login. 500.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The request comes from another origin. 403.
    #[error("cross-origin request refused: {reason}")]
    #[non_exhaustive]
    CrossOrigin {
        /// The header that was the reason, for the log.
        reason: &'static str,
    },

    /// A method that sets a cookie was called after the response headers had been built, as in a spawned
    /// task or a streamed body. 500. Nothing was changed, unless the headers were built while the method
    /// was running: then a login has ended the previous sessions without creating a new one.
    #[error(
        "`{verb}` was called after the response headers had been built, too late to set its cookie: \
         call it before the handler returns"
    )]
    #[non_exhaustive]
    ResponseStarted {
        /// The method that was called.
        verb: &'static str,
    },

    /// No `Auth` is registered for this route. 500.
    #[error(
        "no `Auth` is registered for this route: call `App::new().configure(auth.configure())`, \
         or `.configure(..)` on a scope around it"
    )]
    NotConfigured,

    /// A handler or a call uses one user type, but the app's `Auth` is for another. 500.
    #[error("asked for a user of `{asked}`, but this app's `Auth` is for `{registered}`")]
    #[non_exhaustive]
    WrongUser {
        /// The type, or the table, that was asked for.
        asked: &'static str,
        /// The type, or the table, that the registered `Auth` was built for.
        registered: &'static str,
    },

    /// A session cannot be created from this user type because it lacks the fields to which the app
    /// binds its sessions. 500.
    #[error(
        "sessions are bound to {fields:?}, but `{asked}` does not have the same fields marked \
         `#[auth_user(credential)]`: mark them there too"
    )]
    #[non_exhaustive]
    MissingCredential {
        /// The user type.
        asked: &'static str,
        /// The fields that the user type of the app's `Auth` has marked.
        fields: &'static [&'static str],
    },

    /// The user id is of another type than the ids of the app's users, or too large. 500.
    #[error("not a valid user id of this app: {0}")]
    WrongUserId(#[from] WrongIdKind),

    /// The transaction is on one kind of database, but the sessions are in another, or not in a database
    /// at all. 500.
    #[error("this app's sessions are not in the {transaction} database of the transaction")]
    #[non_exhaustive]
    WrongStore {
        /// The kind of database that the transaction is on.
        transaction: &'static str,
    },

    /// The operating system returned no random bytes for a new token. 503 with `Retry-After`.
    #[error("the operating system returned no random bytes")]
    Random(#[source] BoxError),
}

/// Constructors, for tests of how an app handles an error.
impl Error {
    /// Returns a [`TooMuchData`](Self::TooMuchData) with this limit in bytes.
    pub fn too_much_data(most: usize) -> Self {
        Self::TooMuchData { most }
    }

    /// Returns a [`TooManyGuests`](Self::TooManyGuests) with this limit.
    pub fn too_many_guests(most: u64) -> Self {
        Self::TooManyGuests { most }
    }

    /// Returns a [`ResponseStarted`](Self::ResponseStarted) for this method.
    pub fn response_started(verb: &'static str) -> Self {
        Self::ResponseStarted { verb }
    }

    /// Returns a [`MissingCredential`](Self::MissingCredential) for this user type and the fields that
    /// it should have marked.
    pub fn missing_credential(asked: &'static str, fields: &'static [&'static str]) -> Self {
        Self::MissingCredential { asked, fields }
    }

    /// Returns a [`CrossOrigin`](Self::CrossOrigin) with this header as the reason.
    pub fn cross_origin(reason: &'static str) -> Self {
        Self::CrossOrigin { reason }
    }

    /// Returns a [`WrongUser`](Self::WrongUser) for the type or table that was asked for, and the
    /// registered one.
    pub fn wrong_user(asked: &'static str, registered: &'static str) -> Self {
        Self::WrongUser { asked, registered }
    }

    /// Returns a [`WrongStore`](Self::WrongStore) for a transaction on this kind of database.
    pub fn wrong_store(transaction: &'static str) -> Self {
        Self::WrongStore { transaction }
    }
}

/// An error of a store.
///
/// A session that does not exist is not an error: stores return `None`, `false` or `0` for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A session or a guest with this id already exists. The new one was not stored.
    #[error("a session or a guest with this id already exists")]
    Collision,

    /// The user does not exist, or no longer exists. The new session was not stored.
    #[error("there is no such user")]
    UserGone,

    /// The database, its driver or the connection failed.
    #[error("the database failed")]
    Backend(#[source] BoxError),

    /// A stored row cannot be read as a session.
    #[error("a stored session cannot be read: {0}")]
    Corrupt(String),

    /// The tables are missing or differ from what this version expects. The message says what to do.
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
            // The store works as it should; only the user is missing.
            StoreError::UserGone => Self::UserGone,
            error => Self::Store(error),
        }
    }
}

/// An invalid setting, found when the app starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// Returns an error and its sources in one line, for logs.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
