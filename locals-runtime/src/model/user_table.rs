//! The table of users that the sessions of an app belong to.

use std::any::type_name;

use crate::model::{
    error::Error,
    hashes::CredentialHash,
    session_id::SessionId,
    user::{AuthUser, credential_hash},
    user_id::{UserId, UserIdKind, UserKey, WrongIdKind},
};

/// The users of an app: their table, and the column and the kind of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserTable {
    table: &'static str,
    id_column: &'static str,
    id_kind: UserIdKind,
    /// The fields that their sessions are bound to.
    credential: &'static [&'static str],
}

impl UserTable {
    pub(crate) fn of<T: AuthUser>() -> Self {
        Self {
            table: T::TABLE,
            id_column: T::ID_COLUMN,
            id_kind: T::Id::KIND,
            credential: T::CREDENTIAL,
        }
    }

    /// Returns the table that holds the users.
    pub(crate) fn table(&self) -> &'static str {
        self.table
    }

    /// Whether sessions are bound to a credential.
    pub(crate) fn have_credential(&self) -> bool {
        !self.credential.is_empty()
    }

    /// Returns the digest of the credential for a new session of this user.
    ///
    /// # Errors
    /// [`Error::WrongUser`] for a user of another table; [`Error::WrongUserId`] for an id that sessions
    /// cannot store; [`Error::MissingCredential`] for a type without the fields to which the app binds
    /// its sessions.
    pub(crate) fn bind<U: AuthUser>(
        &self,
        session: SessionId,
        user: &U,
    ) -> Result<Option<CredentialHash>, Error> {
        let asked = Self::of::<U>();
        if (Self { credential: self.credential, ..asked }) != *self {
            return Err(Error::WrongUser { asked: U::TABLE, registered: self.table });
        }
        self.expect(&user.id().to_user_id())?;
        if self.credential.is_empty() {
            return Ok(None);
        }
        if asked.credential != self.credential {
            let (asked, fields) = (type_name::<U>(), self.credential);
            return Err(Error::MissingCredential { asked, fields });
        }
        Ok(credential_hash(session, user))
    }

    /// Returns an error for an id that sessions of the app cannot have.
    pub(crate) fn expect(&self, id: &UserId) -> Result<(), WrongIdKind> {
        self.id_kind.expect(id)
    }
}
