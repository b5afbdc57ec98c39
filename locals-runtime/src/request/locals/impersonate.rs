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
    /// Lets the logged-in member of staff use the app as `user`, to help them.
    ///
    /// This request and the following ones of this browser have a session of that user;
    /// [`Session::actor`] returns the member of staff. The impersonation ends with
    /// [`stop_impersonating`](Self::stop_impersonating), whenever the actor's own session ends, and
    /// when the browser is closed. It never counts as a recent login, so actions that require one
    /// are refused. The user sees it in the list of their sessions, with its actor.
    ///
    /// The app decides who may impersonate: it checks this before each call, or sets a rule once
    /// with [`AuthBuilder::impersonators`](crate::AuthBuilder::impersonators).
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
    /// - [`Error::Unauthenticated`] without a session.
    /// - [`Error::Impersonating`] in a session that is itself an impersonation.
    /// - [`Error::Forbidden`] if [`impersonators`](crate::AuthBuilder::impersonators) does not
    ///   allow it.
    /// - [`Error::InactiveUser`] if the account of `user` is disabled.
    /// - [`Error::WrongUser`] if `user` is from a table other than the app's.
    /// - [`Error::ResponseStarted`] if the cookie can no longer be written.
    /// - [`Error::Store`] if the store fails.
    pub async fn impersonate<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.refuse_if_response_started("impersonate")?;
        let own = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        self.refuse_while_impersonating().await?;
        if !self.auth().may_impersonate(&own).await? {
            return Err(Error::Forbidden);
        }
        // The response sets another session, so it would not renew this one.
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

    /// Ends the impersonation and returns the member of staff to their own session, with a new
    /// token. Returns `None` if that session or the impersonation has ended in the meantime; then
    /// no user is logged in. In a session that is not an impersonation it changes nothing.
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
    /// [`Error::Unauthenticated`] without a session; [`Error::ResponseStarted`] if the cookie can
    /// no longer be written; [`Error::Store`] if the store fails.
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
        let own = self.auth().resume_actor_session(own, &acting, presented).await?;
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
