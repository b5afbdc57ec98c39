//! Sessions inside a transaction of the app: they change with it, or not at all.

use std::{any::Any, fmt};

use sqlx::Transaction;

use crate::{
    model::{
        account::AccountRules,
        error::Error,
        hashes::CredentialHash,
        session_id::SessionId,
        user::{AuthUser, credential_hash},
        user_id::{UserId, UserKey},
    },
    sessions::{
        creation::NewSession, impersonation_guard, manager::SessionManager, session::Session,
        token_change::with_token,
    },
    store::{Dialect, Ends, ReadRow, SessionUserStore, SqlStore},
};

/// The methods of [`SessionManager`](crate::SessionManager) inside a transaction of the app.
///
/// Made by [`Auth::within`](crate::Auth::within). Changes take effect when the app commits, and are
/// lost if it does not.
/// Write a cookie, with [`set_session`](crate::Locals::set_session), only after the commit.
///
/// Whether the app commits is not known here. So these methods log nothing, and those who wait for
/// the [end](crate::Session::ended) of a session that is ended here are notified within a minute
/// instead of immediately.
pub struct SessionTransaction<'a, D: Dialect, T> {
    sessions: &'a SessionManager,
    users: &'a dyn SessionUserStore<T>,
    rules: &'a AccountRules<T>,
    store: &'a SqlStore<D, T>,
    connection: &'a mut D::Connection,
}

impl<'a, D: Dialect, T: AuthUser> SessionTransaction<'a, D, T> {
    /// # Errors
    /// [`Error::WrongStore`] if `users` is not a [`SqlStore`] on a database of the transaction's kind.
    pub(crate) fn new(
        sessions: &'a SessionManager,
        users: &'a dyn SessionUserStore<T>,
        rules: &'a AccountRules<T>,
        transaction: &'a mut Transaction<'_, D>,
    ) -> Result<Self, Error> {
        let store: &dyn Any = users;
        let store = store.downcast_ref().ok_or(Error::WrongStore { transaction: D::NAME })?;
        Ok(Self { sessions, users, rules, store, connection: transaction })
    }
}

