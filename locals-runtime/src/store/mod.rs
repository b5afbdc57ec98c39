//! Where sessions are kept: the contract, and the stores that keep it.
//!
//! A store does as it is told and decides nothing: whether a session is active, idle or dead
//! is decided above it, with the app's clock. These are its rules. Each is a test of the
//! conformance suite, `locals::store::suite` (feature `store-suite`), which any store can run.
//!
//! 1. `create` stores a new session, and `find` gives it back with every field as it was.
//! 2. `create` with an id that is taken fails with [`StoreError::Collision`] and changes nothing.
//! 3. `find` and `renew` of an unknown id find nothing; they never create.
//! 4. `renew` moves the two expiries it names and nothing else, and only if the end of the
//!    active period is still not past the one it replaces. It says whether it did.
//! 5. Of any number of renewals at once, exactly one does.
//! 6. `delete` says whether the session was there; once it has answered, the session is gone
//!    for every `find` and `renew` that starts later, whatever else runs.
//! 7. `delete_by_user` deletes all sessions of that user, but the one to keep, and no others.
//! 8. `list_by_user` gives all sessions of that user and no others, newest first.
//! 9. `delete_expired` deletes at most `limit` sessions, all of which had ended at `now`, to
//!    the millisecond.
//! 10. Users whose ids differ are different users: case and white space count.
//! 11. `find_with_user` gives session and user, or neither.
//! 12. A session whose user is gone is not found. (A store that does not hold the users leaves
//!     this to whoever joins it with them.)

use std::{any::Any, future::Future, pin::Pin};

use crate::{
    clock::Timestamp,
    error::StoreError,
    session::{Renewal, SessionRecord},
    token::SessionId,
    user::UserId,
};

mod loader;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "store-suite")]
pub mod suite;

pub use loader::{UserLoader, WithLoader};
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sql")]
pub use sql::{Dialect, SqlStore};

/// What a store's operation returns: write `Box::pin(async move { .. })`.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps sessions. The [module](self) lists the rules.
///
/// All operations are independent statements: each is done or not done, also when its future
/// is dropped half-way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of sessions",
    note = "the stores are `SqlStore`, `RedisStore` and `MemoryStore`; your own implements `SessionStore` and `SessionUserStore<T>`"
)]
pub trait SessionStore: Any + Send + Sync {
    /// Stores a new session (rules 1, 2).
    fn create<'a>(&'a self, session: &'a SessionRecord) -> StoreFuture<'a, ()>;

    /// Reads a session (rules 1, 3, 12).
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>>;

    /// Moves the expiries of a session; says whether it did (rules 3, 4, 5).
    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool>;

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

    /// Deletes up to `limit` sessions that have ended at `now`; says how many (rule 9).
    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64>;
}

/// A store that reads a session together with its user, in one query.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read a session together with its `{T}`",
    note = "`SqlStore` can if `{T}` has `#[derive(sqlx::FromRow, AuthUser)]`; `MemoryStore` if it has `#[derive(Clone, AuthUser)]`; `WithLoader` joins any other store with your users"
)]
pub trait SessionUserStore<T>: SessionStore {
    /// Reads a session and its user (rules 11, 12).
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>>;
}
