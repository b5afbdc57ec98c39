//! Impersonation: a member of staff uses the app as another user.

use crate::{
    http::cookie::Presented,
    model::{
        error::Error, events::Event, log_in_options::LogInOptions, record::SessionState,
        user::AuthUser,
    },
    request::locals::Locals,
    sessions::{actor::impersonation_ended, creation::NewSession, session::Session},
};

impl Locals {
    /// Lets the logged-in member of staff see the app as `user` does, to help them.
    ///
    /// The request, and those that follow from this browser, have a session of that user, in which
    /// [`Session::actor`] says who really acts. It ends with
    /// [`stop_impersonating`](Self::stop_impersonating), with any end of the session from which it
    /// was begun, and when the browser is closed. It never counts as a recent login, so what asks
    /// for one stays closed. The user sees it in the list of their sessions, with its actor.
    ///
    /// Who may do this is for the app to check before, or to say once for all by
    /// [`AuthBuilder::impersonators`](crate::AuthBuilder::impersonators).
    ///
    /// ```
    /// # use actix_web::{Responder, post, web};
    /// # use locals::{AuthUser, Check, Error, Locals, Session, Verified, require_user};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # struct IsAdmin;
    /// # impl Check<Account> for IsAdmin {
    /// #     fn check(account: &Account, _: &Session) -> bool { account.id == 1 }
    /// # }
    /// # async fn account(id: i64) -> Account { Account { id } }
    /// #[post("/admin/users/{id}/impersonate")]
    /// #[require_user]
    /// async fn impersonate(
    ///     _admin: Verified<Account, IsAdmin>,
    ///     id: web::Path<i64>,
    ///     locals: Locals,
    /// ) -> Result<impl Responder, Error> {
    ///     locals.impersonate(&account(*id).await).await?;
    ///     Ok(web::Redirect::to("/").see_other())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a session; [`Error::Impersonating`] in a session that is
    /// itself an impersonation; [`Error::Forbidden`] for who is none of the
    /// [`impersonators`](crate::AuthBuilder::impersonators); [`Error::InactiveUser`] for a user whose
    /// account is switched off; [`Error::WrongUser`] for a user of another table than the app's;
    /// [`Error::ResponseStarted`] when no cookie can be written any more; [`Error::Store`] if the
    /// store fails.
    pub async fn impersonate<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.refuse_if_response_started("impersonate")?;
        let own = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        self.refuse_while_acting().await?;
        if !self.auth().may_impersonate(&own).await? {
            return Err(Error::Forbidden);
        }
        // The response sets another session, and so would not renew this one.
        let own = match own.state() {
            SessionState::Active => own,
            SessionState::Idle => {
                self.auth().renew_session(&own).await?.ok_or(Error::Unauthenticated)?
            }
        };
        let new = NewSession {
            client: self.client(),
            options: LogInOptions::new().remember(false),
            actor: Some(&own),
            data: None,
        };
        self.refuse_if_response_started("impersonate")?;
        let session = self.auth().create(user, new).await?;
        self.undo_if_response_started("impersonate", &session).await?;
        let (actor, user) = (own.user_id(), session.user_id());
        Event::ImpersonationBegan { session: session.id(), user, actor }.record();
        self.set_session(session.clone());
        Ok(session)
    }

    /// Ends the impersonation: the member of staff is back in their own session, with a new token.
    /// `None` if that or the impersonation has ended in the meantime; then nobody is logged in. In a
    /// session that is no impersonation it changes nothing.
    ///
    /// ```
    /// # use actix_web::{Responder, web};
    /// # use locals::{Error, Locals, require_user};
    /// #[require_user]
    /// async fn stop(locals: Locals) -> Result<impl Responder, Error> {
    ///     locals.stop_impersonating().await?;
    ///     Ok(web::Redirect::to("/admin").see_other())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a session; [`Error::ResponseStarted`] when no cookie can be
    /// written any more; [`Error::Store`] if the store fails.
    pub async fn stop_impersonating(&self) -> Result<Option<Session>, Error> {
        self.refuse_if_response_started("stop_impersonating")?;
        let acting = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        let Some(own) = acting.record.actor_session else {
            return Ok(Some(acting));
        };
        let presented = match &self.request_session.presented {
            Presented::Token(token) if token.id() == acting.id() => token,
            _ => &acting.token,
        };
        let own = self.auth().resume(own, &acting, presented).await?;
        self.auth().invalidate_session(acting.id()).await?;
        impersonation_ended(&acting);
        self.request_session.impersonation.impersonation_ended();
        match &own {
            Some(own) => self.set_session(own.clone()),
            None => self.clear_session(),
        }
        Ok(own)
    }
}
