//! The accounts behind the sessions, read from the store without their type.

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

/// A stored session, and what its user's row says of it.
#[derive(Debug)]
pub(crate) struct StoredSession {
    pub record: SessionRecord,
    pub account: AccountStatus,
}

/// The accounts of an app whose type of user is not known where they are asked.
pub(crate) trait Accounts: Send + Sync {
    /// Reads a session, and asks its user's row.
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<StoredSession>>;

    /// Asks the row of a user about sessions of theirs; those of a user who is gone are left out.
    fn judge<'a>(
        &'a self,
        user: &'a UserId,
        sessions: Vec<SessionRecord>,
    ) -> StoreFuture<'a, Vec<StoredSession>>;

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
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<StoredSession>> {
        Box::pin(async move {
            let found = self.users.find_with_user(id).await?;
            Ok(found.map(|(record, user)| {
                let account = self.rules.status_of(&record, &user);
                StoredSession { record, account }
            }))
        })
    }

    fn judge<'a>(
        &'a self,
        user: &'a UserId,
        sessions: Vec<SessionRecord>,
    ) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move {
            let Some(user) = self.users.find_user(user).await? else { return Ok(Vec::new()) };
            let judged = sessions.into_iter().map(|record| {
                let account = self.rules.status_of(&record, &user);
                StoredSession { record, account }
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
            crate::model::events::Event::RowUnreadable { cause: &cause }.record();
            Ok(None)
        }
        read => read,
    }
}
