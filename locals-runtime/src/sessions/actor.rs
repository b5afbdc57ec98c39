//! The actor of a session.

use crate::{
    model::{error::StoreError, events::Event, lifecycle, record::SessionRecord, user_id::UserId},
    sessions::{
        accounts::{StoredSession, readable},
        manager::SessionManager,
        session::Session,
    },
};

/// Who really acts in a session.
#[derive(Debug)]
pub(crate) enum Actor {
    /// Its own user.
    TheUser,
    /// The member of staff whose session started the impersonation.
    Staff(UserId),
    /// The actor's own session has ended, and so has this one.
    Gone,
}

impl SessionManager {
    /// Returns who acts in a session. For an impersonation this needs one more query.
    pub(crate) async fn actor(&self, record: &SessionRecord) -> Result<Actor, StoreError> {
        let Some(own) = record.actor_session else {
            return Ok(Actor::TheUser);
        };
        let Some(StoredSession { record: own, account }) = self.look_up(own).await? else {
            return Ok(Actor::Gone);
        };
        if lifecycle::state(&own, self.now()).is_none() || account.denial.is_some() {
            return Ok(Actor::Gone);
        }
        if !account.may_impersonate {
            // Deleted, so that it does not return if the actor gets the right again.
            self.delete(record.id).await?;
            let (session, user, actor) = (record.id, &record.user_id, &own.user_id);
            Event::ImpersonationEnded { session, user, actor }.record();
            return Ok(Actor::Gone);
        }
        Ok(Actor::Staff(own.user_id))
    }

    /// Whether the user of this session may impersonate others.
    pub(crate) async fn may_impersonate(&self, own: &Session) -> Result<bool, StoreError> {
        if !self.reads_users() {
            return Ok(true);
        }
        let found = readable(self.look_up(own.id()).await)?;
        Ok(found.is_some_and(|found| found.account.may_impersonate))
    }
}

/// Records that an impersonation has ended, if the session is one.
pub(crate) fn impersonation_ended(session: &Session) {
    if let Some(actor) = session.actor() {
        let (session, user) = (session.id(), session.user_id());
        Event::ImpersonationEnded { session, user, actor }.record();
    }
}
