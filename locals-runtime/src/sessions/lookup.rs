//! Finding the session that a token opens.

use crate::{
    model::{
        account::{AccountDenial, AccountStatus},
        error::{Error, StoreError, chain},
        events::Event,
        hashes::CredentialHash,
        record::{Renewal, SessionRecord},
        session_id::SessionId,
        settings::{RotationPolicy, TokenReuse},
        time::Timestamp,
        token::SessionToken,
        token_check::{self, Denial, TokenCheck, TokenState},
    },
    sessions::{
        accounts::{StoredSession, readable},
        actor::Actor,
        context::Context,
        manager::SessionManager,
        session::Session,
    },
};

/// A valid session, the renewal that is due, and the state of the token.
#[derive(Debug)]
pub(crate) struct FoundSession {
    pub session: Session,
    pub renewal: Option<Renewal>,
    pub token: TokenState,
}

impl SessionManager {
    /// Returns the session that a token opens, renewed if it was idle. Returns `None` if the token
    /// is malformed or unknown, or if the session has ended. A malformed token costs no query.
    ///
    /// Use it for tokens that do not come in the session cookie. A handler takes [`Session`] as a
    /// parameter instead.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, bearer: &str) -> Result<(), Error> {
    /// match auth.validate_session(bearer).await? {
    ///     Some(session) => println!("a session of user {}", session.user_id()),
    ///     None => println!("nobody"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn validate_session(&self, token: &str) -> Result<Option<Session>, Error> {
        let Ok(token) = token.parse() else {
            return Ok(None);
        };
        let found = self.find(&token).await?;
        self.persist_renewal(found, &token).await
    }

    /// Returns a stored session, valid or not, with the status of its account if the app has rules
    /// about it.
    pub(crate) async fn look_up(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        if let Some(accounts) = &self.context().accounts {
            return accounts.find(id).await;
        }
        let record = self.context().store.find(id).await?;
        Ok(record.map(|record| StoredSession { record, account: AccountStatus::GOOD }))
    }

    /// Returns the user's current credential, to which the session is bound when they authenticate.
    pub(crate) async fn credential(
        &self,
        session: &SessionRecord,
    ) -> Result<Option<CredentialHash>, StoreError> {
        if !self.context().users.have_credential() {
            return Ok(None);
        }
        let found = self.look_up(session.id).await?;
        Ok(found.and_then(|found| found.account.credential))
    }

    /// Returns the valid session that a token opens. Writes nothing: an idle session is not renewed
    /// yet. A row that cannot be read counts as no session.
    pub(crate) async fn find(
        &self,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, StoreError> {
        match readable(self.look_up(token.id()).await)? {
            Some(found) => readable(self.check_token(found, token).await),
            None => Ok(None),
        }
    }

    /// Like [`find`](Self::find), for a token that this request or connection has presented before.
    pub(crate) async fn find_and_recheck(
        &self,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, StoreError> {
        match readable(self.look_up(token.id()).await)? {
            Some(found) => readable(self.recheck_token(found, token).await),
            None => Ok(None),
        }
    }

    /// Returns the session of a stored row, if the presented token opens it and it has not ended.
    pub(crate) async fn check_token(
        &self,
        found: StoredSession,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, StoreError> {
        self.check_token_with(self.context().settings.rotation, found, token).await
    }

    /// Like [`find_and_recheck`](Self::find_and_recheck), for a session that is about to be bound
    /// to its user's current credential. A changed credential does not refuse the session here.
    pub(crate) async fn find_to_bind(
        &self,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, StoreError> {
        let Some(mut found) = readable(self.look_up(token.id()).await)? else { return Ok(None) };
        found.account.denial =
            found.account.denial.filter(|it| *it != AccountDenial::CredentialChanged);
        readable(self.recheck_token(found, token).await)
    }

    /// Like [`check_token`](Self::check_token), for a token that this request has presented before.
    /// If another request has rotated the token since, that is not a reuse.
    pub(crate) async fn recheck_token(
        &self,
        found: StoredSession,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, StoreError> {
        let verdict =
            self.check_record(self.context().settings.rotation, &found.record, token, self.now());
        if verdict == Err(Denial::TokenReused) {
            Ok(None)
        } else {
            self.check_token(found, token).await
        }
    }

    /// Like [`check_token`](Self::check_token), for a token that was presented at `began_at`. The
    /// token is checked as of that time, however long the request has taken. So a rotation by
    /// another request in the meantime is not a reuse.
    pub(crate) async fn check_token_since(
        &self,
        found: StoredSession,
        token: &SessionToken,
        began_at: Timestamp,
    ) -> Result<Option<FoundSession>, StoreError> {
        let elapsed = self.now().since(began_at);
        let rotation = self.context().settings.rotation.map(|policy| {
            let overlap = policy.overlap.saturating_add(elapsed);
            RotationPolicy { overlap, ..policy }
        });
        self.check_token_with(rotation, found, token).await
    }

    /// Returns the sessions that a token can end if it opens none because of a user's account: its
    /// own, preceded in an impersonation by the actor's own session.
    pub(crate) fn endable_sessions(
        &self,
        found: &StoredSession,
        token: &SessionToken,
    ) -> Vec<SessionId> {
        let StoredSession { record, account } = found;
        if account.denial.is_none() && record.actor_session.is_none() {
            return Vec::new();
        }
        match self.check_record(self.context().settings.rotation, record, token, self.now()) {
            Ok(_) => record.actor_session.into_iter().chain([record.id]).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Whether a token opens a stored session.
    fn check_record(
        &self,
        rotation: Option<RotationPolicy>,
        record: &SessionRecord,
        token: &SessionToken,
        now: Timestamp,
    ) -> Result<TokenCheck, Denial> {
        let Context { settings, domain, .. } = self.context();
        token_check::check(&settings.lifetime, rotation, *domain, record, token, now)
    }

    async fn check_token_with(
        &self,
        rotation: Option<RotationPolicy>,
        StoredSession { record, account }: StoredSession,
        token: &SessionToken,
    ) -> Result<Option<FoundSession>, StoreError> {
        let now = self.now();
        let checked = match self.check_record(rotation, &record, token, now) {
            Ok(checked) => checked,
            Err(denial) => {
                self.denied(&record, denial).await;
                return Ok(None);
            }
        };
        if let Some(denial) = account.denial {
            account_denied(&record, denial);
            return Ok(None);
        }
        let actor = match self.actor(&record).await? {
            Actor::TheUser => None,
            Actor::Staff(actor) => Some(actor),
            Actor::Gone => return Ok(None),
        };
        let token = match &checked.token {
            TokenState::Superseded(new) => new,
            TokenState::Current | TokenState::DueForRotation => token,
        };
        let session = self.session(record, token.clone(), checked.state, false, now, actor);
        let renewal = checked.renewal;
        let session = match &renewal {
            Some(renewal) => session.renewed_by(renewal),
            None => session,
        };
        Ok(Some(FoundSession { session, renewal, token: checked.token }))
    }

    /// Records why a token opens nothing, and ends the session if the reason shows that the token
    /// was copied. If ending it fails, the request is refused all the same, and the next use of the
    /// token tries again.
    async fn denied(&self, record: &SessionRecord, denial: Denial) {
        let (session, user) = (record.id, &record.user_id);
        let event = match denial {
            Denial::Ended => Event::SessionExpired { session, user },
            Denial::WrongSecret => Event::SecretWrong { session, user },
            Denial::TokenSuperseded | Denial::TokenReused => {
                Event::TokenSuperseded { session, user }
            }
        };
        event.record();
        let ends = self.context().settings.token_reuse == TokenReuse::EndSession;
        if denial != Denial::TokenReused || !ends {
            return;
        }
        match self.delete(session).await {
            Ok(true) => Event::SessionEnded { session }.record(),
            Ok(false) => {}
            Err(error) => {
                let (cause, doing) = (&chain(&error), "ending a session whose old token came back");
                Event::StoreFailed { cause, doing }.record();
            }
        }
    }
}

/// Records that a session is refused because of its user's account.
fn account_denied(record: &SessionRecord, denial: AccountDenial) {
    let (session, user) = (record.id, &record.user_id);
    let event = match denial {
        AccountDenial::Inactive => Event::UserInactive { session, user },
        AccountDenial::CredentialChanged => Event::CredentialChanged { session, user },
    };
    event.record();
}
