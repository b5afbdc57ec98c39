//! The ids of users: the types an app can use, and `UserId`, which holds an id of any of them.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

/// The id of a user, of any supported type.
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
    /// `i64`, `i32`, `i16`, `u32`, or a `u64` up to `i64::MAX`.
    Integer(i64),
    /// A `u64` greater than `i64::MAX`. Sessions cannot store it, so such a user cannot log in; calls
    /// with this id fail with [`Error::WrongUserId`](crate::Error::WrongUserId).
    TooLarge(u64),
    /// `Uuid`.
    Uuid(Uuid),
    /// `String`.
    Text(String),
}

impl UserId {
    /// Returns the id with its kind as text, for stores that keep text. Different ids have different
    /// texts.
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
            Self::TooLarge(id) => format!("l:{id}"),
            Self::Uuid(id) => format!("u:{id}"),
            Self::Text(id) => format!("t:{id}"),
        }
    }

    /// Parses the output of [`to_text`](Self::to_text); `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("i", id) => id.parse().ok().map(Self::Integer),
            ("l", id) => id.parse().ok().map(Self::TooLarge),
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
            Self::TooLarge(id) => id.fmt(f),
            Self::Uuid(id) => id.fmt(f),
            Self::Text(id) => id.fmt(f),
        }
    }
}

/// The error for a [`UserId`] that is not of the expected kind, or that sessions cannot store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct WrongIdKind(Reason);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("the user's id is not {expected}")]
    Kind { expected: &'static str },

    #[error("the user's id {0} is greater than {max}, the largest id that a session can have", max = i64::MAX)]
    TooLarge(u64),
}

impl WrongIdKind {
    /// Says why this id is not the expected one.
    fn of(id: &UserId, expected: &'static str) -> Self {
        Self(match *id {
            UserId::TooLarge(id) => Reason::TooLarge(id),
            _ => Reason::Kind { expected },
        })
    }
}

/// The kinds of id that a table of users can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserIdKind {
    /// `i64`, `i32`, `i16`, `u64` or `u32`.
    Integer,
    /// `Uuid`.
    Uuid,
    /// `String`.
    Text,
}

impl UserIdKind {
    /// Returns an error for an id that is not of this kind, or that sessions cannot store.
    pub(super) fn expect(self, id: &UserId) -> Result<(), WrongIdKind> {
        let (is_of_kind, expected) = match self {
            Self::Integer => (matches!(id, UserId::Integer(_)), "an integer"),
            Self::Uuid => (matches!(id, UserId::Uuid(_)), "a `Uuid`"),
            Self::Text => (matches!(id, UserId::Text(_)), "a `String`"),
        };
        if is_of_kind { Ok(()) } else { Err(WrongIdKind::of(id, expected)) }
    }
}

/// A type that can be the id of a user: `i64`, `i32`, `i16`, `u64`, `u32`, `String`, `Uuid`, and newtypes
/// of the app around one of them.
///
/// A newtype is a struct with one field that derives `UserKey`. The derive also implements
/// `From<AccountId> for UserId` and `TryFrom<UserId> for AccountId`. With
/// [`SqlStore`](crate::store::SqlStore) the newtype must be a transparent `sqlx::Type`, too.
///
/// ```
/// use locals::{AuthUser, UserId, UserKey};
///
/// #[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, UserKey)]
/// #[sqlx(transparent)]
/// struct AccountId(i64);
///
/// #[derive(sqlx::FromRow, AuthUser)]
/// struct Account {
///     id: AccountId,
///     email: String,
/// }
///
/// assert_eq!(UserId::from(AccountId(7)), UserId::Integer(7));
/// assert_eq!(AccountId::try_from(UserId::Integer(7)), Ok(AccountId(7)));
/// ```
///
/// A `u64` greater than `i64::MAX` becomes [`UserId::TooLarge`]: only the user with that id cannot log
/// in.
///
/// An implementation by hand must map different keys to different [`UserId`]s, all of the kind
/// [`KIND`](Self::KIND), and `from_user_id` must return the original key. Delegate to the type of the
/// field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of a user",
    label = "not an id type",
    note = "the id field may be `i64`, `i32`, `i16`, `u64`, `u32`, `String`, `uuid::Uuid`, or a struct around one of these with `#[derive(locals::UserKey)]`"
)]
pub trait UserKey: Clone {
    /// The kind of this id.
    const KIND: UserIdKind;

    /// Converts the key into a [`UserId`].
    fn to_user_id(&self) -> UserId;

