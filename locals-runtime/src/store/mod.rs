//! Stores: where sessions are kept, and the contract that every store fulfills.
//!
//! A store only reads and writes. Whether a session is active, idle or expired is decided by the
//! caller, with the app's clock. These are the rules for a store. Each is tested by the conformance
//! suite, `locals::store::suite` (feature `store-suite`), which any store can run.
//!
//! 1. `create` stores a new session, and `find` returns it with all fields unchanged.
//! 2. `create` with an id that is taken fails with
//!    [`StoreError::Collision`](crate::StoreError::Collision) and changes nothing: no
//!    session is created, and none is ended.
//! 3. For an unknown id, `find` returns `None`, and `renew`, `change_token` and `write_data` return
//!    `false`. None of them creates a session.
//! 4. `renew` sets the two expiry times and the time of renewal, and nothing else. It does so only if the
//!    end of the active period still equals `replaces` and the hash of the secret still equals
//!    `secret_hash`, and returns whether it did. The new expiry times may be earlier than the old ones;
//!    the session is kept until the new ones.
//! 5. Of any number of concurrent renewals that replace the same end of the active period, exactly one
//!    succeeds, whether the new end is later or earlier.
//! 6. `delete` returns whether the session existed. Once it has returned, the session is gone for every
//!    operation that starts later, whatever else is running.
//! 7. `delete_by_user` deletes all sessions of the user except the one to keep, and no others.
//! 8. `list_by_user` returns all sessions of the user and no others, newest first.
//!    `list_times_by_user` returns the ids and times of the same sessions, in any order. A session that
//!    cannot be read is left out, and an error is logged.
//! 9. `delete_expired` deletes at most `limit` sessions and guests, and only those that have expired at
//!    `now`, exact to the millisecond.
//! 10. Users with different ids are different users: case and white space are significant.
//! 11. `find_with_user` returns both the session and the user, or neither.
//! 12. A session whose user no longer exists is not found. `create` for a user who does not exist fails
//!     with [`StoreError::UserGone`](crate::StoreError::UserGone) and changes nothing: no session
//!     is created, and none is ended. (A
//!     store that does not hold the users leaves both to the wrapper that joins it with the users.)
//! 13. `create` ends the sessions named by its [`Ends`] and overwrites the guest named there as
//!     `write_guest` does, all in one atomic step: if it fails, nothing is changed. Unknown sessions are
//!     ignored, unless they are named with the revision of their data. If the data of such a session, or
//!     of the guest, have another revision, or it no longer exists, `create` returns `false` and changes
//!     nothing. Of any number of concurrent calls that name the same revision, at most one creates a
//!     session. (A store that cannot change several keys atomically first creates the session, then
//!     overwrites the guest, then ends the sessions with a revision, and finally the others. If one of
//!     these steps fails or is refused, it deletes the new session and restores the guest.)
//! 14. `change_token` replaces the hash of the secret, the rotation, the time of the last authentication
//!     and, if one is given, the digest of the credential of a session, and nothing else. It does so only
//!     if the hash still equals `replaces`, and returns whether it did. From then on every reader gets
//!     the new values.
//! 15. Of any number of concurrent token changes that replace the same hash, exactly one succeeds.
//! 16. `write_data` replaces the data of a session, increments their revision, and changes nothing else.
//!     It does so only if the revision still equals `replaces`, and returns whether it did.
//! 17. Of any number of concurrent data writes that replace the same revision, exactly one succeeds. A
//!     renewal, a token change and a data write at the same time do not overwrite each other; if the
//!     token change comes first, the renewal is not done and returns `false`.
//! 18. `write_guest` without `replaces` stores a new guest, and `find_guest` returns it with all fields
//!     unchanged. It fails with [`StoreError::Collision`](crate::StoreError::Collision) if another
//!     guest has the id. Ids of sessions
//!     and ids of guests are independent: the same id may be used for one of each.
//! 19. `write_guest` with `replaces` overwrites the data, revision and expiry time of a guest, only if
//!     the revision still equals `replaces`, and returns whether it did. It never creates a guest. Of any
//!     number of concurrent calls that replace the same revision, exactly one succeeds.
//! 20. `delete_guest` returns whether the guest existed. Once it has returned, the guest is gone.
//! 21. `count_guests` returns the number of guests that expire after `now`, exact to the millisecond. A
//!     guest that a login has overwritten counts until the expiry time it was given then.
//! 22. `find_user` returns the user with the id, and `None` if no user has it.

mod contract;
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

#[cfg(any(feature = "sql", feature = "redis"))]
use contract::readable;
pub use contract::{End, Ends, GuestChange, SessionStore, SessionUserStore, StoreFuture};
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
