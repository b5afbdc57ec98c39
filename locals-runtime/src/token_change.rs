//! New tokens for sessions that go on: replaced at once, or exchanged with an overlap.

use crate::{
    account::Found,
    clock::Timestamp,
    error::Error,
    events::Event,
    lifecycle,
    session::{Rotation, Session, SessionRecord, TokenChange},
    session_manager::SessionManager,
    token::{self, SessionId, SessionToken},
};

impl SessionManager {
    /// Gives a session a new token, for which its user has proved who they are at this time.
    pub(crate) async fn replace_token(
        &self,
        session: &Session,
        authenticated_at: Timestamp,
    ) -> Result<Option<Session>, Error> {
        let mut session = session.clone();
        loop {
            let (token, mut change) = new_token(&session.record, authenticated_at)?;
            change.credential = self.credential(&session.record).await?;
            if self.put_token(&session.record, &change).await? {
                return Ok(Some(with_token(session, token, &change, true)));
            }
            // It has ended, or another request was faster.
            match self.find(&session.token).await? {
                Some(found) => session = found.session,
                None => return Ok(None),
            }
        }
    }

    /// Gives the session with this id, from which `acting` was begun, a new token, whoever has the
    /// old one. `None` if one of the two has ended: who has the token of an impersonation that is
    /// over has no way back by it.
    ///
    /// The new token is made of the acting one and a salt in the row, as at an exchange. So two
    /// requests at once are given the same one, and it does not matter which answer the browser
    /// hears, or hears last. `presented` is what this request came with, which the other one may
    /// have come with, too, if it has just been exchanged.
    pub(crate) async fn resume(
        &self,
        id: SessionId,
        acting: &Session,
        presented: &SessionToken,
    ) -> Result<Option<Session>, Error> {
        let mut is_over = false;
        loop {
            let now = self.now();
            let Some(Found { record, standing }) = self.look_up(id).await? else { return Ok(None) };
            if standing.objection.is_some() {
                return Ok(None);
            }
            let Some(state) = lifecycle::state(&record, now) else { return Ok(None) };
            if let Some(Rotation { salt, .. }) = record.rotation {
                let made = [presented, &acting.token].map(|acting| acting.exchanged_for(id, &salt));
                let fits = |token: &SessionToken| token.secret_hash() == record.secret_hash;
                if let Some(token) = made.into_iter().find(fits) {
                    return Ok(Some(self.session(record, token, state, true, now, None)));
                }
            }
            if is_over {
                return Ok(None);
            }
            let row = self.store().find(acting.id()).await?;
            is_over = row.is_none_or(|row| lifecycle::state(&row, now).is_none());
            if is_over {
                // Perhaps by another request, a moment ago, which has made a token then.
                continue;
            }
            let salt = token::salt()?;
            let token = presented.exchanged_for(id, &salt);
            let secret_hash = token.secret_hash();
            let change = TokenChange {
                replaces: record.secret_hash,
                secret_hash,
                // No token of this session leads to the new one.
                rotation: Some(Rotation { previous: secret_hash, salt, rotated_at: now }),
                authenticated_at: record.authenticated_at,
                credential: record.credential,
            };
            if self.put_token(&record, &change).await? {
                let session = self.session(record, token.clone(), state, true, now, None);
                return Ok(Some(with_token(session, token, &change, true)));
            }
        }
    }

    /// Puts a new token in place of a session's own; `false` if another request was faster.
    async fn put_token(&self, record: &SessionRecord, change: &TokenChange) -> Result<bool, Error> {
        if !self.store().change_token(record.id, change).await? {
            return Ok(false);
        }
        Event::TokenReplaced { session: record.id, user: &record.user_id }.record();
        // What was opened with the old token ends with it.
        self.has_ended(record.id);
        Ok(true)
    }

    /// Exchanges the token of a session, while the old one goes on to open it for a moment. If
    /// another request was faster, the token is the one that it has made. `None` if the session
    /// has ended.
    pub(crate) async fn rotate(&self, session: &Session) -> Result<Option<Session>, Error> {
        let salt = token::salt()?;
        let token = session.token.exchanged(&salt);
        let previous = session.record.secret_hash;
        let change = TokenChange {
            replaces: previous,
            secret_hash: token.secret_hash(),
            rotation: Some(Rotation { previous, salt, rotated_at: self.now() }),
            authenticated_at: session.authenticated_at(),
            credential: session.record.credential,
        };
        if self.store().change_token(session.id(), &change).await? {
            let (id, user) = (session.id(), session.user_id());
            Event::TokenRotated { session: id, user }.record();
            return Ok(Some(with_token(session.clone(), token, &change, session.fresh)));
        }
        Ok(self.find(&session.token).await?.map(|found| found.session))
    }
}

/// A new token for a session, and the change that makes it the one.
pub(crate) fn new_token(
    record: &SessionRecord,
    authenticated_at: Timestamp,
) -> Result<(SessionToken, TokenChange), Error> {
    let token = SessionToken::of_session(record.id)?;
    let change = TokenChange {
        replaces: record.secret_hash,
        secret_hash: token.secret_hash(),
        rotation: None,
        authenticated_at,
        credential: record.credential,
    };
    Ok((token, change))
}

/// A session after this change, with its new token.
pub(crate) fn with_token(
    mut session: Session,
    token: SessionToken,
    change: &TokenChange,
    fresh: bool,
) -> Session {
    session.record.secret_hash = change.secret_hash;
    session.record.rotation = change.rotation;
    session.record.authenticated_at = change.authenticated_at;
    session.record.credential = change.credential;
    session.token = token;
    session.fresh = fresh;
    session
}
