//! The user: the app's own type, its id, and how a handler holds it.

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

/// The app's own user type: a row of the app's own table.
///
/// Derive it; the table is `users` and the id field `id` unless you say otherwise.
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
    /// type of the app's own around one of them, with [`#[derive(UserKey)]`](UserKey).
    type Id: UserKey;

    /// The table that holds the users. Tokens are bound to its name: under another one, all log in once
    /// more.
    const TABLE: &'static str;

    /// The column of that table that holds the id.
    const ID_COLUMN: &'static str;

    /// The table in which a [`SqlStore`](crate::store::SqlStore) keeps the sessions of these users:
    /// `user_sessions`, unless `#[auth_user(sessions = "..")]` names another. Two types of user in one
    /// database have two such tables.
    const SESSIONS: &'static str = "user_sessions";

    /// The columns that a row of this user is read from; `None` reads all that the table has.
    ///
    /// The derive names those of the fields, as `sqlx::FromRow` looks for them.
    const COLUMNS: Option<&'static [UserColumn]> = None;

    /// The fields that sessions are bound to, in the order of their names: those marked
    /// `#[auth_user(credential)]`, such as the hash of the password. None by default.
    ///
    /// A session opens nothing any more when the value of one of them is another than when the session
    /// began, whoever has changed it.
    const CREDENTIAL: &'static [&'static str] = &[];

    /// The id of this user.
    fn id(&self) -> &Self::Id;

    /// Adds the fields that [`CREDENTIAL`](Self::CREDENTIAL) names, in that order.
    fn credential(&self, _digest: &mut CredentialDigest) {}

    /// How a user is made of a row of the `sqlx` database with this id, as a boxed
    /// `fn(&D::Row) -> sqlx::Result<Self>`; `None` where it is not known. Written by the derive. No part
    /// of the public interface.
    #[doc(hidden)]
    fn row_reader(_database: TypeId) -> Option<Box<dyn Any>> {
        None
    }
}

/// The digest of a user's credential for one session; `None` if sessions are bound to nothing.
pub(crate) fn credential_hash<U: AuthUser>(session: SessionId, user: &U) -> Option<CredentialHash> {
    if U::CREDENTIAL.is_empty() {
        return None;
    }
    let mut digest = CredentialDigest::new(session);
    user.credential(&mut digest);
    Some(digest.finish())
}

/// A column that the row of a user is read from, see [`AuthUser::COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserColumn {
    /// Its name, as `sqlx::FromRow` looks for it.
    pub name: &'static str,
    /// Whether the row cannot be read without it. One of a field with `#[sqlx(default)]` may be missing.
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

/// The logged-in user, as the app's own type `T`, to which it derefs.
///
/// A handler takes it as `User<T>` under `#[require_user]` and as `Option<User<T>>` under
/// `#[with_session]`. Clones share one `T`. `Debug` shows the id alone: a row of users often
/// holds a password hash.
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
    /// The user as an owned `T`.
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

/// The user of the unit tests.
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
