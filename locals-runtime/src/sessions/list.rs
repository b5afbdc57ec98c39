//! The list of a user's sessions.

use crate::{
    model::{
        account::AccountDenial,
        error::{Error, StoreError},
        events::Event,
        lifecycle,
        user_id::UserId,
    },
    sessions::{
        accounts::{StoredSession, readable},
        actor::Actor,
        manager::SessionManager,
        session::SessionInfo,
    },
};

impl SessionManager {
    /// Returns the valid sessions of a user, newest first.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, account: Account) -> Result<(), Error> {
    /// for session in auth.user_sessions(account.id).await? {
    ///     println!("{} since {:?}", session.id, session.created_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongUserId`] for an id of another type; [`Error::Store`] if the store fails.
    pub async fn user_sessions(&self, user: impl Into<UserId>) -> Result<Vec<SessionInfo>, Error> {
        let user = user.into();
        self.expect(&user)?;
        let now = self.now();
        let mut valid = Vec::new();
        let mut list = self.context().store.list_by_user(&user).await?;
        if let Some(accounts) = &self.context().accounts {
            let checked = readable(accounts.check_all(&user, list).await.map(Some))?;
            let checked = checked.unwrap_or_default().into_iter();
            let is_usable = |found: &StoredSession| {
                found.account.denial != Some(AccountDenial::CredentialChanged)
            };
            list = checked.filter(is_usable).map(|found| found.record).collect();
        }
        for record in list {
            let Some(state) = lifecycle::state(&record, now) else { continue };
            let actor = match self.actor(&record).await {
                // A token of this session would be refused in the same way.
                Err(StoreError::Corrupt(cause)) => {
                    Event::RowUnreadable { cause: &cause }.record();
                    continue;
                }
                actor => actor?,
            };
            match actor {
                Actor::TheUser => valid.push(SessionInfo::new(record, state, None)),
                Actor::Staff(actor) => valid.push(SessionInfo::new(record, state, Some(actor))),
                Actor::Gone => {}
            }
        }
        Ok(valid)
    }
}
