//! New tokens for existing sessions: replaced immediately, or rotated with an overlap.

use crate::{
    model::{
        error::Error,
        events::Event,
        lifecycle,
        record::{Rotation, SessionRecord, TokenChange},
        session_id::SessionId,
        time::Timestamp,
        token::{self, SessionToken},
    },
    sessions::{
        accounts::{StoredSession, readable},
        impersonation_guard,
        manager::SessionManager,
        session::Session,
    },
};

impl SessionManager {
    /// Replaces the token of a session whose user has just re-authenticated: the old token opens
    /// nothing from now on, and the login is a recent one. The session is bound to the user's
    /// current [credential](crate::AuthUser::CREDENTIAL). Returns `None` if the session has ended.
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
    /// [`Error::Impersonating`] for a session that is an
    /// [impersonation](crate::Locals::impersonate), and in the handler of a request with such a
    /// session; [`Error::Store`] if the store fails.
    pub async fn reauthenticate(&self, session: &Session) -> Result<Option<Session>, Error> {
        impersonation_guard::refuse_in(session).await?;
        self.replace_token(session, self.now()).await
    }
}

impl SessionManager {
    /// Replaces the token of a session whose user authenticated at this time.
    pub(crate) async fn replace_token(
        &self,
        session: &Session,
        authenticated_at: Timestamp,
    ) -> Result<Option<Session>, Error> {
        let mut session = session.clone();
        loop {
            let (token, mut change) = self.new_token(&session.record, authenticated_at)?;
            change.credential = self.credential(&session.record).await?;
            if self.store_token(&session.record, &change).await? {
                return Ok(Some(with_token(session, token, &change, true)));
            }
            // The session has ended, or another request was faster.
            match self.find_to_bind(&session.token).await? {
                Some(found) => session = found.session,
                None => return Ok(None),
            }
        }
    }

    /// Replaces the token of the actor's own session, which has this id and started the
    /// impersonation `acting`, whoever has the old token. Returns `None` if one of the two sessions
    /// has ended: the token of an ended impersonation does not lead back.
    ///
    /// The new token is derived from that of the impersonation and a salt in the row, as in a
    /// rotation. So two requests at the same time get the same token, and it does not matter which
    /// response the browser receives last. `presented` is the token of this request; the other
    /// request may have presented it too, if it has just been rotated.
    pub(crate) async fn resume_actor_session(
        &self,
        id: SessionId,
        acting: &Session,
        presented: &SessionToken,
    ) -> Result<Option<Session>, Error> {
        let mut is_over = false;
        loop {
            let now = self.now();
            let Some(StoredSession { record, account }) = readable(self.look_up(id).await)? else {
                return Ok(None);
            };
            if account.denial.is_some() {
                return Ok(None);
            }
            let Some(state) = lifecycle::state(&record, now) else { return Ok(None) };
            if let Some(Rotation { salt, .. }) = record.rotation {
                let candidates =
                    [presented, &acting.token].map(|acting| acting.derived_for(id, &salt));
                let is_current = |token: &SessionToken| self.hash(token) == record.secret_hash;
                if let Some(token) = candidates.into_iter().find(is_current) {
                    return Ok(Some(self.session(record, token, state, true, now, None)));
                }
            }
            if is_over {
                return Ok(None);
            }
            let row = self.store().find(acting.id()).await?;
            is_over = row.is_none_or(|row| lifecycle::state(&row, now).is_none());
            if is_over {
                // Another request may have just ended it, and made a token.
                continue;
            }
            let salt = token::salt()?;
            let token = presented.derived_for(id, &salt);
            let secret_hash = self.hash(&token);
            let change = TokenChange {
                replaces: record.secret_hash,
                secret_hash,
                // No token of this session can be exchanged for the new one.
                rotation: Some(Rotation { previous: secret_hash, salt, rotated_at: now }),
                authenticated_at: lifecycle::kept_authentication_time(&record, now),
                credential: None,
            };
            if self.store_token(&record, &change).await? {
                let session = self.session(record, token.clone(), state, true, now, None);
                return Ok(Some(with_token(session, token, &change, true)));
            }
        }
    }

    /// Replaces the token in a session's row. Returns `false` if another request was faster.
    async fn store_token(
        &self,
        record: &SessionRecord,
        change: &TokenChange,
    ) -> Result<bool, Error> {
        if !self.store().change_token(record.id, change).await? {
            return Ok(false);
        }
        Event::TokenReplaced { session: record.id, user: &record.user_id }.record();
        // Connections that were opened with the old token end with it.
        self.notify_ended(record.id);
        Ok(true)
    }

    /// Rotates the token of a session; the old one works during the overlap. If another request was
    /// faster, the token is that of the other request. Returns `None` if the session has ended.
    pub(crate) async fn rotate(&self, session: &Session) -> Result<Option<Session>, Error> {
        let salt = token::salt()?;
        let token = session.token.rotated(&salt);
        let previous = session.record.secret_hash;
        let now = self.now();
        let change = TokenChange {
            replaces: previous,
            secret_hash: self.hash(&token),
            rotation: Some(Rotation { previous, salt, rotated_at: now }),
            authenticated_at: lifecycle::kept_authentication_time(&session.record, now),
            credential: None,
        };
        if self.store().change_token(session.id(), &change).await? {
            let (id, user) = (session.id(), session.user_id());
            Event::TokenRotated { session: id, user }.record();
            return Ok(Some(with_token(session.clone(), token, &change, session.fresh)));
        }
        Ok(self.find_and_recheck(&session.token).await?.map(|found| found.session))
    }

