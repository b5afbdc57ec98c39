//! The traits of a store. Their rules stand in the documentation of the module above.

use crate::model::{
    error::StoreError,
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::Timestamp,
    user_id::UserId,
};
use std::{any::Any, future::Future, pin::Pin};

/// What a store's operation returns: write `Box::pin(async move { .. })`.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What ends with the creation of a session, in one step with it: nothing by
/// [default](Self::default), until its fields are set.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Ends<'a> {
    /// These sessions.
    pub sessions: &'a [End],
    /// This guest, whose data the new session has taken over: their row is not deleted, but overwritten.
    pub guest: Option<GuestChange<'a>>,
}

/// How a guest is overwritten with the creation of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestChange<'a> {
    /// The revision of the data as they were read. All depends on their being the same still.
    pub replaces: i64,
    /// The new data, their revision and the new end; the id says whose, and the secret stays.
    pub record: &'a GuestRecord,
}

impl<'a> GuestChange<'a> {
    /// This record in place of that of the revision.
    pub fn new(replaces: i64, record: &'a GuestRecord) -> Self {
        Self { replaces, record }
    }
}

/// A session that ends with the creation of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// Its public id.
    pub id: SessionId,
    /// The revision of its data, where the new session has taken them over: then all depends on their
    /// being the same still. `None` where it ends whatever it has, and also if it has ended already.
    pub data_revision: Option<i64>,
}

impl End {
    /// The end of this one, whatever data it has.
    pub fn new(id: SessionId) -> Self {
        Self { id, data_revision: None }
    }

    /// The end of this one, if its data still have this revision.
    pub fn at_revision(id: SessionId, data_revision: i64) -> Self {
        Self { id, data_revision: Some(data_revision) }
    }

    /// Whether it may end, where this is the revision of what is stored, if it is.
    pub(crate) fn allows(&self, stored: Option<i64>) -> bool {
        self.data_revision.is_none() || self.data_revision == stored
    }
}

/// Keeps sessions, and the data of guests. The [module](self) lists the rules; `locals::guide::stores`
/// shows the shape of a store, and how its tests are run.
///
/// All operations are independent of each other: each is done or not done, also when its future
/// is dropped half-way. Those that delete many may be done in part.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of sessions",
    note = "the stores are `SqlStore`, `RedisStore` and `MemoryStore`; your own implements `SessionStore` and `SessionUserStore<T>`"
)]
pub trait SessionStore: Any + Send + Sync {
    /// Stores a new session, and ends others with it; says whether it did, which it does not where
    /// data that are taken over have changed (rules 1, 2, 12, 13).
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool>;

    /// Reads a session (rules 1, 3, 12).
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>>;

    /// Moves the expiries of a session; says whether it did (rules 3, 4, 5).
    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool>;

    /// Gives a session a new token; says whether it did (rules 3, 14, 15, 17).
    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool>;

    /// Replaces the data of a session; says whether it did (rules 3, 16, 17).
    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool>;

    /// Deletes a session; says whether it was there (rule 6).
    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool>;

    /// Deletes the sessions of a user, but `keep`; says how many (rules 7, 10).
    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64>;

    /// Lists the sessions of a user, newest first (rules 8, 10).
    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>>;

    /// Lists the ids and times of the sessions of a user, in any order (rules 8, 10). Each login asks
    /// for them twice, so a store reads no more than that.
    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>>;

    /// Deletes up to `limit` sessions and guests that have ended at `now`; says how many (rule 9).
    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64>;

    /// Reads a guest (rule 18).
    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>>;

    /// Stores a new guest, or overwrites the one whose data have the revision that this
    /// `replaces`; says whether it did (rules 18, 19).
    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool>;

    /// Deletes a guest; says whether it was there (rule 20).
    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool>;

    /// Says how many guests have not ended at `now` (rule 21). Asked at most about once a minute.
    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64>;

    /// The table of users that its sessions refer to, such as by a foreign key. A [`WithLoader`] of
    /// these users gives it their ids as they are; any other store is given ids that begin with the
    /// table, so that several types of user can share it. A store around another hands this on.
    fn users_table(&self) -> Option<&'static str> {
        None
    }
}

/// The sessions of a list that can be read. One that cannot harms no other.
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

    /// How `SqlStore` makes a user of a row, for transactions of the app. No part of the public
    /// interface.
    #[doc(hidden)]
    fn row_reader(&self) -> Option<Box<dyn Any>> {
        None
    }
}
