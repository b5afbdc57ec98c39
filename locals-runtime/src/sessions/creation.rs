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
            impersonation_guard::refuse().await?;
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

    /// A new session that is not stored yet.
    pub(crate) fn new_session<U: AuthUser>(
        &self,
        user: &U,
        new: NewSession<'_>,
    ) -> Result<Session, Error> {
        let token = SessionToken::generate()?;
        let credential = self.context().users.bind(token.id(), user)?;
        let now = self.now();
        // Who acts as somebody else does so no longer than they are logged in themselves.
        let latest = new.actor.map(Session::idle_expires_at);
        let expiries = Expiries::new(self.context().settings.lifetime, &new.options, now, latest)?;
        let proved_at = new.options.proved_at(now);
        let user_id = user.id().to_user_id();
        let created_at = self.context().creation_times.next(&user_id, now);
        let record = SessionRecord {
            id: token.id(),
            secret_hash: self.hash(&token),
            user_id,
            created_at,
            authenticated_at: new.actor.map_or(proved_at, Session::authenticated_at),
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

    /// How many sessions the user of this new one may have, where it counts among them.
    fn max_sessions_for(&self, new: &Session) -> Option<usize> {
        self.context().settings.max_sessions.filter(|_| new.actor().is_none())
    }

    /// Puts the creation of a new session after those of its user's others, which a node may have
    /// noted whose clock is a little ahead. Else the new one, although nobody logged in after it, might
    /// not be among the newest and end itself. Where they cannot be read, this node's clock decides.
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

    /// Ends the oldest sessions of a user who has more than they may, which the new one may be among
    /// if others have been created at the same time. It is housekeeping: if it fails, the next login
    /// does it.
    async fn enforce_max_sessions(&self, new: &Session) {
        let (user, now) = (new.user_id(), self.now());
        let Some(most) = self.max_sessions_for(new) else { return };
        let trimmed = async {
            let sessions = self.context().store.list_times_by_user(user).await?;
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

    /// Refuses a user whose account is switched off.
    pub(crate) async fn expect_active<U: AuthUser>(&self, user: &U) -> Result<(), Error> {
        let Some(accounts) = &self.context().accounts else { return Ok(()) };
        let is_active = accounts.may_log_in(user, &user.id().to_user_id()).await?;
        if is_active { Ok(()) } else { Err(Error::InactiveUser) }
    }
}
