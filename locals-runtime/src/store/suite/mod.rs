//! The conformance suite: the [rules](super) of a store as tests, for authors of stores.
//!
//! [`store_suite!`] makes one test of each function below, of the same name, so that a store
//! that breaks a rule is told which. What the suite must know about your store is a
//! [`Harness`]: how to make one, and how users come and go.
//!
//! In `Cargo.toml`, `locals` takes the feature `store-suite` and `actix-web` the feature
//! `macros`, both under `[dev-dependencies]`. In a file of `tests/`:
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
//! The tests have a clock of their own, and their sessions begin in 1970: to a store, which
//! decides nothing, it is all the same whether a session has ended.

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
