//! Ending sessions.

use crate::{
    model::{
        error::{Error, StoreError},
        events::Event,
        session_id::SessionId,
        user_id::UserId,
    },
    sessions::{manager::SessionManager, session::Session},
};

impl SessionManager {
    /// Ends a session: its row is deleted when this returns. Writes no cookie. An unknown id is not
    /// an error.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, session: Session) -> Result<(), Error> {
    /// auth.invalidate_session(session.id()).await?;
    /// auth.invalidate_session(session.id()).await?; // is gone already: no error
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails; the session then has not ended.
    pub async fn invalidate_session(&self, id: SessionId) -> Result<(), Error> {
        if self.delete(id).await? {
            Event::SessionEnded { session: id }.record();
        }
        Ok(())
    }

    /// Ends all sessions of a user and returns their number. `user` is an id of the type that the
    /// app's users have.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, account: Account) -> Result<(), Error> {
    /// let ended = auth.invalidate_user_sessions(account.id).await?;
    /// println!("logged out on {ended} devices");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongUserId`] for an id of another type; [`Error::Store`] if the store fails.
    pub async fn invalidate_user_sessions(&self, user: impl Into<UserId>) -> Result<u64, Error> {
        self.end_all(&user.into(), None).await
    }

    /// Ends all other sessions of this session's user and returns their number. It does not bind
    /// the remaining session to a changed [credential](crate::AuthUser::CREDENTIAL); after a change of
    /// password use [`reauthenticate`](Self::reauthenticate), which does.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, session: Session) -> Result<(), Error> {
    /// auth.invalidate_other_sessions(&session).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn invalidate_other_sessions(&self, session: &Session) -> Result<u64, Error> {
        self.end_all(session.user_id(), Some(session.id())).await
    }

    async fn end_all(&self, user: &UserId, keep: Option<SessionId>) -> Result<u64, Error> {
        self.expect(user)?;
        let ended = self.context().store.delete_by_user(user, keep).await?;
        self.context().end_notifier.sessions_of_user_ended(user, keep);
        Event::SessionsEnded { user, count: ended }.record();
        Ok(ended)
    }

    /// Deletes the row of a session.
    pub(crate) async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let deleted = self.context().store.delete(id).await?;
        self.notify_ended(id);
        Ok(deleted)
    }

    /// Notifies those who wait for the end of a session.
    pub(crate) fn notify_ended(&self, id: SessionId) {
        self.context().end_notifier.session_ended(id);
    }
}
