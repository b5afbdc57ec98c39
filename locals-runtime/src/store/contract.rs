//! The traits of a store. The documentation of the parent module lists the rules.

use crate::model::{
    error::StoreError,
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::Timestamp,
    user_id::UserId,
};
use std::{any::Any, future::Future, pin::Pin};

/// The return type of a store's operations: write `Box::pin(async move { .. })`.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The sessions and the guest to end when a session is created, in one atomic step with it.
/// [`default`](Self::default) ends nothing; set the fields.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Ends<'a> {
    /// The sessions to end.
    pub sessions: &'a [End],
    /// The guest whose data the new session takes over. Its row is overwritten, not deleted.
    pub guest: Option<GuestChange<'a>>,
}

/// How a guest is overwritten when a session is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestChange<'a> {
    /// The revision of the data as they were read. If the stored one differs, nothing is done, and the
    /// session is not created.
    pub replaces: i64,
    /// The id of the guest, the new data with their revision, and the new expiry time. The hash of the
    /// secret is not changed.
    pub record: &'a GuestRecord,
}

impl<'a> GuestChange<'a> {
    /// Replaces the record that has this revision.
    pub fn new(replaces: i64, record: &'a GuestRecord) -> Self {
        Self { replaces, record }
    }
}

/// A session that is ended when another is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// Its public id.
    pub id: SessionId,
    /// The revision of its data, if the new session takes them over. If the stored one differs, or the
    /// session no longer exists, nothing is done, and the new session is not created. `None` ends the
    /// session whatever its data are; it may have ended already.
    pub data_revision: Option<i64>,
}

impl End {
    /// Ends the session with this id, whatever its data are.
    pub fn new(id: SessionId) -> Self {
        Self { id, data_revision: None }
    }

    /// Ends the session with this id, if its data still have this revision.
    pub fn at_revision(id: SessionId, data_revision: i64) -> Self {
        Self { id, data_revision: Some(data_revision) }
    }

    /// Whether the session may be ended. `stored` is the revision of its stored data; `None` if it does
    /// not exist.
    pub(crate) fn allows(&self, stored: Option<i64>) -> bool {
        self.data_revision.is_none() || self.data_revision == stored
    }
}

/// A store of sessions and of the data of guests. The [module](crate::store) lists the rules;
/// `locals::guide::stores` shows how to write and test a store.
///
/// Each operation is atomic, even if its future is dropped before it completes. Only the operations that
/// delete several rows may be done in part.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of sessions",
    note = "the stores are `SqlStore`, `RedisStore` and `MemoryStore`; your own implements `SessionStore` and `SessionUserStore<T>`"
)]
pub trait SessionStore: Any + Send + Sync {
    /// Stores a new session and ends others with it. Returns `false`, and does nothing, if the data that
    /// are taken over have changed (rules 1, 2, 12, 13).
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool>;

    /// Reads a session (rules 1, 3, 12).
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>>;

    /// Moves the expiry times of a session. Returns whether it did (rules 3, 4, 5).
    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool>;

    /// Gives a session a new token. Returns whether it did (rules 3, 14, 15, 17).
    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool>;

    /// Replaces the data of a session. Returns whether it did (rules 3, 16, 17).
    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool>;

    /// Deletes a session. Returns whether it existed (rule 6).
    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool>;

    /// Deletes the sessions of a user except `keep`. Returns how many (rules 7, 10).
    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64>;

    /// Returns the sessions of a user, newest first (rules 8, 10).
    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>>;

    /// Returns the ids and times of the sessions of a user, in any order (rules 8, 10). Each login calls
    /// it twice, so a store should not read more than these columns.
    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>>;

    /// Deletes up to `limit` sessions and guests that have expired at `now`. Returns how many (rule 9).
    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64>;

    /// Reads a guest (rule 18).
    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>>;

    /// Stores a new guest, or overwrites the guest if its data have the revision `replaces`. Returns
    /// whether it did (rules 18, 19).
    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool>;

    /// Deletes a guest. Returns whether it existed (rule 20).
    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool>;

    /// Returns how many guests have not expired at `now` (rule 21). Called about once a minute at most.
    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64>;

    /// Returns the table of users that the sessions refer to, such as by a foreign key. A
    /// [`WithLoader`](crate::store::WithLoader)
    /// of these users passes their ids to the store unchanged. To any other store it passes ids that
    /// begin with the table, so that several user types can share the store. A store that wraps another
    /// forwards this call.
    fn users_table(&self) -> Option<&'static str> {
        None
    }
}

/// Collects the sessions that can be read. The others are logged and skipped.
#[cfg(any(feature = "sql", feature = "redis"))]
pub(super) fn readable<R>(
    list: impl IntoIterator<Item = Result<R, StoreError>>,
) -> Result<Vec<R>, StoreError> {
    let skip = |read| match read {
        Err(StoreError::Corrupt(cause)) => {
            crate::model::events::Event::RowUnreadable { cause: &cause }.record();
            None
        }
        read => Some(read),
    };
    list.into_iter().filter_map(skip).collect()
}

/// A store that reads a session together with its user, in one query.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read a session together with its `{T}`",
    note = "`SqlStore` can if `{T}` has `#[derive(sqlx::FromRow, AuthUser)]`; `MemoryStore` if it has `#[derive(Clone, AuthUser)]`; `WithLoader` joins any other store with your users"
)]
pub trait SessionUserStore<T>: SessionStore {
    /// Reads a session and its user (rules 11, 12).
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>>;

    /// Reads a user by their id (rule 22).
    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<T>>;

    /// The function with which `SqlStore` decodes a user from a row, for transactions of the app. Not
    /// part of the public interface.
    #[doc(hidden)]
    fn row_reader(&self) -> Option<Box<dyn Any>> {
        None
    }
}
