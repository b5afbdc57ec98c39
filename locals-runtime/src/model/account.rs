//! What an app says of the accounts of its users: which are active, and who may impersonate.

use std::{fmt, sync::Arc};

use crate::model::{
    hashes::CredentialHash,
    record::SessionRecord,
    user::{AuthUser, credential_hash},
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
        let credential = credential_hash(record.id, user);
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
