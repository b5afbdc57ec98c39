//! The user's sessions on all devices.

use crate::{
    model::{error::Error, session_id::SessionId},
    request::locals::Locals,
    sessions::session::SessionInfo,
};

impl Locals {
    /// Returns the valid sessions of this request's user, newest first; the current one is marked.
    /// Empty without a session.
    ///
    /// ```
    /// # use actix_web::{Responder, web};
    /// # use locals::{Error, Locals, require_user};
    /// #[require_user]
    /// async fn sessions(locals: Locals) -> Result<impl Responder, Error> {
    ///     Ok(web::Json(locals.sessions().await?))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>, Error> {
        let Some(session) = self.get_session().await? else {
            return Ok(Vec::new());
        };
        let mut list = self.auth().user_sessions(session.user_id().clone()).await?;
        for info in &mut list {
            info.is_current = info.id == session.id();
        }
        Ok(list)
    }

    /// Ends one of the sessions of this request's user. Returns `false` if the user has no session
    /// with this id. Ending the current session logs out.
    ///
    /// ```
    /// # use actix_web::{HttpResponse, Responder, web};
    /// # use locals::{Error, Locals, SessionId, require_user};
    /// #[require_user]
    /// async fn end(id: web::Path<SessionId>, locals: Locals) -> Result<impl Responder, Error> {
    ///     let found = locals.end_session(*id).await?;
    ///     Ok(if found { HttpResponse::NoContent() } else { HttpResponse::NotFound() })
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails; [`Error::ResponseStarted`] for the current session if
    /// its cookie can no longer be removed.
    pub async fn end_session(&self, id: SessionId) -> Result<bool, Error> {
        let list = self.sessions().await?;
        let Some(info) = list.iter().find(|info| info.id == id) else {
            return Ok(false);
        };
        if info.is_current {
            self.log_out().await?;
        } else {
            self.auth().invalidate_session(id).await?;
        }
        Ok(true)
    }
}
