//! Re-authentication.

use crate::{model::error::Error, request::locals::Locals, sessions::session::Session};

impl Locals {
    /// Records that the user has re-authenticated, for example by their password, which the app has
    /// just checked. The session gets a new token, and the old one opens nothing from now on. The
    /// login is then a recent one for `#[require_user(recent = "..")]`. The session is bound to the
    /// user's current [credential](crate::AuthUser::CREDENTIAL).
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
    /// [`Error::Unauthenticated`] if there is no session, or it has ended in the meantime;
    /// [`Error::Impersonating`] in an [impersonation](Self::impersonate), which never counts as a
    /// recent login; [`Error::ResponseStarted`] if the cookie can no longer be written;
    /// [`Error::Store`] if the store fails: the token is then not replaced.
    pub async fn reauthenticate(&self) -> Result<Session, Error> {
        self.refuse_if_response_started("reauthenticate")?;
        let session = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        self.refuse_while_impersonating().await?;
        let session = self.auth().reauthenticate(&session).await?;
        let session = session.ok_or(Error::Unauthenticated)?;
        self.set_session(session.clone());
        Ok(session)
    }

    /// Refuses an action that would give an actor more than the impersonation allows.
    pub(crate) async fn refuse_while_impersonating(&self) -> Result<(), Error> {
        self.presented().await?;
        self.request_session.impersonation.refuse().await
    }
}
