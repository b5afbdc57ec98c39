//! The server's side of sessions: everything that needs no request and no type of user.

use std::sync::Arc;

use crate::{
    clock::{Clock, Timestamp},
    error::{Error, StoreError},
    lifecycle::{self, Lifetime, Verdict},
    session::{Renewal, Session, SessionInfo, SessionRecord, SessionState},
    store::{Ends, SessionStore},
    token::{SessionId, SessionToken},
    user::{AuthUser, UserId, UserKey, Users},
};

/// How many rows one statement of the sweeper deletes at most, so that it blocks nobody.
pub(crate) const SWEEP_BATCH: u32 = 1_000;

/// Creates, validates, lists and ends sessions, on the server's own account.
///
/// [`Auth<T>`](crate::Auth) derefs to it, and a handler has it as
/// [`locals.auth()`](crate::Locals::auth). Nothing here reads or writes a cookie. Clones share
/// one store.
///
/// ```
/// # use locals::{Auth, AuthUser, Error, store::MemoryStore};
/// # #[derive(Clone, AuthUser)]
/// # struct Account { id: i64 }
/// # async fn example(auth: Auth<Account>, account: Account) -> Result<(), Error> {
/// let session = auth.create_session(&account).await?;
/// assert!(auth.validate_session(session.token().expose_secret()).await?.is_some());
///
/// auth.invalidate_session(session.id()).await?;
/// assert!(auth.validate_session(session.token().expose_secret()).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionManager(Arc<Inner>);

struct Inner {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    lifetime: Lifetime,
    /// The users these sessions belong to.
    users: Users,
}

/// Who signs in, as far as the request tells.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

/// A living session, and the renewal that its use asks for.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub session: Session,
    pub renewal: Option<Renewal>,
}

