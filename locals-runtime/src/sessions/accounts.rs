//! The accounts of the users of sessions, read from the store without their type.

use std::{any::Any, sync::Arc};

use crate::{
    model::{
        account::{AccountRules, AccountStatus},
        error::StoreError,
        record::SessionRecord,
        session_id::SessionId,
        user::AuthUser,
        user_id::UserId,
    },
    store::{SessionUserStore, StoreFuture},
};

/// A stored session, and the status of its user's account.
#[derive(Debug)]
pub(crate) struct StoredSession {
    pub record: SessionRecord,
    pub account: AccountStatus,
}

/// The accounts of an app, for code that does not know the type of its users.
pub(crate) trait Accounts: Send + Sync {
    /// Reads a session and its user's row, and returns both the session and the status of the
    /// account.
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<StoredSession>>;

    /// Returns the account status for each of a user's sessions; none if the user no longer exists.
    fn check_all<'a>(
        &'a self,
        user: &'a UserId,
        sessions: Vec<SessionRecord>,
    ) -> StoreFuture<'a, Vec<StoredSession>>;

    /// Whether this user may log in, by the given row if it is of the app's user type, or else by
    /// the stored one. If the user no longer exists, the creation of the session returns the error.
    fn may_log_in<'a>(
        &'a self,
        row: &(dyn Any + Send + Sync),
        user: &'a UserId,
    ) -> StoreFuture<'a, bool>;
}

/// Accounts in the store that also holds the sessions.
pub(crate) struct StoredAccounts<T> {
    pub users: Arc<dyn SessionUserStore<T>>,
    pub rules: AccountRules<T>,
}

impl<T: AuthUser> Accounts for StoredAccounts<T> {
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<StoredSession>> {
        Box::pin(async move {
            let found = self.users.find_with_user(id).await?;
            Ok(found.map(|(record, user)| {
                let account = self.rules.status_of(&record, &user);
                StoredSession { record, account }
            }))
        })
    }

    fn check_all<'a>(
        &'a self,
        user: &'a UserId,
        sessions: Vec<SessionRecord>,
    ) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move {
            let Some(user) = self.users.find_user(user).await? else { return Ok(Vec::new()) };
            let checked = sessions.into_iter().map(|record| {
                let account = self.rules.status_of(&record, &user);
                StoredSession { record, account }
            });
            Ok(checked.collect())
        })
    }

    fn may_log_in<'a>(
        &'a self,
        row: &(dyn Any + Send + Sync),
        user: &'a UserId,
    ) -> StoreFuture<'a, bool> {
        let by_given_row = row.downcast_ref().map(|row| self.rules.is_active(row));
        Box::pin(async move {
            match by_given_row {
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

/// Treats a row that cannot be read as missing, so that it affects nobody else.
pub(crate) fn readable<V>(read: Result<Option<V>, StoreError>) -> Result<Option<V>, StoreError> {
    match read {
        Err(StoreError::Corrupt(cause)) => {
            crate::model::events::Event::RowUnreadable { cause: &cause }.record();
            Ok(None)
        }
        read => read,
    }
}
