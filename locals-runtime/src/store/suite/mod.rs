//! The conformance suite: tests of the [rules](super) of a store, for authors of stores.
//!
//! [`store_suite!`] generates one test for each function below, with the same name, so that the name of
//! a failed test says which rule is broken. A [`Harness`] tells the suite how to create your store, and
//! how to add and remove users.
//!
//! In `Cargo.toml`, enable the feature `store-suite` of `locals` and the feature `macros` of `actix-web`,
//! both under `[dev-dependencies]`. In a file of `tests/`:
//!
//! ```test_harness
//! use locals::{
//!     AuthUser, UserId,
//!     store::{
//!         MemoryStore, // in place of your store
//!         suite::{Harness, store_suite},
//!     },
//! };
//!
//! #[derive(Clone, AuthUser)]
//! struct Account {
//!     id: i64,
//! }
//!
//! struct Memory;
//!
//! impl Harness for Memory {
//!     type User = Account;
//!     type Store = MemoryStore<Account>;
//!
//!     async fn store(&self) -> MemoryStore<Account> {
//!         MemoryStore::new()
//!     }
//!
//!     async fn add_user(&self, store: &MemoryStore<Account>, id: UserId) {
//!         store.insert_user(Account { id: id.try_into().expect("an i64") });
//!     }
//!
//!     async fn remove_user(&self, store: &MemoryStore<Account>, id: UserId) {
//!         store.remove_user(id);
//!     }
//! }
//!
//! store_suite!(Memory);
//! ```
//!
//! The tests use their own clock, and their sessions begin in 1970. That makes no difference to a store,
//! because it does not decide whether a session has expired.

mod changes;
mod ends;
mod guests;
mod harness;
mod rules;
mod sessions;
mod support;
mod users;

pub use changes::*;
pub use ends::*;
pub use guests::*;
pub use harness::Harness;
pub use sessions::*;
pub use users::*;

#[doc(inline)]
pub use crate::store_suite;
