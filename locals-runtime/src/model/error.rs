//! What can go wrong.

use crate::model::user_id::WrongIdKind;

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
/// assert_eq!((error.status_code().as_u16(), error.code()), (401, "not_logged_in"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store of the sessions failed, or the app's own database, where the `sqlx::Error` of a query
    /// that becomes one of these by `?` tells of an outage. 503 with `Retry-After`.
    #[error("the store failed")]
    Store(#[source] StoreError),

    /// A query of the app's own failed, and would fail again: its `sqlx::Error` has become this by `?`.
    /// A row that is missing is one of these, too: only the app knows whether that is 404 or a fault, so
    /// it reads such a row with `fetch_optional`. 500.
    #[error("a query of the app failed")]
    Query(#[source] BoxError),

    /// No session, or one that has ended. 401 with `WWW-Authenticate`.
    #[error("not logged in")]
    Unauthenticated,

    /// A session was to be created for a user who is not there any more, such as one whose row was
    /// deleted after their password had been checked. 401.
    #[error("the account is gone")]
    UserGone,

    /// The user may not do this: a [check](crate::Check) said no. 403.
    #[error("the user may not do this")]
    Forbidden,

    /// A member of staff [acts as another user](crate::Locals::impersonate), and this would give them
    /// a session that outlives that, or a right that they do not have. They have to stop acting as
    /// the user first. 403 with the code `impersonating`.
    #[error("not while acting as another user: call `stop_impersonating` first")]
    Impersonating,

    /// A login of a user whose account is switched off, as the app says by
    /// [`active_users`](crate::AuthBuilder::active_users). 403 with the code `inactive_user`.
    #[error("the account of this user is switched off")]
    InactiveUser,

    /// The user logged in too long ago for this. 401 with the code `reauthenticate`; in a browser,
    /// a redirect to the page that asks for the password again.
    #[error("logged in too long ago")]
    NotRecent,

    /// A session cookie and an `Authorization: Bearer` in one request: which of them counts would
    /// be a guess. 400.
    #[error("a session cookie and a bearer token in one request")]
    TwoCredentials,

    /// A bearer token beside another `Authorization`, in a header of its own or joined to it by a comma:
    /// which of them counts would be a guess. 400, with the code of
    /// [`TwoCredentials`](Self::TwoCredentials).
    #[error("a bearer token beside another `Authorization`")]
    TwoAuthorizations,

    /// More data than a session or a guest may hold. 413.
    #[error("more than {most} bytes of data for one session or guest")]
    #[non_exhaustive]
    TooMuchData {
        /// How many bytes of JSON it may be.
        most: usize,
    },

    /// The store holds as many guests as it may, see
    /// [`AuthBuilder::max_guests`](crate::AuthBuilder::max_guests). 503 with `Retry-After`: it is not this
    /// visitor who is at fault.
    #[error("there are {most} guests, and there may not be more")]
    #[non_exhaustive]
    TooManyGuests {
        /// How many there may be.
        most: u64,
    },

    /// The guest whose data were to be written was ended by another request meanwhile, which has logged
    /// out or forgotten them. 409.
    #[error("the guest has ended meanwhile")]
    GuestGone,

    /// Data of a session or a guest that cannot be written as JSON, such as a map whose keys are no
    /// texts, or that would not read back as they were, such as a float that is not a number. Nothing was
    /// changed. 500.
    #[error("data that cannot be written as JSON")]
    UnwritableData(#[source] BoxError),

    /// A setting that cannot work, such as the lifetime given to a login. 500.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The request comes from another origin. 403.
    #[error("cross-origin request refused: {reason}")]
    #[non_exhaustive]
    CrossOrigin {
        /// Which header decided, for the log.
        reason: &'static str,
    },

    /// A verb that writes a cookie was called after the headers of the response had been made, as in
    /// a spawned task or a body that is streamed. 500. Nothing was changed, unless the headers were made
    /// while the verb was at work: then a login has ended the sessions before it, and made none.
    #[error(
        "`{verb}` was called after the headers of the response had been made, when its cookie could \
         no longer be written: call it before the handler returns"
    )]
    #[non_exhaustive]
    ResponseStarted {
        /// What was called.
        verb: &'static str,
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

    /// A session is to be made of a type of user without the fields to which the app binds its
    /// sessions. 500.
    #[error(
        "sessions are bound to {fields:?}, but `{asked}` does not have the same fields marked \
         `#[auth_user(credential)]`: mark them there too"
    )]
    #[non_exhaustive]
    MissingCredential {
        /// The type of user.
        asked: &'static str,
        /// The fields that the user type of the app's `Auth` has marked.
        fields: &'static [&'static str],
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

/// For tests of what an app answers to an error.
impl Error {
    /// A [`TooMuchData`](Self::TooMuchData), of a limit of so many bytes.
    pub fn too_much_data(most: usize) -> Self {
        Self::TooMuchData { most }
    }

    /// A [`TooManyGuests`](Self::TooManyGuests), of a limit of so many.
    pub fn too_many_guests(most: u64) -> Self {
        Self::TooManyGuests { most }
    }

    /// A [`ResponseStarted`](Self::ResponseStarted), of this verb.
    pub fn response_started(verb: &'static str) -> Self {
        Self::ResponseStarted { verb }
    }

    /// A [`MissingCredential`](Self::MissingCredential): the type of user, and the fields that it
    /// should have marked.
    pub fn missing_credential(asked: &'static str, fields: &'static [&'static str]) -> Self {
        Self::MissingCredential { asked, fields }
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

/// Why a store could not do what it was asked.
///
/// "There is no such session" is not an error: stores say it with `None`, `false` or `0`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A session, or a guest, with this id exists already. The new one was not stored.
    #[error("a session or a guest with this id exists already")]
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
