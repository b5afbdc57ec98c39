//! Where sessions are kept: the contract, and the stores that keep it.
//!
//! A store does as it is told and decides nothing: whether a session is active, idle or dead
//! is decided above it, with the app's clock. These are its rules. Each is a test of the
//! conformance suite, `locals::store::suite` (feature `store-suite`), which any store can run.
//!
//! 1. `create` stores a new session, and `find` gives it back with every field as it was.
//! 2. `create` with an id that is taken fails with [`StoreError::Collision`] and changes nothing:
//!    none is created, and none ends.
//! 3. `find`, `renew`, `change_token` and `write_data` of an unknown id find nothing; they never
//!    create.
//! 4. `renew` sets the two expiries and the time of renewal that it names and nothing else, and
//!    only if the end of the active period is still the one it replaces and the hash of the secret
//!    is still the one it names. It says whether it did. The new ends may be earlier than the ones
//!    before, and the session stays until these.
//! 5. Of any number of renewals at once that replace one end of the active period by another, exactly
//!    one does, whether the new one is later or earlier.
//! 6. `delete` says whether the session was there; once it has answered, the session is gone
//!    for every other operation that starts later, whatever else runs.
//! 7. `delete_by_user` deletes all sessions of that user, but the one to keep, and no others.
//! 8. `list_by_user` gives all sessions of that user and no others, newest first, and
//!    `list_times_by_user` the ids and times of the same ones, in any order. One that cannot be read
//!    is left out, and an error is logged.
//! 9. `delete_expired` deletes at most `limit` sessions and guests, all of which had ended at
//!    `now`, to the millisecond.
//! 10. Users whose ids differ are different users: case and white space count.
//! 11. `find_with_user` gives session and user, or neither.
//! 12. A session whose user is gone is not found; and `create` for a user who is not there fails with
//!     [`StoreError::UserGone`] and changes nothing: none is created, and none ends. (A store that
//!     does not hold the users leaves both to whoever joins it with them.)
//! 13. `create` ends the sessions that its [`Ends`] name, and overwrites the guest that they name as
//!     `write_guest` does, in one step with it: where it fails, nothing of it is done. Of unknown
//!     sessions it takes no notice, unless they are named with the revision of their data: if the data
//!     of one of these, or of the guest, have another revision, or it is gone, `create` says `false`,
//!     and nothing is done either. Of any number at once that name one revision, at most one creates.
//!     (A store that cannot change several keys at once creates first, then overwrites the guest, ends
//!     the sessions with a revision, and at last the others; where that fails or is refused, it deletes
//!     the new session again, and puts the guest back.)
//! 14. `change_token` replaces the hash of the secret, the rotation, the time of the last proof and,
//!     where it names one, the digest of the credential of a session and nothing else, and only if the
//!     hash is still the one it replaces. It says whether it did; from then on every reader is given
//!     the new ones.
//! 15. Of any number of changes of the token at once that replace one hash, exactly one does.
//! 16. `write_data` replaces the data of a session, adds one to their revision and changes nothing
//!     else, and only if the revision is still the one it replaces. It says whether it did.
//! 17. Of any number of writes of data at once that replace one revision, exactly one does; and a
//!     renewal, a change of the token and a write of data at once lose nothing of each other: where
//!     the change of the token comes first, the renewal is not done and says so.
//! 18. `write_guest` that replaces nothing stores a new guest, and `find_guest` gives it back with
//!     every field as it was; it fails with [`StoreError::Collision`] if the id is taken by
//!     another guest. An id of a session is free for a guest, and the other way round.
//! 19. `write_guest` that replaces a revision overwrites data, revision and end of a guest, and
//!     only if the revision is still that one. It says whether it did and never creates. Of any
//!     number at once that replace one revision, exactly one does.
//! 20. `delete_guest` says whether the guest was there; once it has answered, the guest is gone.
//! 21. `count_guests` says how many guests are there whose end is after `now`, to the millisecond. One
//!     that a login has overwritten is among them until the end that it was given then.
//! 22. `find_user` gives the user with this id, and nothing for an id that no user has.

use std::{any::Any, future::Future, pin::Pin};

use crate::model::{
    error::StoreError,
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::Timestamp,
    user_id::UserId,
};

mod loader;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[doc(hidden)]
pub mod row_reader;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "store-suite")]
pub mod suite;

pub use loader::{UserLoader, WithLoader};
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sql")]
pub(crate) use sql::ReadRow;
#[cfg(feature = "sql")]
pub(crate) use sql::advice as query_advice;
#[cfg(feature = "sql")]
pub use sql::{Dialect, SqlStore, VerbSql};

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
fn readable<R>(
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
