//! The trait that connects a store to the suite.

use std::future::Future;

use crate::{
    model::{user::AuthUser, user_id::UserId},
    store::SessionUserStore,
};

/// Creates a store and its users for the suite.
///
/// Every test creates its own harness and calls [`store`](Self::store) once. Write the methods as `async
/// fn`; they may panic.
pub trait Harness {
    /// The user type. Run the suite once for each type of id that your store supports.
    type User: AuthUser;

    /// The store.
    type Store: SessionUserStore<Self::User>;

    /// Creates an empty store that shares nothing with the stores of other tests.
    ///
    /// Keep what the store needs, such as a temporary directory, in the harness.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Adds a user with this id. The id has the kind of the user type's ids: `id.try_into()` converts it
    /// to an integer, a `String` (at most 36 characters) or a `Uuid`.
    fn add_user(&self, store: &Self::Store, id: UserId) -> impl Future<Output = ()>;

    /// Removes a user, and does everything else that an app has to do when it removes a user.
    fn remove_user(&self, store: &Self::Store, id: UserId) -> impl Future<Output = ()>;
}
