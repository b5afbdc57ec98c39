//! What an app says of the accounts of its users: who may be logged in, who may act as others, and
//! what sessions are bound to.

use std::{any::Any, fmt, sync::Arc};

use crate::{
    credential::CredentialDigest,
    error::StoreError,
    session::SessionRecord,
    store::{SessionUserStore, StoreFuture},
    token::{CredentialHash, SessionId},
    user::{AuthUser, UserId},
};

/// A question to a user's row.
type Question<T> = dyn Fn(&T) -> bool + Send + Sync;

/// What an app asks of its users' rows.
pub(crate) struct AccountRules<T> {
    pub active: Option<Arc<Question<T>>>,
    pub impersonators: Option<Arc<Question<T>>>,
}

/// What the row of a session's user says of the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountStatus {
    /// Why the session opens nothing now.
    pub denial: Option<AccountDenial>,
    /// Whether its user may act as others.
    pub may_impersonate: bool,
    /// What the session would be bound to if it began now.
    pub credential: Option<CredentialHash>,
}

/// Why a session that lives opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountDenial {
    /// Its user's account is switched off.
    Inactive,
    /// Its user has another password, or whatever it is bound to, than when it began.
    CredentialChanged,
}

/// A stored session, and what its user's row says of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub record: SessionRecord,
    pub account: AccountStatus,
}

impl AccountStatus {
    /// That of all sessions, where the app asks nothing.
    pub(crate) const GOOD: Self = Self { denial: None, may_impersonate: true, credential: None };
}

impl<T: AuthUser> AccountRules<T> {
    /// Whether the rows of users are never asked.
    pub(crate) fn are_none(&self) -> bool {
        self.active.is_none() && self.impersonators.is_none() && T::CREDENTIAL.is_empty()
    }

    pub(crate) fn is_active(&self, user: &T) -> bool {
        self.active.as_ref().is_none_or(|active| active(user))
    }

    /// What the row of a session's user says of the session.
    pub(crate) fn status_of(&self, record: &SessionRecord, user: &T) -> AccountStatus {
        let credential = CredentialDigest::of(record.id, user);
        let denial = if !self.is_active(user) {
            Some(AccountDenial::Inactive)
        } else if credential.is_some() && record.credential != credential {
            Some(AccountDenial::CredentialChanged)
        } else {
            None
        };
        let may_impersonate = self.impersonators.as_ref().is_none_or(|may| may(user));
        AccountStatus { denial, may_impersonate, credential }
    }
}

impl<T> Default for AccountRules<T> {
    fn default() -> Self {
        Self { active: None, impersonators: None }
    }
}

impl<T> Clone for AccountRules<T> {
    fn clone(&self) -> Self {
        Self { active: self.active.clone(), impersonators: self.impersonators.clone() }
    }
}

impl<T> fmt::Debug for AccountRules<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountRules").finish_non_exhaustive()
    }
}

/// The accounts of an app whose type of user is not known where they are asked.
pub(crate) trait Accounts: Send + Sync {
    /// Reads a session, and asks its user's row.
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<Found>>;

    /// Asks the row of a user about sessions of theirs; those of a user who is gone are left out.
    fn judge<'a>(
        &'a self,
        user: &'a UserId,
        sessions: Vec<SessionRecord>,
    ) -> StoreFuture<'a, Vec<Found>>;

    /// Whether this user may log in, by the row that logs in if it is of the app's own type, or
    /// else by the stored one. Of a user who is gone the creation of the session complains.
    fn may_log_in<'a>(
        &'a self,
        row: &(dyn Any + Send + Sync),
        user: &'a UserId,
    ) -> StoreFuture<'a, bool>;
}

/// Accounts in the store that holds the sessions, too.
pub(crate) struct StoredAccounts<T> {
    pub users: Arc<dyn SessionUserStore<T>>,
    pub rules: AccountRules<T>,
}

impl<T: AuthUser> Accounts for StoredAccounts<T> {
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<Found>> {
        Box::pin(async move {
            let found = self.users.find_with_user(id).await?;
            Ok(found.map(|(record, user)| {
                let account = self.rules.status_of(&record, &user);
                Found { record, account }
            }))
        })
    }

    fn judge<'a>(
        &'a self,
        user: &'a UserId,
        sessions: Vec<SessionRecord>,
    ) -> StoreFuture<'a, Vec<Found>> {
        Box::pin(async move {
            let Some(user) = self.users.find_user(user).await? else { return Ok(Vec::new()) };
            let judged = sessions.into_iter().map(|record| {
                let account = self.rules.status_of(&record, &user);
                Found { record, account }
            });
            Ok(judged.collect())
        })
    }

    fn may_log_in<'a>(
        &'a self,
        row: &(dyn Any + Send + Sync),
        user: &'a UserId,
    ) -> StoreFuture<'a, bool> {
        let own = row.downcast_ref().map(|row| self.rules.is_active(row));
        Box::pin(async move {
            match own {
                Some(is_active) => Ok(is_active),
                None if self.rules.active.is_none() => Ok(true),
                None => {
                    let user = self.users.find_user(user).await?;
                    Ok(user.is_none_or(|user| self.rules.is_active(&user)))
                }
            }
        })
    }
}

/// One row that cannot be read is as one that is not there: it harms nobody else.
pub(crate) fn readable<V>(read: Result<Option<V>, StoreError>) -> Result<Option<V>, StoreError> {
    match read {
        Err(StoreError::Corrupt(cause)) => {
            crate::events::Event::RowUnreadable { cause: &cause }.record();
            Ok(None)
        }
        read => read,
    }
}
