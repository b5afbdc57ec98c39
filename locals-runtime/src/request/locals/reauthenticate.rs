//! Confirming who the user is.

use crate::{model::error::Error, request::locals::Locals, sessions::session::Session};

impl Locals {
    /// Notes that the user has proved again who they are, by their password for example, which the
    /// app has just checked: the session gets a new token, the old one is dead, and the login is
    /// a recent one for `#[require_user(recent = "..")]`. It is bound to the
    /// [credential](AuthUser::CREDENTIAL) that the user has now.
    ///
    /// ```
    /// # use actix_web::{Responder, post};
    /// # use locals::{Error, Locals, require_user};
    /// # async fn password_is_right() -> bool { true }
    /// #[post("/confirm")]
    /// #[require_user]
    /// async fn confirm(locals: Locals) -> Result<impl Responder, Error> {
    ///     if !password_is_right().await {
    ///         return Err(Error::NotRecent);
    ///     }
    ///     locals.reauthenticate().await?;
    ///     Ok(locals.return_to())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if there is no session, or it has ended meanwhile;
    /// [`Error::Impersonating`] in an [impersonation](Self::impersonate), which never counts as a
    /// recent login; [`Error::ResponseStarted`] when no cookie can be written any more;
    /// [`Error::Store`] if the store fails, and the token is the old one.
    pub async fn reauthenticate(&self) -> Result<Session, Error> {
        self.refuse_if_response_started("reauthenticate")?;
        let session = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        self.refuse_while_acting().await?;
        let session = self.auth().reauthenticate(&session).await?;
        let session = session.ok_or(Error::Unauthenticated)?;
        self.set_session(session.clone());
        Ok(session)
    }

    /// Refuses what would give who acts as another user more than that.
    pub(crate) async fn refuse_while_acting(&self) -> Result<(), Error> {
        self.presented().await?;
        self.request_session.impersonation.refuse().await
    }
}
