//! Logging out, here and elsewhere.

use crate::{
    http::cookie::Presented,
    model::{
        error::{Error, StoreError},
        events::Event,
        session_id::SessionId,
    },
    request::{conflicting_tokens::with_actors, decision::Decision, locals::Locals},
    sessions::actor::impersonation_ended,
};

impl Locals {
    /// Logs out: ends the session of this request and removes its cookie.
    ///
    /// In an [impersonation](Self::impersonate) it also ends the actor's own session. If the
    /// browser presents several tokens, it ends the session of each and removes them all. Without a
    /// session it ends none. It also ends the [guest](Self::guest) of this browser, so that the
    /// next person who uses it does not find this visitor's data.
    ///
    /// If the browser had a session, the response also tells it to delete the pages in its cache
    /// (`Clear-Site-Data`). Chromium may still show the previous page from memory on "back"; the
    /// guide shows how a page prevents that.
    ///
    /// ```
    /// # use actix_web::{Responder, post, web};
    /// # use locals::{Error, Locals, with_session};
    /// #[post("/logout")]
    /// #[with_session]
    /// async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    ///     locals.log_out().await?;
    ///     Ok(web::Redirect::to("/").see_other())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails, or the session's row cannot be read: the session and
    /// its cookie stay, so that the user can log out again. [`Error::ResponseStarted`] if the
    /// cookie can no longer be removed: end the session with
    /// [`invalidate_session`](crate::SessionManager::invalidate_session) instead.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.refuse_if_response_started("log_out")?;
        self.refuse_unreadable().await?;
        let acting = self.get_session().await?.filter(|session| session.actor().is_some());
        let conflicting = self.conflicting_sessions().await?;
        // First: once the session has ended, a failed logout would not be repeated.
        self.end_guest().await?;
        for id in self.own_sessions().await? {
            self.auth().invalidate_session(id).await?;
            Event::LogOut { session: id }.record();
        }
        acting.iter().chain(conflicting).for_each(impersonation_ended);
        self.logged_out();
        Ok(())
    }

    /// Ends all other sessions of this request's user and returns their number, which is zero
    /// without a session. The current session gets a new token and is bound to the user's current
    /// [credential](crate::AuthUser::CREDENTIAL).
    ///
    /// Call it after a change of password (OWASP ASVS 5.0 §7.4.3).
    ///
    /// ```
    /// # use locals::{Error, Locals};
    /// # async fn save_password() -> Result<(), Error> { Ok(()) }
    /// # async fn example(locals: Locals) -> Result<String, Error> {
    /// save_password().await?;
    /// let ended = locals.log_out_other_sessions().await?;
    /// let answer = format!("Changed, and logged out on {ended} other devices");
    /// # Ok(answer)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails: some or all of the sessions may have ended; call it
    /// again. [`Error::ResponseStarted`] if the cookie can no longer be written.
    pub async fn log_out_other_sessions(&self) -> Result<u64, Error> {
        self.refuse_if_response_started("log_out_other_sessions")?;
        let Some(session) = self.get_session().await? else {
            return Ok(0);
        };
        let ended = self.auth().invalidate_other_sessions(&session).await?;
        // If another request has replaced the token first, it has set the cookie.
        if let Some(session) =
            self.auth().replace_token(&session, session.authenticated_at()).await?
        {
            self.set_session(session);
        }
        Ok(ended)
    }

    /// Ends all sessions of this request's user, including the current one, removes the cookie, and
    /// returns the number of sessions ended. That is zero without a session.
    ///
    /// If the browser presents several tokens, it is not known who the user is; it then ends the
    /// sessions of these tokens. In an impersonation the actor is logged out as well. The
    /// [guest](Self::guest) of this browser ends, as with [`log_out`](Self::log_out).
    ///
    /// ```
    /// # use locals::{Error, Locals, require_user};
    /// #[require_user]
    /// async fn log_out_everywhere(locals: Locals) -> Result<String, Error> {
    ///     Ok(format!("Logged out on {} devices", locals.log_out_everywhere().await?))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails, or the row of the presented session cannot be read;
    /// [`Error::ResponseStarted`] if the cookie can no longer be removed.
    pub async fn log_out_everywhere(&self) -> Result<u64, Error> {
        self.refuse_if_response_started("log_out_everywhere")?;
        self.refuse_unreadable().await?;
        let session = self.get_session().await?;
        let (own, conflicting) = (self.own_sessions().await?, self.conflicting_sessions().await?);
        self.end_guest().await?;
        let mut ended = 0;
        if let Some(session) = &session {
            // In an impersonation, the actor's own session ends first: the impersonation ends with
            // it.
            if let Some(actor) = session.record.actor_session {
                self.auth().invalidate_session(actor).await?;
            }
            ended = self.auth().invalidate_user_sessions(session.user_id().clone()).await?;
        }
        // Other sessions that this browser presents, such as those of several tokens.
        for id in own {
            if self.auth().delete(id).await? {
                Event::LogOut { session: id }.record();
                ended += 1;
            }
        }
        session.iter().chain(conflicting).for_each(impersonation_ended);
        self.logged_out();
        Ok(ended)
    }

    fn logged_out(&self) {
        let is_known = self.is_known_browser();
        self.clear_session();
        self.request_session.impersonation.impersonation_ended();
        if is_known {
            self.request_session.has_logged_out.set(true);
        }
    }

    /// Whether a user may have been logged in here: the browser presented a session cookie, or this
    /// request has set one. Otherwise the browser has nothing to delete.
    fn is_known_browser(&self) -> bool {
        let has_cookie = match self.request_session.decision() {
            Decision::Set(_) | Decision::Clear { after_set: true } => true,
            Decision::None | Decision::Clear { after_set: false } => false,
        };
        has_cookie || self.request_session.presented != Presented::Nothing
    }

    /// Refuses to log out of a session whose row cannot be read: once the row is repaired, the
    /// session would work again.
    async fn refuse_unreadable(&self) -> Result<(), Error> {
        let is_unreadable = self.request_session.resolve().await?.unreadable
            || self.has_unreadable_conflict().await?;
        let corrupt = || StoreError::Corrupt("the row of the session to end".to_owned());
        if is_unreadable { Err(corrupt().into()) } else { Ok(()) }
    }

    /// Returns the sessions of this browser: the one that was presented (or all, if it presents
    /// several tokens), the one that was set since, and the actors' own sessions of these, which
    /// come first.
    pub(super) async fn own_sessions(&self) -> Result<Vec<SessionId>, Error> {
        let presented = self.presented().await?;
        let set = match self.request_session.decision() {
            Decision::Set(chosen) => Some(chosen.session.clone()),
            Decision::None | Decision::Clear { .. } => None,
        };
        let conflicting = self.conflicting_sessions().await?;
        let mut own = with_actors(presented.iter().chain(conflicting).chain(&set));
        let endable = self.request_session.resolve().await?;
        for id in endable.endable.iter().chain(self.endable_conflicts().await?) {
            if !own.contains(id) {
                own.push(*id);
            }
        }
        Ok(own)
    }
}
