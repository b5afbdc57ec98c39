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
    /// Logs out: ends the session of this request, and the one from which it is an
    /// [impersonation](Self::impersonate), and removes the cookie. Without a session it ends none.
    /// Where the browser presents several tokens, it ends the session of each, and removes them all.
    /// The [guest](Self::guest) of this browser is ended, too: the next person who uses it must not find
    /// what was kept of this one.
    ///
    /// If the browser had a session, the response also tells it to forget the pages it has in its cache
    /// (`Clear-Site-Data`). Chromium may still show the page before by "back", from memory; the guide
    /// says what a page does about it.
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
    /// [`Error::Store`] if the store fails, or the row of the session cannot be read: the session lives
    /// and the cookie stays, so that logging out can be tried again. [`Error::ResponseStarted`] when the cookie can no longer be
    /// removed: then end the session by
    /// [`invalidate_session`](crate::SessionManager::invalidate_session).
    pub async fn log_out(&self) -> Result<(), Error> {
        self.refuse_if_response_started("log_out")?;
        self.refuse_unreadable().await?;
        let acting = self.get_session().await?.filter(|session| session.actor().is_some());
        let conflicting = self.conflicting_sessions().await?;
        // First: once the session is gone, nobody would try again.
        self.end_guest().await?;
        for id in self.own_sessions().await? {
            self.auth().invalidate_session(id).await?;
            Event::LogOut { session: id }.record();
        }
        acting.iter().chain(conflicting).for_each(impersonation_ended);
        self.logged_out();
        Ok(())
    }

    /// Ends all sessions of this request's user but this one, which gets a new token and is bound to the
    /// [credential](AuthUser::CREDENTIAL) that the user has now; says how many there were. Zero without a
    /// session. Call it after a change of password (OWASP ASVS 5.0 §7.4.3).
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
    /// [`Error::Store`] if the store fails: some or all may have ended; try again.
    /// [`Error::ResponseStarted`] when no cookie can be written any more.
    pub async fn log_out_other_sessions(&self) -> Result<u64, Error> {
        self.refuse_if_response_started("log_out_other_sessions")?;
        let Some(session) = self.get_session().await? else {
            return Ok(0);
        };
        let ended = self.auth().invalidate_other_sessions(&session).await?;
        // Where another request was faster, it has set the cookie of the new token.
        if let Some(session) =
            self.auth().replace_token(&session, session.authenticated_at()).await?
        {
            self.set_session(session);
        }
        Ok(ended)
    }

    /// Ends all sessions of this request's user, this one too, and removes the cookie; says how
    /// many there were. Zero without a session. Where the browser presents several tokens, none of them
    /// says who the user is: then it ends the sessions of these tokens. Who acts as this user is logged
    /// out here as well, and the [guest](Self::guest) of this browser ends, as by
    /// [`log_out`](Self::log_out).
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
    /// [`Error::ResponseStarted`] when the cookie can no longer be removed.
    pub async fn log_out_everywhere(&self) -> Result<u64, Error> {
        self.refuse_if_response_started("log_out_everywhere")?;
        self.refuse_unreadable().await?;
        let session = self.get_session().await?;
        let (own, conflicting) = (self.own_sessions().await?, self.conflicting_sessions().await?);
        self.end_guest().await?;
        let mut ended = 0;
        if let Some(session) = &session {
            // Whoever acts as this user is logged out too, and first: with it ends what they act in.
            if let Some(actor) = session.record.actor_session {
                self.auth().invalidate_session(actor).await?;
            }
            ended = self.auth().invalidate_user_sessions(session.user_id().clone()).await?;
        }
        // What this browser presents besides, such as several tokens.
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

    /// Whether somebody may have been logged in here: the browser presented a cookie of a session,
    /// or this request has set one. A stranger's has nothing to forget.
    fn is_known_browser(&self) -> bool {
        let has_cookie = match self.request_session.decision() {
            Decision::Set(_) | Decision::Clear { after_set: true } => true,
            Decision::None | Decision::Clear { after_set: false } => false,
        };
        has_cookie || self.request_session.presented != Presented::Nothing
    }

    /// Refuses to log out of a session that is there and cannot be read: it may be mended, and
    /// then it would live.
    async fn refuse_unreadable(&self) -> Result<(), Error> {
        let is_unreadable = self.request_session.resolve().await?.unreadable
            || self.has_unreadable_conflict().await?;
        let complaint = || StoreError::Corrupt("the session that is to be ended".to_owned());
        if is_unreadable { Err(complaint().into()) } else { Ok(()) }
    }

    /// The sessions of this browser: the one that was presented, or all where it presents several, and
    /// the one that was set since; and those from which they are impersonations, which come first.
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
