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
