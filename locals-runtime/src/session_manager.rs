//! The server's side of sessions: everything that needs no request and no type of user.

use std::{sync::Arc, time::Duration};

use crate::{
    account::{AccountDenial, AccountStatus, Accounts, Found, readable},
    acting,
    admission::{self, Admission, Denial, RotationPolicy, TokenState},
    clock::{Clock, Timestamp},
    data,
    endings::Endings,
    error::{Error, StoreError, chain},
    events::Event,
    guest_room::{GuestRoom, Place, Room},
    impersonation::Actor,
    lifecycle,
    log_in::{LogInOptions, Span},
    newest::{Creations, latest, surplus},
    session::{Renewal, Session, SessionInfo, SessionRecord, SessionState},
    settings::{Settings, TokenReuse},
    store::{Ends, SessionStore},
    token::{CredentialHash, SecretHash, SessionId, SessionToken, TokenDomain},
    turns::{Turn, Turns},
    user::{AuthUser, UserId, UserKey, Users},
};

/// How many rows one statement of the sweeper deletes at most, so that it blocks nobody.
pub(crate) const SWEEP_BATCH: u32 = 1_000;

/// How many of a user's surplus sessions a login ends at most; the next one goes on.
const TRIM_BATCH: usize = 100;

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
    /// Where the rows of users are asked; `None` if they never are.
    accounts: Option<Arc<dyn Accounts>>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    /// The users these sessions belong to.
    users: Users,
    /// That of their tokens.
    domain: TokenDomain,
    endings: Endings,
    turns: Turns,
    guests: GuestRoom,
    creations: Creations,
}

/// A session on its way into the store.
#[derive(Debug, Default)]
pub(crate) struct NewSession<'a> {
    pub client: Client,
    pub options: LogInOptions,
    /// The session of the member of staff who will act in this one.
    pub actor: Option<&'a Session>,
    pub data: Option<String>,
}

/// Who logs in, as far as the request tells.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

/// A living session, and what its use asks for.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub session: Session,
    pub renewal: Option<Renewal>,
    pub token: TokenState,
}