impl SessionManager {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        lifetime: Lifetime,
        users: Users,
    ) -> Self {
        Self(Arc::new(Inner { store, clock, lifetime, users }))
    }

    /// Creates a session for a user: a row with a new token. No cookie is written; see
    /// [`set_session`](crate::Locals::set_session) and [`log_in`](crate::Locals::log_in).
    ///
    /// `user` may be any [`AuthUser`] of the app's table, such as a row that also holds the
    /// password's hash.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, account: Account) -> Result<(), Error> {
    /// let session = auth.create_session(&account).await?;
    /// assert!(session.is_fresh());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongUser`] for a user of another table; [`Error::Store`] if the store fails.
    pub async fn create_session<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.create(user, Client::default()).await
    }

    pub(crate) async fn create<U: AuthUser>(
        &self,
        user: &U,
        client: Client,
    ) -> Result<Session, Error> {
        let session = self.draft(user, client)?;
        self.0.store.create(&session.record, Ends::default()).await?;
        tracing::info!(session = %session.id(), user = %session.user_id(), "session created");
        Ok(session)
    }

    /// A new session that is not stored yet.
    pub(crate) fn draft<U: AuthUser>(&self, user: &U, client: Client) -> Result<Session, Error> {
        if Users::of::<U>() != self.0.users {
            return Err(Error::WrongUser { asked: U::TABLE, registered: self.0.users.table() });
        }
        let token = SessionToken::generate()?;
        let now = self.now();
        let absolute_expires_at = self.0.lifetime.end(now);
        let (active_expires_at, idle_expires_at) =
            self.0.lifetime.periods(now, absolute_expires_at);
        let record = SessionRecord {
            id: token.id(),
            secret_hash: token.secret_hash(),
            user_id: user.id().to_user_id(),
            created_at: now,
            authenticated_at: now,
            renewed_at: now,
            active_expires_at,
            idle_expires_at,
            absolute_expires_at,
            periods: None,
            is_persistent: true,
            user_agent: client.user_agent,
            address: client.address,
            actor_session: None,
            data: None,
            data_revision: 0,
            rotation: None,
        };
        Ok(Session { record, token, state: SessionState::Active, fresh: true, seen_at: now })
    }

    /// The session that a token opens, renewed if it was idle; `None` if the token is malformed
    /// or unknown, or the session has ended. A malformed token costs no query.
    ///
    /// For tokens that do not come with the session cookie; a handler names
    /// [`Session`] instead.
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
        self.settle(found, &token).await
    }

    /// Starts both periods of a living session again, whether it is idle or not. `None` if it
    /// has ended since. Sessions are renewed by their use; this is for use of another kind.
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
        let Some(found) = self.find(&session.token).await? else {
            return Ok(None);
        };
        let renewal = match found.renewal {
            Some(renewal) => renewal,
            None => self.0.lifetime.renewal(&found.session.record, self.now()),
        };
        let admitted =
            Admitted { session: renewed(found.session, &renewal), renewal: Some(renewal) };
        self.settle(Some(admitted), &session.token).await
    }

    /// Ends a session: its row is gone when this returns. No cookie is written. An unknown id
    /// is no error.
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
    /// [`Error::Store`] if the store fails; the session then still lives.
    pub async fn invalidate_session(&self, id: SessionId) -> Result<(), Error> {
        if self.delete(id).await? {
            tracing::info!(session = %id, "session ended");
        }
        Ok(())
    }

    /// Ends all sessions of a user; says how many there were. `user` is an id of the type that
    /// the app's users have.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, account: Account) -> Result<(), Error> {
    /// let ended = auth.invalidate_user_sessions(account.id).await?;
    /// println!("signed out on {ended} devices");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongUserId`] for an id of another type; [`Error::Store`] if the store fails.
    pub async fn invalidate_user_sessions(&self, user: impl Into<UserId>) -> Result<u64, Error> {
        self.end_all(&user.into(), None).await
    }

    /// Ends all other sessions of the user of this one; says how many there were.
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
        let ended = self.0.store.delete_by_user(user, keep).await?;
        tracing::info!(%user, ended, "sessions of a user ended");
        Ok(ended)
    }

    /// The living sessions of a user, newest first.
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
        let records = self.0.store.list_by_user(&user).await?;
        let now = self.now();
        let living = records.into_iter().filter_map(|record| {
            let state = lifecycle::state(&record, now)?;
            Some(SessionInfo::new(record, state))
        });
        Ok(living.collect())
    }

    /// Deletes the rows of all sessions that have ended, a thousand at a time; says how many.
    ///
    /// Ended sessions are refused with or without it: it saves space, nothing else.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>) -> Result<(), Error> {
    /// let deleted = auth.delete_expired_sessions().await?;
    /// println!("{deleted} rows less");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails. What was deleted until then stays deleted.
    pub async fn delete_expired_sessions(&self) -> Result<u64, Error> {
        let now = self.now();
        let mut total = 0;
        loop {
            let deleted = self.sweep_batch(now).await?;
            total += deleted;
            if deleted < u64::from(SWEEP_BATCH) {
                return Ok(total);
            }
        }
    }

    /// Deletes a batch of sessions that have ended at `now`; a smaller one is the last.
    pub(crate) async fn sweep_batch(&self, now: Timestamp) -> Result<u64, Error> {
        Ok(self.0.store.delete_expired(now, SWEEP_BATCH).await?)
    }

    /// Refuses an id that no user of the app can have: with it nothing would be found, in silence.
    pub(crate) fn expect(&self, user: &UserId) -> Result<(), Error> {
        Ok(self.0.users.expect(user)?)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The living session that a token opens. Writes nothing: an idle one is still to be
    /// renewed.
    pub(crate) async fn find(&self, token: &SessionToken) -> Result<Option<Admitted>, StoreError> {
        let record = self.0.store.find(token.id()).await?;
        Ok(record.and_then(|record| self.admit(record, token)))
    }

    /// The session of a stored row, if the token opens it and it lives.
    pub(crate) fn admit(&self, record: SessionRecord, token: &SessionToken) -> Option<Admitted> {
        if record.secret_hash != token.secret_hash() {
            tracing::warn!(session = %record.id, "a token with the id of a session and a wrong secret");
            return None;
        }
        let seen_at = self.now();
        let verdict = lifecycle::judge(&self.0.lifetime, &record, seen_at);
        let (token, state) = (token.clone(), SessionState::Active);
        let mut session = Session { record, token, state, fresh: false, seen_at };
        match verdict {
            Verdict::Dead => None,
            Verdict::Active => Some(Admitted { session, renewal: None }),
            Verdict::Renew(renewal) => {
                session.state = SessionState::Idle;
                Some(Admitted { session: renewed(session, &renewal), renewal: Some(renewal) })
            }
        }
    }

    /// Deletes the row of a session.
    pub(crate) async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.0.store.delete(id).await
    }

    /// Writes a renewal; `false` if the session is gone or somebody else has renewed it.
    pub(crate) async fn renew(&self, id: SessionId, renewal: Renewal) -> Result<bool, StoreError> {
        self.0.store.renew(id, renewal).await
    }

    /// Writes the renewal that a session found without a request asks for.
    pub(crate) async fn settle(
        &self,
        found: Option<Admitted>,
        token: &SessionToken,
    ) -> Result<Option<Session>, Error> {
        let Some(Admitted { session, renewal }) = found else {
            return Ok(None);
        };
        let Some(renewal) = renewal else {
            return Ok(Some(session));
        };
        if self.renew(session.id(), renewal).await? {
            return Ok(Some(session));
        }
        // Somebody else was faster: has it ended, or been renewed?
        Ok(self.find(token).await?.map(|found| found.session))
    }
}

fn renewed(mut session: Session, renewal: &Renewal) -> Session {
    session.record.active_expires_at = renewal.active_expires_at;
    session.record.idle_expires_at = renewal.idle_expires_at;
    session.record.renewed_at = renewal.renewed_at;
    session.fresh = true;
    session
}

impl std::fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionManager").field("users", &self.0.users).finish_non_exhaustive()
    }
}