    /// Converts an id back into the key: the reverse of [`to_user_id`](Self::to_user_id).
    ///
    /// # Errors
    /// [`WrongIdKind`] for an id of another kind, or one out of the range of this type.
    fn from_user_id(id: UserId) -> Result<Self, WrongIdKind>;
}

macro_rules! keys {
    ($($kind:ident: $key:ty, |$id:ident| $user_id:expr;)+) => {$(
        impl UserKey for $key {
            const KIND: UserIdKind = UserIdKind::$kind;

            fn to_user_id(&self) -> UserId {
                let $id = self;
                $user_id
            }

            fn from_user_id(id: UserId) -> Result<Self, WrongIdKind> {
                let wrong = WrongIdKind::of(&id, concat!("of type ", stringify!($key)));
                match id {
                    // Only the conversion of an `i64` to another integer type can fail.
                    #[allow(clippy::unnecessary_fallible_conversions)]
                    UserId::$kind(id) => id.try_into().map_err(|_| wrong),
                    _ => Err(wrong),
                }
            }
        }

        impl From<$key> for UserId {
            fn from(id: $key) -> Self {
                id.to_user_id()
            }
        }

        impl TryFrom<UserId> for $key {
            type Error = WrongIdKind;

            fn try_from(id: UserId) -> Result<Self, WrongIdKind> {
                Self::from_user_id(id)
            }
        }
    )+};
}

keys! {
    Integer: i64, |id| UserId::Integer(*id);
    Integer: i32, |id| UserId::Integer((*id).into());
    Integer: i16, |id| UserId::Integer((*id).into());
    Integer: u64, |id| i64::try_from(*id).map_or(UserId::TooLarge(*id), UserId::Integer);
    Integer: u32, |id| UserId::Integer((*id).into());
    Uuid: Uuid, |id| UserId::Uuid(*id);
    Text: String, |id| UserId::Text(id.clone());
}

impl From<&str> for UserId {
    fn from(id: &str) -> Self {
        Self::Text(id.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest `u64` that sessions cannot store.
    const TOO_LARGE: u64 = 1 << 63;

    #[test]
    fn every_id_type_round_trips_through_user_id() {
        fn round_trip<K: UserKey + PartialEq + fmt::Debug>(keys: impl IntoIterator<Item = K>) {
            for key in keys {
                let id = key.to_user_id();
                assert_eq!(K::KIND.expect(&id), Ok(()));
                assert_eq!(K::from_user_id(id).ok(), Some(key));
            }
        }
        round_trip([i64::MIN, i64::MAX]);
        round_trip([i32::MIN, i32::MAX]);
        round_trip([i16::MIN, i16::MAX]);
        round_trip([0, TOO_LARGE - 1]);
        round_trip([0, u32::MAX]);
        round_trip([String::from("ada")]);
        round_trip([Uuid::from_u128(7)]);
    }

    #[test]
    fn the_text_of_an_id_contains_its_kind_and_parses_back() {
        for id in [
            UserId::Integer(-7),
            UserId::from("-7"),
            UserId::from("i:7"),
            Uuid::nil().into(),
            u64::MAX.into(),
        ] {
            assert_eq!(UserId::from_text(&id.to_text()), Some(id));
        }
        assert_ne!(UserId::Integer(7).to_text(), UserId::from("7").to_text());
        assert_eq!(UserId::from_text("7"), None);
    }

    #[test]
    fn ids_of_another_kind_or_out_of_range_are_refused() {
        assert!(i32::try_from(UserId::Integer(i64::MAX)).is_err());
        assert!(i16::try_from(UserId::Integer(1 << 15)).is_err());
        assert!(u32::try_from(UserId::Integer(-1)).is_err());
        assert!(u64::try_from(UserId::Integer(-1)).is_err());
        assert!(i64::try_from(UserId::from("7")).is_err());
        assert!(Uuid::try_from(UserId::Integer(7)).is_err());
    }

    #[test]
    fn a_number_greater_than_i64_max_is_kept_as_it_is_and_refused() {
        for id in [TOO_LARGE, u64::MAX] {
            let user_id = UserId::from(id);
            assert_eq!(user_id, UserId::TooLarge(id));
            let refused = WrongIdKind(Reason::TooLarge(id));
            assert_eq!(UserIdKind::Integer.expect(&user_id), Err(refused));
            assert_eq!(i64::try_from(user_id.clone()), Err(refused));
            assert_eq!(u64::try_from(user_id), Err(refused));
        }
        assert_eq!(
            UserIdKind::Integer.expect(&TOO_LARGE.into()).map_err(|error| error.to_string()),
            Err("the user's id 9223372036854775808 is greater than 9223372036854775807, the largest \
                 id that a session can have"
                .to_owned())
        );
    }
}
