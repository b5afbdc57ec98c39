//! The user: the app's own type, its id, and how a handler holds it.

use std::{any::type_name, fmt, ops::Deref, sync::Arc};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    credential::CredentialDigest,
    error::Error,
    token::{CredentialHash, SessionId},
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
    /// The type of the id: `i64`, `i32`, `String` or `Uuid`.
    type Id: UserKey;

    /// The table that holds the users.
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

/// The id of a user, whatever its type.
///
/// ```
/// use locals::UserId;
///
/// let id = UserId::from(7_i64);
/// assert_eq!(id.to_string(), "7");
/// assert_eq!(i64::try_from(id), Ok(7));
/// assert_ne!(UserId::from(7_i64), UserId::from("7"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum UserId {
    /// `i64` or `i32`.
    Integer(i64),
    /// `Uuid`.
    Uuid(Uuid),
    /// `String`.
    Text(String),
}

impl UserId {
    /// The id with its kind, for a store that keeps text: ids that differ have texts that differ.
    ///
    /// ```
    /// use locals::UserId;
    ///
    /// let (number, text) = (UserId::Integer(7), UserId::from("7"));
    /// assert_ne!(number.to_text(), text.to_text());
    /// assert_eq!(UserId::from_text(&number.to_text()), Some(number));
    /// ```
    pub fn to_text(&self) -> String {
        match self {
            Self::Integer(id) => format!("i:{id}"),
            Self::Uuid(id) => format!("u:{id}"),
            Self::Text(id) => format!("t:{id}"),
        }
    }

    /// Reads what [`to_text`](Self::to_text) has written; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("i", id) => id.parse().ok().map(Self::Integer),
            ("u", id) => id.parse().ok().map(Self::Uuid),
            ("t", id) => Some(Self::Text(id.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(id) => id.fmt(f),
            Self::Uuid(id) => id.fmt(f),
            Self::Text(id) => id.fmt(f),
        }
    }
}

/// A [`UserId`] of another kind than the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the user's id is not of type {expected}")]
pub struct WrongIdKind {
    expected: &'static str,
}

/// The kinds of id a table can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserIdKind {
    /// `i64` or `i32`.
    Integer,
    /// `Uuid`.
    Uuid,
    /// `String`.
    Text,
}

/// The types an id of a user can have. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of a user",
    label = "not an id type",
    note = "the id field may be `i64`, `i32`, `String` or `uuid::Uuid`"
)]
pub trait UserKey: Clone + sealed::Sealed {
    /// The kind of id this type is.
    const KIND: UserIdKind;

    /// The id as a [`UserId`].
    fn to_user_id(&self) -> UserId;
}

mod sealed {
    pub trait Sealed {}
}

impl UserKey for i64 {
    const KIND: UserIdKind = UserIdKind::Integer;

    fn to_user_id(&self) -> UserId {
        UserId::Integer(*self)
    }
}

impl UserKey for i32 {
    const KIND: UserIdKind = UserIdKind::Integer;

    fn to_user_id(&self) -> UserId {
        UserId::Integer((*self).into())
    }
}

impl UserKey for Uuid {
    const KIND: UserIdKind = UserIdKind::Uuid;

    fn to_user_id(&self) -> UserId {
        UserId::Uuid(*self)
    }
}

impl UserKey for String {
    const KIND: UserIdKind = UserIdKind::Text;

    fn to_user_id(&self) -> UserId {
        UserId::Text(self.clone())
    }
}

macro_rules! conversions {
    ($($kind:ident: $key:ty;)+) => {$(
        impl sealed::Sealed for $key {}

        impl From<$key> for UserId {
            fn from(id: $key) -> Self {
                id.to_user_id()
            }
        }

        impl TryFrom<UserId> for $key {
            type Error = WrongIdKind;

            fn try_from(id: UserId) -> Result<Self, WrongIdKind> {
                let wrong = WrongIdKind { expected: stringify!($key) };
                match id {
                    // `i64` to `i32` can fail; the others cannot.
                    #[allow(clippy::unnecessary_fallible_conversions)]
                    UserId::$kind(id) => id.try_into().map_err(|_| wrong),
                    _ => Err(wrong),
                }
            }
        }
    )+};
}

