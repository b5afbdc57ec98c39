//! The user: the app's own type, its id, and the wrapper that a handler receives.

use std::{
    any::{Any, TypeId},
    fmt,
    ops::Deref,
    sync::Arc,
};

use serde::Serialize;

use crate::model::{
    credential::CredentialDigest, hashes::CredentialHash, session_id::SessionId, user_id::UserKey,
};

/// The app's own user type: one row of the app's own table.
///
/// Implement it with the derive. By default the table is `users` and the id field is `id`.
///
/// ```
/// use locals::AuthUser;
///
/// #[derive(AuthUser)]
/// #[auth_user(table = "accounts")]
/// struct Account {
///     id: i64,
///     email: String,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a user of this app: it has no `AuthUser`",
    label = "not an `AuthUser`",
    note = "write `#[derive(locals::AuthUser)]` above `{Self}`, with `#[auth_user(table = \"..\")]` if its table is not `users`"
)]
pub trait AuthUser: Send + Sync + 'static {
    /// The type of the id: an integer (`i64`, `i32`, `i16`, `u64` or `u32`), `String`, `Uuid`, or a
    /// newtype of the app around one of them with [`#[derive(UserKey)]`](UserKey).
    type Id: UserKey;

    /// The table that holds the users. Tokens are bound to its name: if the table is renamed, all users
    /// have to log in again.
    const TABLE: &'static str;

    /// The column of that table that holds the id.
    const ID_COLUMN: &'static str;

    /// The table in which a [`SqlStore`](crate::store::SqlStore) keeps the sessions of these users:
    /// `user_sessions`, unless `#[auth_user(sessions = "..")]` names another. Two user types in one
    /// database need two such tables.
    const SESSIONS: &'static str = "user_sessions";

    /// The columns that are selected to read this user; `None` selects all columns of the table.
    ///
    /// The derive lists the columns of the fields, by the names that `sqlx::FromRow` looks for.
    const COLUMNS: Option<&'static [UserColumn]> = None;

    /// The fields that sessions are bound to, ordered by name: those marked `#[auth_user(credential)]`,
    /// such as the password hash. None by default.
    ///
    /// A session is no longer accepted once the value of one of these fields differs from its value
    /// when the session began, no matter who changed it.
    const CREDENTIAL: &'static [&'static str] = &[];

    /// The id of this user.
    fn id(&self) -> &Self::Id;

    /// Adds the fields that [`CREDENTIAL`](Self::CREDENTIAL) names, in that order.
    fn credential(&self, _digest: &mut CredentialDigest) {}

    /// The function that decodes a user from a row of the `sqlx` database with this type id, as a boxed
    /// `fn(&D::Row) -> sqlx::Result<Self>`; `None` where it is not known. Written by the derive. Not part
    /// of the public interface.
    #[doc(hidden)]
    fn row_reader(_database: TypeId) -> Option<Box<dyn Any>> {
        None
    }
}

/// Returns the digest of a user's credential for one session; `None` if sessions are not bound to a
/// credential.
pub(crate) fn credential_hash<U: AuthUser>(session: SessionId, user: &U) -> Option<CredentialHash> {
    if U::CREDENTIAL.is_empty() {
        return None;
    }
    let mut digest = CredentialDigest::new(session);
    user.credential(&mut digest);
    Some(digest.finish())
}

/// A column that is selected to read a user, see [`AuthUser::COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserColumn {
    /// Its name, as `sqlx::FromRow` looks for it.
    pub name: &'static str,
    /// Whether the row cannot be read without it. The column of a field with `#[sqlx(default)]` may be
    /// missing.
    pub is_required: bool,
}

impl UserColumn {
    /// A column without which the row cannot be read.
    pub const fn required(name: &'static str) -> Self {
        Self { name, is_required: true }
    }

    /// A column that may be missing from the table.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, is_required: false }
    }
}

/// The logged-in user. It dereferences to `T`, the app's own user type.
///
/// A handler takes it as `User<T>` under `#[require_user]` and as `Option<User<T>>` under
/// `#[with_session]`. Clones share one `T`. `Debug` shows only the id, because the row of a user
/// often holds a password hash.
///
/// ```
/// use locals::{AuthUser, User, require_user};
///
/// #[derive(AuthUser)]
/// struct Account { id: i64, email: String }
///
/// #[require_user]
/// async fn me(user: User<Account>) -> String {
///     user.email.clone()
/// }
/// ```
pub struct User<T>(Arc<T>);

impl<T: AuthUser> User<T> {
    pub(crate) fn new(user: Arc<T>) -> Self {
        Self(user)
    }
}

impl<T: Clone> User<T> {
    /// Returns the user as an owned `T`.
    pub fn into_inner(self) -> T {
        Arc::unwrap_or_clone(self.0)
    }
}

impl<T> Deref for User<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for User<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: AuthUser> fmt::Debug for User<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({})", self.0.id().to_user_id())
    }
}

impl<T: Serialize> Serialize for User<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The user type of the unit tests.
#[cfg(test)]
pub(crate) mod test_user {
    use super::AuthUser;

    #[derive(Clone)]
    pub(crate) struct Account {
        pub id: i64,
    }

    impl AuthUser for Account {
        type Id = i64;

        const ID_COLUMN: &'static str = "id";
        const TABLE: &'static str = "accounts";

        fn id(&self) -> &i64 {
            &self.id
        }
    }
}
