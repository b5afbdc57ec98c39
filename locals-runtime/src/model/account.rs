//! The app's rules for the accounts of its users: which are active, and who may impersonate.

use std::{fmt, sync::Arc};

use crate::model::{
    hashes::CredentialHash,
    record::SessionRecord,
    user::{AuthUser, credential_hash},
};

/// A predicate on the row of a user.
type Predicate<T> = dyn Fn(&T) -> bool + Send + Sync;

/// The predicates that the app has configured.
pub(crate) struct AccountRules<T> {
    pub active: Option<Arc<Predicate<T>>>,
    pub impersonators: Option<Arc<Predicate<T>>>,
}

/// What follows for a session from the row of its user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountStatus {
    /// Why the session is not accepted; `None` if it is.
    pub denial: Option<AccountDenial>,
    /// Whether the user may impersonate others.
    pub may_impersonate: bool,
    /// The digest of the user's current credential for this session.
    pub credential: Option<CredentialHash>,
}

/// Why a session that has not ended is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountDenial {
    /// The account of the user is disabled.
    Inactive,
    /// The credential that the session is bound to, such as the password, has changed.
    CredentialChanged,
}

impl AccountStatus {
    /// The status of all sessions if the app has no rules.
    pub(crate) const GOOD: Self = Self { denial: None, may_impersonate: true, credential: None };
}

impl<T: AuthUser> AccountRules<T> {
    /// Whether there are no rules, so that rows of users need not be read for them.
    pub(crate) fn are_none(&self) -> bool {
        self.active.is_none() && self.impersonators.is_none() && T::CREDENTIAL.is_empty()
    }

    pub(crate) fn is_active(&self, user: &T) -> bool {
        self.active.as_ref().is_none_or(|active| active(user))
    }

    /// Applies the rules to the user of a session.
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