conversions! {
    Integer: i64;
    Integer: i32;
    Uuid: Uuid;
    Text: String;
}

impl From<&str> for UserId {
    fn from(id: &str) -> Self {
        Self::Text(id.to_owned())
    }
}

/// Which users an app has: their table and how their ids are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Users {
    table: &'static str,
    id_column: &'static str,
    id_kind: UserIdKind,
    /// The fields that their sessions are bound to.
    credential: &'static [&'static str],
}

impl Users {
    pub(crate) fn of<T: AuthUser>() -> Self {
        Self {
            table: T::TABLE,
            id_column: T::ID_COLUMN,
            id_kind: T::Id::KIND,
            credential: T::CREDENTIAL,
        }
    }

    /// The table that holds them.
    pub(crate) fn table(&self) -> &'static str {
        self.table
    }

    /// Whether sessions are bound to anything.
    pub(crate) fn have_credential(&self) -> bool {
        !self.credential.is_empty()
    }

    /// What a new session of this user is bound to.
    ///
    /// # Errors
    /// [`Error::WrongUser`] for a user of another table; [`Error::MissingCredential`] for a type that
    /// does not have the fields to which the app binds its sessions.
    pub(crate) fn bind<U: AuthUser>(
        &self,
        session: SessionId,
        user: &U,
    ) -> Result<Option<CredentialHash>, Error> {
        let asked = Self::of::<U>();
        if (Self { credential: self.credential, ..asked }) != *self {
            return Err(Error::WrongUser { asked: U::TABLE, registered: self.table });
        }
        if self.credential.is_empty() {
            return Ok(None);
        }
        if asked.credential != self.credential {
            let (asked, fields) = (type_name::<U>(), self.credential);
            return Err(Error::MissingCredential { asked, fields });
        }
        Ok(CredentialDigest::of(session, user))
    }

    /// Refuses an id that no user of the app can have.
    pub(crate) fn expect(&self, id: &UserId) -> Result<(), WrongIdKind> {
        let (kind, expected) = match self.id_kind {
            UserIdKind::Integer => (matches!(id, UserId::Integer(_)), "i64 or i32"),
            UserIdKind::Uuid => (matches!(id, UserId::Uuid(_)), "Uuid"),
            UserIdKind::Text => (matches!(id, UserId::Text(_)), "String"),
        };
        if kind { Ok(()) } else { Err(WrongIdKind { expected }) }
    }
}

/// The signed-in user, as the app's own type `T`, to which it derefs.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_type_survives_the_way_to_user_id_and_back() {
        fn round<K: UserKey + TryFrom<UserId> + PartialEq + fmt::Debug>(key: K) {
            assert_eq!(K::try_from(key.to_user_id()).ok(), Some(key));
        }
        round(i64::MIN);
        round(i32::MAX);
        round(String::from("ada"));
        round(Uuid::from_u128(7));
    }

    #[test]
    fn the_text_of_an_id_names_its_kind_and_reads_back() {
        for id in [UserId::Integer(-7), UserId::from("-7"), UserId::from("i:7"), Uuid::nil().into()]
        {
            assert_eq!(UserId::from_text(&id.to_text()), Some(id));
        }
        assert_ne!(UserId::Integer(7).to_text(), UserId::from("7").to_text());
        assert_eq!(UserId::from_text("7"), None);
    }

    #[test]
    fn an_id_of_another_kind_or_range_is_refused() {
        assert!(i32::try_from(UserId::Integer(i64::MAX)).is_err());
        assert!(i64::try_from(UserId::from("7")).is_err());
        assert!(Uuid::try_from(UserId::Integer(7)).is_err());
    }
}
