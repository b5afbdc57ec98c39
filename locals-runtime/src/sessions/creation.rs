//! Creating sessions, and ending those above the user's limit.

use std::time::Duration;

use crate::{
    model::{
        data,
        error::{Error, StoreError, chain},
        events::Event,
        log_in_options::{Expiries, LogInOptions},
        max_sessions::{latest, surplus},
        record::{SessionRecord, SessionState},
        token::SessionToken,
        user::AuthUser,
        user_id::UserKey,
    },
    sessions::{impersonation_guard, manager::SessionManager, session::Session},
    store::Ends,
};

/// The maximum number of surplus sessions that one login ends. The next login ends further ones.
const TRIM_BATCH: usize = 100;

/// A session to create.
#[derive(Debug, Default)]
pub(crate) struct NewSession<'a> {
    pub client: Client,
    pub options: LogInOptions,
    /// The actor's own session, for an impersonation.
    pub actor: Option<&'a Session>,
    pub data: Option<String>,
}

/// The client that logs in, as described by its request.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

impl SessionManager {
    /// Creates a session for a user: a row with a new token. Writes no cookie; see
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
    /// - [`Error::UserGone`] if the user no longer exists.
    /// - [`Error::InactiveUser`] if the account is disabled.
    /// - [`Error::WrongUser`] if the user is from another table.
    /// - [`Error::WrongUserId`] if the user's id is a `u64` above `i64::MAX`.
    /// - [`Error::Impersonating`] in the handler of a request that is part of an
    ///   [impersonation](crate::Locals::impersonate).
    /// - [`Error::Store`] if the store fails.
    pub async fn create_session<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.create(user, NewSession::default()).await
    }

    /// Creates a session and ends no other.
    pub(crate) async fn create<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
    ) -> Result<Session, Error> {
        let created = self.create_unless_changed(user, new, Ends::default()).await?;
        // Nothing ends, so nothing can have changed.
        created.ok_or_else(data::too_busy)
    }

    /// Creates a session and ends others. Returns `None` if a row whose data are taken over has
    /// changed since it was read.
    pub(crate) async fn create_unless_changed<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
        ends: Ends<'_>,
    ) -> Result<Option<Session>, Error> {
        if new.actor.is_none() {
            impersonation_guard::refuse_if_impersonating().await?;
        }
        let mut session = self.new_session(user, new)?;
        self.expect_active(user).await?;
        self.order_after_existing(&mut session).await;
        if !self.context().store.create(&session.record, ends).await? {
            return Ok(None);
        }
        let created = Event::SessionCreated { session: session.id(), user: session.user_id() };
        created.record();
        for end in ends.sessions {
            self.notify_ended(end.id);
            Event::SessionEnded { session: end.id }.record();
        }
        self.enforce_max_sessions(&session).await;
        Ok(Some(session))
    }

    /// Returns a new session that is not stored yet.
    pub(crate) fn new_session<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
    ) -> Result<Session, Error> {
        let token = SessionToken::generate()?;
        let credential = self.context().users.bind(token.id(), user)?;
        let now = self.now();
        // An impersonation lasts no longer than the actor's own session.
        let latest = new.actor.map(Session::idle_expires_at);
        let expiries = Expiries::new(self.context().settings.lifetime, &new.options, now, latest)?;
        let authentication_time = new.options.authentication_time(now);
        let user_id = user.id().to_user_id();
        let created_at = self.context().creation_times.next(&user_id, now);
        let record = SessionRecord {
            id: token.id(),
            secret_hash: self.hash(&token),
            user_id,
            created_at,
            authenticated_at: new.actor.map_or(authentication_time, Session::authenticated_at),
            renewed_at: now,
            active_expires_at: expiries.active_expires_at,
            idle_expires_at: expiries.idle_expires_at,
            absolute_expires_at: expiries.absolute_expires_at,
            periods: expiries.periods,
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

    /// Returns the session limit of this user, if the new session counts towards it.
    fn max_sessions_for(&self, new: &Session) -> Option<usize> {
        self.context().settings.max_sessions.filter(|_| new.actor().is_none())
    }

    /// Makes the new session the newest of its user's sessions. A node whose clock is slightly
    /// ahead may have created one with a later time; the new session could then count as an older
    /// one and end immediately. If the sessions cannot be read, this node's clock decides.
    async fn order_after_existing(&self, new: &mut Session) {
        if self.max_sessions_for(new).is_none() {
            return;
        }
        match self.context().store.list_times_by_user(new.user_id()).await {
            Ok(sessions) => {
                let latest = latest(&sessions, new.seen_at);
                if let Some(latest) = latest.filter(|latest| *latest >= new.created_at()) {
                    let next = latest + Duration::from_millis(1);
                    new.record.created_at = self.context().creation_times.next(new.user_id(), next);
                }
            }
            Err(error) => {
                let (cause, doing) = (&chain(&error), "reading which sessions a user has");
                Event::StoreFailed { cause, doing }.record();
            }
        }
    }

    /// Ends the oldest sessions of a user above the limit. If others were created at the same time,
    /// the new one may be among them. A fault is only logged, since the next login does it again.
    async fn enforce_max_sessions(&self, new: &Session) {
        let (user, now) = (new.user_id(), self.now());
        let Some(limit) = self.max_sessions_for(new) else { return };
        let trimmed = async {
            let sessions = self.context().store.list_times_by_user(user).await?;
            for session in surplus(sessions, new.id(), limit, now).into_iter().take(TRIM_BATCH) {
                // Another login may just have ended it.
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

    /// Refuses a user whose account is disabled.
    pub(crate) async fn expect_active<U: AuthUser>(&self, user: &U) -> Result<(), Error> {
        let Some(accounts) = &self.context().accounts else { return Ok(()) };
        let is_active = accounts.may_log_in(user, &user.id().to_user_id()).await?;
        if is_active { Ok(()) } else { Err(Error::InactiveUser) }
    }
}