impl<D: Dialect, T: AuthUser> SessionTransaction<'_, D, T> {
    /// Like [`SessionManager::create_session`](crate::SessionManager::create_session), but ends no
    /// other session. Sessions above [`max_sessions`](crate::AuthBuilder::max_sessions) end at the
    /// user's next login, and only the clock of this node determines how new this session is.
    ///
    /// # Errors
    /// - [`Error::UserGone`] if the user no longer exists.
    /// - [`Error::InactiveUser`] if the account is disabled.
    /// - [`Error::WrongUser`] if the user is from another table.
    /// - [`Error::WrongUserId`] if the user's id is a `u64` above `i64::MAX`.
    /// - [`Error::Impersonating`] in the handler of a request that is part of an
    ///   [impersonation](crate::Locals::impersonate).
    /// - [`Error::Store`] if the database fails.
    pub async fn create_session<U: AuthUser>(&mut self, user: &U) -> Result<Session, Error> {
        impersonation_guard::refuse_if_impersonating().await?;
        let session = self.sessions.new_session(user, NewSession::default())?;
        self.expect_active(user).await?;
        self.store.create_on(self.connection, &session.record, Ends::default()).await?;
        Ok(session)
    }

    /// Like [`SessionManager::reauthenticate`](crate::SessionManager::reauthenticate): replaces the
    /// token of a session whose user has just re-authenticated. Returns `None` if the session has
    /// ended since it was read, or if another request has replaced its token: roll back then, and
    /// let the user try again.
    ///
    /// ```
    /// # use actix_web::HttpResponse;
    /// # use locals::{Auth, AuthUser, Locals, Session, require_user};
    /// # #[derive(Clone, sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn change_password(
    /// #     pool: sqlx::SqlitePool, auth: Auth<Account>, locals: Locals, session: Session
    /// # ) -> Result<HttpResponse, Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    /// // .. write the new hash ..
    /// let mut within = auth.within(&mut transaction)?;
    /// within.invalidate_other_sessions(&session).await?;
    /// let Some(session) = within.reauthenticate(&session).await? else {
    ///     return Ok(HttpResponse::Conflict().finish()); // rolled back
    /// };
    /// transaction.commit().await?;
    /// locals.set_session(session);
    /// # Ok(HttpResponse::NoContent().finish())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Impersonating`] for a session that is an
    /// [impersonation](crate::Locals::impersonate), and in the handler of a request with such a
    /// session; [`Error::Store`] if the database fails.
    pub async fn reauthenticate(&mut self, session: &Session) -> Result<Option<Session>, Error> {
        impersonation_guard::refuse_in(session).await?;
        let (token, mut change) = self.sessions.new_token(&session.record, self.sessions.now())?;
        change.credential = self.credential(session).await?;
        let is_changed = self.store.change_token_on(self.connection, session.id(), &change).await?;
        Ok(is_changed.then(|| with_token(session.clone(), token, &change, true)))
    }

    /// Like
    /// [`SessionManager::invalidate_other_sessions`](crate::SessionManager::invalidate_other_sessions),
    /// but also binds the remaining session to its user's current
    /// [credential](AuthUser::CREDENTIAL). So the session survives a change of password in the same
    /// transaction.
    ///
    /// # Errors
    /// [`Error::Store`] if the database fails.
    pub async fn invalidate_other_sessions(&mut self, session: &Session) -> Result<u64, Error> {
        let (user, keep) = (session.user_id(), Some(session.id()));
        let ended = self.store.delete_by_user_on(self.connection, user, keep).await?;
        if let Some(credential) = self.credential(session).await? {
            let id = session.id();
            self.store.bind_credential_on(self.connection, id, &credential).await?;
        }
        Ok(ended)
    }

    /// Returns the user's row as this transaction sees it.
    async fn find_user(&mut self, id: &UserId) -> Result<Option<T>, Error> {
        let read = self.users.row_reader();
        let read = read.and_then(|read| read.downcast::<ReadRow<D, T>>().ok());
        let read = read.ok_or(Error::WrongStore { transaction: D::NAME })?;
        Ok(self.store.find_user_on(self.connection, id, *read).await?)
    }

    /// Returns the hash of the user's current credential, from the row as this transaction sees it.
    async fn credential(&mut self, session: &Session) -> Result<Option<CredentialHash>, Error> {
        if T::CREDENTIAL.is_empty() {
            return Ok(None);
        }
        let user = self.find_user(session.user_id()).await?;
        Ok(user.and_then(|user| credential_hash(session.id(), &user)))
    }

    /// Refuses a user whose account is disabled, by their row as this transaction sees it.
    async fn expect_active<U: AuthUser>(&mut self, user: &U) -> Result<(), Error> {
        let rules = self.rules;
        if rules.active.is_none() {
            return Ok(());
        }
        let row: &dyn Any = user;
        let is_active = if let Some(row) = row.downcast_ref() {
            rules.is_active(row)
        } else {
            let row = self.find_user(&user.id().to_user_id()).await?;
            row.is_none_or(|row| rules.is_active(&row))
        };
        if is_active { Ok(()) } else { Err(Error::InactiveUser) }
    }

    /// Like [`SessionManager::invalidate_session`](crate::SessionManager::invalidate_session).
    ///
    /// # Errors
    /// [`Error::Store`] if the database fails.
    pub async fn invalidate_session(&mut self, id: SessionId) -> Result<(), Error> {
        self.store.delete_on(self.connection, id).await?;
        Ok(())
    }

    /// Like
    /// [`SessionManager::invalidate_user_sessions`](crate::SessionManager::invalidate_user_sessions).
    ///
    /// # Errors
    /// [`Error::WrongUserId`] for an id of another type; [`Error::Store`] if the database fails.
    pub async fn invalidate_user_sessions(
        &mut self,
        user: impl Into<UserId>,
    ) -> Result<u64, Error> {
        let user = user.into();
        self.sessions.expect(&user)?;
        Ok(self.store.delete_by_user_on(self.connection, &user, None).await?)
    }
}

impl<D: Dialect, T> fmt::Debug for SessionTransaction<'_, D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTransaction").field("database", &D::NAME).finish_non_exhaustive()
    }
}