impl SessionManager {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        accounts: Option<Arc<dyn Accounts>>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        users: Users,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            accounts,
            clock,
            settings,
            users,
            domain: TokenDomain::of_table(users.table()),
            endings: Endings::default(),
            turns: Turns::default(),
            guests: GuestRoom::default(),
            creations: Creations::default(),
        }))
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
    /// [`Error::UserGone`] for a user who is not there any more; [`Error::InactiveUser`] for one whose
    /// account is switched off; [`Error::WrongUser`] for a user of another table;
    /// [`Error::WrongUserId`] for one whose id is a `u64` beyond `i64::MAX`;
    /// [`Error::Impersonating`] in the handler of a request in which staff
    /// [act as a user](crate::Locals::impersonate); [`Error::Store`] if the store fails.
    pub async fn create_session<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.create(user, NewSession::default()).await
    }

    /// Creates a session, with which no other ends.
    pub(crate) async fn create<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
    ) -> Result<Session, Error> {
        let created = self.create_unless_changed(user, new, Ends::default()).await?;
        // Where nothing is to end, nothing can have changed.
        created.ok_or_else(data::too_busy)
    }

    /// Creates a session, with which others end; `None` if one whose data are taken over has changed
    /// since they were read.
    pub(crate) async fn create_unless_changed<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
        ends: Ends<'_>,
    ) -> Result<Option<Session>, Error> {
        if new.actor.is_none() {
            acting::refuse().await?;
        }
        let mut session = self.draft(user, new)?;
        self.expect_active(user).await?;
        self.put_after_others(&mut session).await;
        if !self.0.store.create(&session.record, ends).await? {
            return Ok(None);
        }
        let created = Event::SessionCreated { session: session.id(), user: session.user_id() };
        created.record();
        for end in ends.sessions {
            self.has_ended(end.id);
            Event::SessionEnded { session: end.id }.record();
        }
        self.keep_newest(&session).await;
        Ok(Some(session))
    }

    /// A new session that is not stored yet.
    pub(crate) fn draft<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
    ) -> Result<Session, Error> {
        let token = SessionToken::generate()?;
        let credential = self.0.users.bind(token.id(), user)?;
        let now = self.now();
        // Who acts as somebody else does so no longer than they are logged in themselves.
        let latest = new.actor.map(Session::idle_expires_at);
        let span = Span::new(self.0.settings.lifetime, &new.options, now, latest)?;
        let proved_at = new.options.proved_at(now);
        let user_id = user.id().to_user_id();
        let created_at = self.0.creations.next(&user_id, now);
        let record = SessionRecord {
            id: token.id(),
            secret_hash: self.hash(&token),
            user_id,
            created_at,
            authenticated_at: new.actor.map_or(proved_at, Session::authenticated_at),
            renewed_at: now,
            active_expires_at: span.active_expires_at,
            idle_expires_at: span.idle_expires_at,
            absolute_expires_at: span.absolute_expires_at,
            periods: span.periods,
            is_persistent: new.options.is_persistent,
            user_agent: new.client.user_agent,
            address: new.client.address,
            actor_session: new.actor.map(Session::id),
            data: new.data,
            data_revision: 0,
            rotation: None,
            credential,
        };
        let actor = new.actor.map(|actor| actor.user_id().clone());
        Ok(self.session(record, token, SessionState::Active, true, now, actor))
    }

    /// How many sessions the user of this new one may have, where it counts among them.
    fn most_with(&self, new: &Session) -> Option<usize> {
        self.0.settings.max_sessions.filter(|_| new.actor().is_none())
    }

    /// Puts the creation of a new session after those of its user's others, which a node may have
    /// noted whose clock is a little ahead. Else the new one, although nobody logged in after it, might
    /// not be among the newest and end itself. Where they cannot be read, this node's clock decides.
    async fn put_after_others(&self, new: &mut Session) {
        if self.most_with(new).is_none() {
            return;
        }
        match self.0.store.list_times_by_user(new.user_id()).await {
            Ok(sessions) => {
                let latest = latest(&sessions, new.seen_at);
                if let Some(latest) = latest.filter(|latest| *latest >= new.created_at()) {
                    let next = latest + Duration::from_millis(1);
                    new.record.created_at = self.0.creations.next(new.user_id(), next);
                }
            }
            Err(error) => {
                let (cause, doing) = (&chain(&error), "reading which sessions a user has");
                Event::StoreFailed { cause, doing }.record();
            }
        }
    }

    pub(crate) fn session(
        &self,
        record: SessionRecord,
        token: SessionToken,
        state: SessionState,
        fresh: bool,
        seen_at: Timestamp,
        actor: Option<UserId>,
    ) -> Session {
        Session { record, token, state, fresh, seen_at, actor, manager: self.clone() }
    }

    /// Ends the oldest sessions of a user who has more than they may, which the new one may be among
    /// if others have been created at the same time. It is housekeeping: if it fails, the next login
    /// does it.
    async fn keep_newest(&self, new: &Session) {
        let (user, now) = (new.user_id(), self.now());
        let Some(most) = self.most_with(new) else { return };
        let trimmed = async {
            let sessions = self.0.store.list_times_by_user(user).await?;
            for session in surplus(sessions, new.id(), most, now).into_iter().take(TRIM_BATCH) {
                // Another login may have ended it a moment ago.
                if self.delete(session).await? {
                    Event::SessionTrimmed { session, user }.record();
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = trimmed.await {
            let cause = &chain(&error);
            Event::StoreFailed { cause, doing: "ending the oldest sessions of a user" }.record();
        }
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
        let Some(found) = self.find_again(&session.token).await? else {
            return Ok(None);
        };
        let renewal = match found.renewal {
            Some(renewal) => renewal,
            None => self.0.settings.lifetime.renewal(&found.session.record, self.now()),
        };
        let admitted = Admitted {
            session: renewed(found.session, &renewal),
            renewal: Some(renewal),
            token: found.token,
        };
        self.settle(Some(admitted), &session.token).await
    }

    /// Gives a session a new token, because its user has just proved again who they are: the old
    /// token is dead, and the login is a recent one. It is bound to the
    /// [credential](AuthUser::CREDENTIAL) that its user has now. `None` if the session has ended since.
    ///
    /// In a handler use [`Locals::reauthenticate`](crate::Locals::reauthenticate), which also sets
    /// the cookie.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Error, Session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(auth: Auth<Account>, session: Session) -> Result<(), Error> {
    /// if let Some(session) = auth.reauthenticate(&session).await? {
    ///     assert!(session.is_recent(std::time::Duration::from_secs(1)));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Impersonating`] for a session in which staff [act as a
    /// user](crate::Locals::impersonate), and in the handler of a request that has such a one;
    /// [`Error::Store`] if the store fails.
    pub async fn reauthenticate(&self, session: &Session) -> Result<Option<Session>, Error> {
        acting::refuse_in(session).await?;
        self.replace_token(session, self.now()).await
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
            Event::SessionEnded { session: id }.record();
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

    /// Ends all other sessions of the user of this one; says how many there were. The session that is kept
    /// is not bound to another [credential](AuthUser::CREDENTIAL): after a change of password use
    /// [`reauthenticate`](Self::reauthenticate), which is.
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
        self.0.endings.sessions_of_user_ended(user, keep);
        Event::SessionsEnded { user, count: ended }.record();
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
        let now = self.now();
        let mut living = Vec::new();
        let mut list = self.0.store.list_by_user(&user).await?;
        if let Some(accounts) = &self.0.accounts {
            let judged = readable(accounts.judge(&user, list).await.map(Some))?;
            let judged = judged.unwrap_or_default().into_iter();
            let opens =
                |found: &Found| found.account.denial != Some(AccountDenial::CredentialChanged);
            list = judged.filter(opens).map(|found| found.record).collect();
        }
        for record in list {
            let Some(state) = lifecycle::state(&record, now) else { continue };
            let actor = match self.actor(&record).await {
                // As one who asks with its token is told.
                Err(StoreError::Corrupt(cause)) => {
                    Event::RowUnreadable { cause: &cause }.record();
                    continue;
                }
                actor => actor?,
            };
            match actor {
                Actor::TheUser => living.push(SessionInfo::new(record, state, None)),
                Actor::Staff(actor) => living.push(SessionInfo::new(record, state, Some(actor))),
                Actor::Gone => {}
            }
        }
        Ok(living)
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

    /// A place in the store for a new guest, if it has one.
    pub(crate) async fn place_for_guest(&self) -> Result<Place<'_>, Error> {
        let most = self.0.settings.max_guests;
        loop {
            let now = self.now();
            match self.0.guests.enter(now, most) {
                Room::Free(place) => return Ok(place),
                Room::Full { is_news } => {
                    if is_news {
                        Event::GuestsFull { most }.record();
                    }
                    return Err(Error::TooManyGuests { most });
                }
                Room::Unknown(count) => match self.0.store.count_guests(now).await {
                    Ok(counted) => count.finish(counted),
                    Err(error) => {
                        count.fail();
                        return Err(error.into());
                    }
                },
                Room::BeingCounted(count) => {
                    if !count.has_not_failed().await {
                        return Err(StoreError::backend("the guests could not be counted").into());
                    }
                }
            }
        }
    }

    /// Deletes the row of a guest.
    pub(crate) async fn delete_guest(&self, id: SessionId) -> Result<(), StoreError> {
        if self.0.store.delete_guest(id).await? {
            self.0.guests.one_ended();
        }
        Ok(())
    }

    /// The hash of a token's secret as the store keeps it for the users of these sessions.
    pub(crate) fn hash(&self, token: &SessionToken) -> SecretHash {
        token.hash_in(self.0.domain)
    }

    /// Refuses an id that no session of the app can have: with it nothing would be found, in silence.
    pub(crate) fn expect(&self, user: &UserId) -> Result<(), Error> {
        Ok(self.0.users.expect(user)?)
    }

    /// The time by the clock of the app, which tests move: for what the app itself lets end, such as
    /// a link in an e-mail.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use locals::{Auth, AuthUser, ManualClock, Timestamp, store::MemoryStore};
    ///
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// let clock = ManualClock::at(Timestamp::from_millis(1_000));
    /// let auth = Auth::<Account>::builder(MemoryStore::new()).clock(clock.clone()).build()?;
    /// let until = auth.now() + Duration::from_mins(15);
    ///
    /// clock.advance(Duration::from_mins(15));
    /// assert!(auth.now() >= until);
    /// # Ok::<(), locals::ConfigError>(())
    /// ```
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn store(&self) -> &dyn SessionStore {
        &*self.0.store
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn endings(&self) -> &Endings {
        &self.0.endings
    }

    /// Whether a session is always read with its user, whose row is asked about it.
    pub(crate) fn reads_users(&self) -> bool {
        self.0.accounts.is_some()
    }

    /// A stored session, alive or not, and what its user's row says of it where that is asked.
    pub(crate) async fn look_up(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        if let Some(accounts) = &self.0.accounts {
            return accounts.find(id).await;
        }
        let record = self.0.store.find(id).await?;
        Ok(record.map(|record| Found { record, account: AccountStatus::GOOD }))
    }

    /// What a session is bound to if its user proves now who they are.
    pub(crate) async fn credential(
        &self,
        session: &SessionRecord,
    ) -> Result<Option<CredentialHash>, StoreError> {
        if !self.0.users.have_credential() {
            return Ok(None);
        }
        let found = self.look_up(session.id).await?;
        Ok(found.and_then(|found| found.account.credential))
    }

    /// Refuses a user whose account is switched off.
    pub(crate) async fn expect_active<U: AuthUser>(&self, user: &U) -> Result<(), Error> {
        let Some(accounts) = &self.0.accounts else { return Ok(()) };
        let is_active = accounts.may_log_in(user, &user.id().to_user_id()).await?;
        if is_active { Ok(()) } else { Err(Error::InactiveUser) }
    }

    /// Waits for the turn to write the data of a session or a guest.
    pub(crate) async fn turn(&self, id: SessionId) -> Option<Turn> {
        self.0.turns.take(id, self.clock()).await
    }

    /// The living session that a token opens. Writes nothing: an idle one is still to be
    /// renewed. A row that cannot be read is none.
    pub(crate) async fn find(&self, token: &SessionToken) -> Result<Option<Admitted>, StoreError> {
        match readable(self.look_up(token.id()).await)? {
            Some(found) => readable(self.admit(found, token).await),
            None => Ok(None),
        }
    }

    /// As [`find`](Self::find), for a token that this request or a connection has presented before.
    pub(crate) async fn find_again(
        &self,
        token: &SessionToken,
    ) -> Result<Option<Admitted>, StoreError> {
        match readable(self.look_up(token.id()).await)? {
            Some(found) => readable(self.admit_again(found, token).await),
            None => Ok(None),
        }
    }

    /// The session of a stored row, if the token that is presented opens it and it lives.
    pub(crate) async fn admit(
        &self,
        found: Found,
        token: &SessionToken,
    ) -> Result<Option<Admitted>, StoreError> {
        self.admit_by(self.0.settings.rotation, found, token).await
    }

    /// As [`find_again`](Self::find_again), for a session that is about to be bound to the credential that
    /// its user has now: that this is another one closes no session yet.
    pub(crate) async fn find_to_bind(
        &self,
        token: &SessionToken,
    ) -> Result<Option<Admitted>, StoreError> {
        let Some(mut found) = readable(self.look_up(token.id()).await)? else { return Ok(None) };
        found.account.denial =
            found.account.denial.filter(|it| *it != AccountDenial::CredentialChanged);
        readable(self.admit_again(found, token).await)
    }

    /// As [`admit`](Self::admit), for a token that has been presented before: that another request has
    /// exchanged it since, and it is old now, is no reuse of it.
    pub(crate) async fn admit_again(
        &self,
        found: Found,
        token: &SessionToken,
    ) -> Result<Option<Admitted>, StoreError> {
        let verdict = self.verdict(self.0.settings.rotation, &found.record, token, self.now());
        if verdict == Err(Denial::TokenReused) { Ok(None) } else { self.admit(found, token).await }
    }

    /// As [`admit`](Self::admit), for a token that was presented at `began_at`: it counts as it did then,
    /// however long the request has taken since. So one that another request has exchanged meanwhile is
    /// no reuse.
    pub(crate) async fn admit_since(
        &self,
        found: Found,
        token: &SessionToken,
        began_at: Timestamp,
    ) -> Result<Option<Admitted>, StoreError> {
        let so_far = self.now().since(began_at);
        let rotation = self.0.settings.rotation.map(|policy| {
            let overlap = policy.overlap.saturating_add(so_far);
            RotationPolicy { overlap, ..policy }
        });
        self.admit_by(rotation, found, token).await
    }

    /// The sessions that a token could end, where it may be that it opens none because of the row of a
    /// user: its own, and before it the one from which it is an impersonation.
    pub(crate) fn closed(&self, found: &Found, token: &SessionToken) -> Vec<SessionId> {
        let Found { record, account } = found;
        if account.denial.is_none() && record.actor_session.is_none() {
            return Vec::new();
        }
        match self.verdict(self.0.settings.rotation, record, token, self.now()) {
            Ok(_) => record.actor_session.into_iter().chain([record.id]).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Whether a token opens a stored session.
    fn verdict(
        &self,
        rotation: Option<RotationPolicy>,
        record: &SessionRecord,
        token: &SessionToken,
        now: Timestamp,
    ) -> Result<Admission, Denial> {
        let Inner { settings, domain, .. } = &*self.0;
        admission::admit(&settings.lifetime, rotation, *domain, record, token, now)
    }

    async fn admit_by(
        &self,
        rotation: Option<RotationPolicy>,
        Found { record, account }: Found,
        token: &SessionToken,
    ) -> Result<Option<Admitted>, StoreError> {
        let now = self.now();
        let admission = match self.verdict(rotation, &record, token, now) {
            Ok(admission) => admission,
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
        let token = match &admission.token {
            TokenState::Exchanged(new) => new,
            TokenState::Current | TokenState::Due => token,
        };
        let session = self.session(record, token.clone(), admission.state, false, now, actor);
        let renewal = admission.renewal;
        let session = match &renewal {
            Some(renewal) => renewed(session, renewal),
            None => session,
        };
        Ok(Some(Admitted { session, renewal, token: admission.token }))
    }

    /// A token opens nothing: says so to those who read the logs, and ends the session if that
    /// shows that the token was copied. A fault changes nothing for who presents it, and the next
    /// time it is tried again.
    async fn denied(&self, record: &SessionRecord, denial: Denial) {
        let (session, user) = (record.id, &record.user_id);
        let event = match denial {
            Denial::Ended => Event::SessionDead { session, user },
            Denial::WrongSecret => Event::SecretWrong { session, user },
            Denial::TokenExchanged | Denial::TokenReused => {
                Event::TokenSuperseded { session, user }
            }
        };
        event.record();
        let ends = self.0.settings.token_reuse == TokenReuse::EndSession;
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

    /// Deletes the row of a session.
    pub(crate) async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let deleted = self.0.store.delete(id).await?;
        self.has_ended(id);
        Ok(deleted)
    }

    /// Tells those who wait for it.
    pub(crate) fn has_ended(&self, id: SessionId) {
        self.0.endings.session_ended(id);
    }

    /// Writes a renewal; `false` if the session is gone or somebody else has renewed it.
    pub(crate) async fn renew(
        &self,
        session: &Session,
        renewal: Renewal,
    ) -> Result<bool, StoreError> {
        let is_renewed = self.0.store.renew(session.id(), renewal).await?;
        if is_renewed {
            Event::SessionRenewed { session: session.id(), user: session.user_id() }.record();
        }
        Ok(is_renewed)
    }

    /// Writes the renewal that a session found without a request asks for.
    pub(crate) async fn settle(
        &self,
        found: Option<Admitted>,
        token: &SessionToken,
    ) -> Result<Option<Session>, Error> {
        let Some(Admitted { session, renewal, .. }) = found else {
            return Ok(None);
        };
        let Some(renewal) = renewal else {
            return Ok(Some(session));
        };
        if self.renew(&session, renewal).await? {
            return Ok(Some(session));
        }
        // Somebody else was faster: has it ended, or been renewed?
        Ok(self.find_again(token).await?.map(|found| found.session))
    }
}

/// What a session that opens nothing because of its user tells those who read the logs.
fn account_denied(record: &SessionRecord, denial: AccountDenial) {
    let (session, user) = (record.id, &record.user_id);
    let event = match denial {
        AccountDenial::Inactive => Event::UserInactive { session, user },
        AccountDenial::CredentialChanged => Event::CredentialChanged { session, user },
    };
    event.record();
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
