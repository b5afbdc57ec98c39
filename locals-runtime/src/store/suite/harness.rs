//! What the suite must know about a store.

use std::future::Future;

use crate::{
    model::{user::AuthUser, user_id::UserId},
    store::SessionUserStore,
};

/// What the suite must know about a store.
///
/// Every test makes a harness of its own, and calls [`store`](Self::store) once. Write the
/// methods as `async fn`; they may panic.
pub trait Harness {
    /// The users. Run the suite once for each type of id that your store takes.
    type User: AuthUser;

    /// The store.
    type Store: SessionUserStore<Self::User>;

    /// Makes an empty store, which shares nothing with that of another test.
    ///
    /// What it stands on, such as a temporary directory, can live in the harness.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Adds a user with this id. It is of the kind of the users' ids: `id.try_into()` makes it
    /// the integer, `String` (at most 36 characters) or `Uuid` that it is.
    fn add_user(&self, store: &Self::Store, id: UserId) -> impl Future<Output = ()>;

    /// Removes a user, and does all else that you ask of an app that removes one.
    fn remove_user(&self, store: &Self::Store, id: UserId) -> impl Future<Output = ()>;
}
