//! The sessions and guests of a request that presents several tokens.

use crate::{
    http::cookie::Presented,
    model::{
        error::{Error, StoreError, chain},
        events::Event,
        session_id::SessionId,
    },
    request::{
        conflicting_tokens::{Conflicting, ConflictingSessions},
        locals::Locals,
        presented_token::Carrier,
    },
    sessions::session::Session,
};

impl Locals {
    /// Returns the valid sessions of a request with several tokens, each by its own token.
    pub(crate) async fn conflicting_sessions(&self) -> Result<&[Session], Error> {
        Ok(&self.conflicting().await?.sessions)
    }

    /// Whether one of them has a row that cannot be read.
    pub(crate) async fn has_unreadable_conflict(&self) -> Result<bool, Error> {
        Ok(self.conflicting().await?.unreadable)
    }

    /// Returns those that can be ended although none of the tokens opens them.
    pub(crate) async fn endable_conflicts(&self) -> Result<&[SessionId], Error> {
        Ok(&self.conflicting().await?.endable)
    }

    async fn conflicting(&self) -> Result<&ConflictingSessions, Error> {
        let Conflicting { tokens, found } = &self.request_session.conflicting;
        let find = || async {
            let mut found = ConflictingSessions::default();
            for token in tokens {
                let found_session = match self.auth().look_up(token.id()).await {
                    Ok(Some(it)) => {
                        let endable = self.auth().endable_sessions(&it, token);
                        let found_session = self.auth().check_token(it, token).await;
                        if matches!(found_session, Ok(None)) {
                            found.endable.extend(endable);
                        }
                        found_session
                    }
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                };
                match found_session {
                    Ok(found_session) => found.sessions.extend(found_session.map(|it| it.session)),
                    Err(StoreError::Corrupt(cause)) => {
                        Event::RowUnreadable { cause: &cause }.record();
                        found.unreadable = true;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(found)
        };
        // Boxed: this future is large and rarely needed.
        Box::pin(found.get_or_try_init(find)).await
    }

    /// Ends the guests of a request that presents several, since it is not known which one is the
    /// visitor's.
    pub(crate) async fn end_conflicting_guests(&self) -> Result<(), Error> {
        let (cookie, headers) = (self.request_session.auth.guest_cookie(), self.request.headers());
        let is_conflicting = self.request_session.carrier == Carrier::Cookie
            && cookie.read(headers) == Presented::Conflicting;
        if !is_conflicting {
            return Ok(());
        }
        for token in cookie.read_all(headers).tokens {
            for id in self.auth().find_guest(&token).await?.rows() {
                self.auth().delete_guest(id).await?;
            }
        }
        Ok(())
    }

    /// Does the same after a new guest has been written. A fault is only logged: the old guests
    /// then end by time.
    pub(crate) async fn tidy_up_conflicting_guests(&self) {
        if let Err(error) = self.end_conflicting_guests().await {
            let cause = &chain(&error);
            Event::StoreFailed { cause, doing: "ending the guests of several cookies" }.record();
        }
    }
}
