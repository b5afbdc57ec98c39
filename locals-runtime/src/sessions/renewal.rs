//! Renewal of a session, by one write.

use crate::{
    model::{
        error::{Error, StoreError},
        events::Event,
        record::Renewal,
        token::SessionToken,
    },
    sessions::{lookup::FoundSession, manager::SessionManager, session::Session},
};

impl SessionManager {
    /// Starts both periods of a session again, whether it is idle or not. Returns `None` if it has
    /// ended. Requests renew their sessions by themselves; call this for other kinds of use.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, session: Session) -> Result<(), Error> {
    /// if auth.renew_session(&session).await?.is_none() {
    ///     println!("it has ended in the meantime");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn renew_session(&self, session: &Session) -> Result<Option<Session>, Error> {
        let Some(found) = self.find_and_recheck(&session.token).await? else {
            return Ok(None);
        };
        let renewal = match found.renewal {
            Some(renewal) => renewal,
            None => self.context().settings.lifetime.renewal(&found.session.record, self.now()),
        };
        let found_session = FoundSession {
            session: found.session.renewed_by(&renewal),
            renewal: Some(renewal),
            token: found.token,
        };
        self.persist_renewal(Some(found_session), &session.token).await
    }

    /// Writes a renewal. Returns `false` if the session is gone or another request has renewed it.
    pub(crate) async fn renew(
        &self,
        session: &Session,
        renewal: Renewal,
    ) -> Result<bool, StoreError> {
        let is_renewed = self.context().store.renew(session.id(), renewal).await?;
        if is_renewed {
            Event::SessionRenewed { session: session.id(), user: session.user_id() }.record();
        }
        Ok(is_renewed)
    }

    /// Writes the renewal of a session that was found without a request, if it is due.
    pub(crate) async fn persist_renewal(
        &self,
        found: Option<FoundSession>,
        token: &SessionToken,
    ) -> Result<Option<Session>, Error> {
        let Some(FoundSession { session, renewal, .. }) = found else {
            return Ok(None);
        };
        let Some(renewal) = renewal else {
            return Ok(Some(session));
        };
        if self.renew(&session, renewal).await? {
            return Ok(Some(session));
        }
        // Another request was faster: the session has ended or been renewed.
        Ok(self.find_and_recheck(token).await?.map(|found| found.session))
    }
}
