//! `SessionManager`: the operations on sessions that need neither a request nor the type of user.

use std::sync::Arc;

use crate::{
    model::{
        error::Error,
        hashes::SecretHash,
        record::{SessionRecord, SessionState},
        session_id::SessionId,
        settings::Settings,
        time::Timestamp,
        token::{SessionToken, TokenDomain},
        user_id::UserId,
        user_table::UserTable,
    },
    sessions::{
        accounts::Accounts,
        clock::Clock,
        context::Context,
        creation_times::CreationTimes,
        end_notifier::EndNotifier,
        guest_quota::GuestQuota,
        session::Session,
        write_permits::{WritePermit, WritePermits},
    },
    store::SessionStore,
};

/// Creates, validates, lists and ends sessions on the server.
///
/// [`Auth<T>`](crate::Auth) derefs to it; a handler gets it from
/// [`locals.auth()`](crate::Locals::auth). It neither reads nor writes cookies. Clones share one
/// store.
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
pub struct SessionManager(Arc<Context>);

impl SessionManager {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        accounts: Option<Arc<dyn Accounts>>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        users: UserTable,
    ) -> Self {
        Self(Arc::new(Context {
            store,
            accounts,
            clock,
            settings,
            users,
            domain: TokenDomain::of_table(users.table()),
            end_notifier: EndNotifier::default(),
            write_permits: WritePermits::default(),
            guest_quota: GuestQuota::default(),
            creation_times: CreationTimes::default(),
        }))
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
        Session { record, token, state, fresh, seen_at, actor, context: Arc::clone(&self.0) }
    }

    /// Returns the hash of a token's secret, in the domain of the app's user table.
    pub(crate) fn hash(&self, token: &SessionToken) -> SecretHash {
        token.hash_in(self.0.domain)
    }

    /// Refuses an id of a type that no session of the app can have; the store would silently find
    /// nothing.
    pub(crate) fn expect(&self, user: &UserId) -> Result<(), Error> {
        Ok(self.0.users.expect(user)?)
    }

    /// Returns the time by the app's clock, which tests can move. Use it for what expires in the
    /// app itself, such as a link in an e-mail.
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

    pub(super) fn context(&self) -> &Context {
        &self.0
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

    pub(crate) fn end_notifier(&self) -> &EndNotifier {
        &self.0.end_notifier
    }

    /// Whether sessions are always read with their users, because the app has rules about the
    /// users' rows.
    pub(crate) fn reads_users(&self) -> bool {
        self.0.accounts.is_some()
    }

    /// Waits for the permit to write the data of a session or a guest.
    pub(crate) async fn write_permit(&self, id: SessionId) -> Option<WritePermit> {
        self.0.write_permits.take(id, self.clock()).await
    }
}

impl From<Arc<Context>> for SessionManager {
    fn from(context: Arc<Context>) -> Self {
        Self(context)
    }
}

impl std::fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionManager").field("users", &self.0.users).finish_non_exhaustive()
    }
}