    /// Returns a new token for a session, and the change that stores it.
    pub(crate) fn new_token(
        &self,
        record: &SessionRecord,
        authenticated_at: Timestamp,
    ) -> Result<(SessionToken, TokenChange), Error> {
        let token = SessionToken::of_session(record.id)?;
        let change = TokenChange {
            replaces: record.secret_hash,
            secret_hash: self.hash(&token),
            rotation: None,
            authenticated_at,
            credential: None,
        };
        Ok((token, change))
    }
}

/// Returns a session after this change, with its new token.
pub(crate) fn with_token(
    mut session: Session,
    token: SessionToken,
    change: &TokenChange,
    fresh: bool,
) -> Session {
    session.record.secret_hash = change.secret_hash;
    session.record.rotation = change.rotation;
    session.record.authenticated_at = change.authenticated_at;
    session.record.credential = change.credential.or(session.record.credential);
    session.token = token;
    session.fresh = fresh;
    session
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        model::{
            log_in_options::LogInOptions, settings::Settings, user::test_user::Account,
            user_table::UserTable,
        },
        sessions::{
            clock::{Clock, ManualClock},
            creation::NewSession,
        },
        store::MemoryStore,
    };

    const STAFF: Account = Account { id: 1 };
    const USER: Account = Account { id: 2 };

    fn sessions() -> (SessionManager, ManualClock) {
        let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::from_millis(0)));
        store.insert_user(STAFF);
        store.insert_user(USER);
        let settings = Settings::default();
        let users = UserTable::of::<Account>();
        let sessions =
            SessionManager::new(Arc::new(store), None, Arc::new(clock.clone()), settings, users);
        (sessions, clock)
    }

    async fn row(sessions: &SessionManager, session: &Session) -> SessionRecord {
        sessions.store().find(session.id()).await.unwrap().unwrap()
    }

    #[actix_web::test]
    async fn every_rotation_derives_the_new_token_from_its_own_salt() {
        let (sessions, clock) = sessions();
        let mut session = sessions.create_session(&STAFF).await.unwrap();
        let (mut salts, mut tokens) = (HashSet::from([[0; 32]]), HashSet::new());
        for _ in 0..50 {
            clock.advance(Duration::from_mins(1));
            let old = session.clone();
            session = sessions.rotate(&old).await.unwrap().unwrap();
            let rotation = row(&sessions, &session).await.rotation.unwrap();
            assert!(salts.insert(rotation.salt), "a salt that was used before");
            assert!(tokens.insert(session.token.expose_secret().to_owned()));
            assert_eq!(session.token, old.token.rotated(&rotation.salt));
            assert_eq!(rotation.previous, sessions.hash(&old.token));
            assert_eq!(rotation.rotated_at, clock.now());
            assert_eq!(row(&sessions, &session).await.secret_hash, sessions.hash(&session.token));
            // Without the row, the new token cannot be derived from the old one by a known salt.
            for salt in salts.iter().filter(|salt| **salt != rotation.salt) {
                assert_ne!(old.token.rotated(salt), session.token);
            }
        }
    }

    #[actix_web::test]
    async fn every_return_from_an_impersonation_has_its_own_salt() {
        let (sessions, _) = sessions();
        let own = sessions.create_session(&STAFF).await.unwrap();
        let mut salts = HashSet::from([[0; 32]]);
        for _ in 0..20 {
            let options = LogInOptions::new().remember(false);
            let new = NewSession { options, actor: Some(&own), ..NewSession::default() };
            let acting = sessions.create(&USER, new).await.unwrap();
            let back = sessions
                .resume_actor_session(own.id(), &acting, &acting.token)
                .await
                .unwrap()
                .unwrap();
            let record = row(&sessions, &own).await;
            let rotation = record.rotation.unwrap();
            assert!(salts.insert(rotation.salt), "a salt that was used before");
            assert_eq!(back.token, acting.token.derived_for(own.id(), &rotation.salt));
            assert_eq!(record.secret_hash, sessions.hash(&back.token));
            assert_eq!(rotation.previous, sessions.hash(&back.token), "no token leads to it");
        }
    }

    #[actix_web::test]
    async fn every_session_and_every_reauthentication_has_its_own_token() {
        let (sessions, _) = sessions();
        let (mut ids, mut secrets) = (HashSet::new(), HashSet::new());
        for _ in 0..20 {
            let session = sessions.create_session(&STAFF).await.unwrap();
            assert!(ids.insert(session.id()));
            assert!(secrets.insert(*session.record.secret_hash.as_bytes()));
            for _ in 0..3 {
                let renewed = sessions.reauthenticate(&session).await.unwrap();
                // The first has replaced it: the token of `session` opens nothing any more.
                let Some(renewed) = renewed else { continue };
                assert_eq!(renewed.id(), session.id());
                assert!(secrets.insert(*renewed.record.secret_hash.as_bytes()));
                assert_eq!(renewed.record.secret_hash, sessions.hash(&renewed.token));
            }
        }
    }
}
