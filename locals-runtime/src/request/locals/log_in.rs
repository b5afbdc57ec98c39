//! Logging in.

use crate::{
    model::{
        data,
        error::Error,
        events::Event,
        guest_successor::Successor,
        log_in_options::LogInOptions,
        record::{GuestRecord, SessionRecord},
        session_id::SessionId,
        user::AuthUser,
        user_id::UserKey,
    },
    request::{decision::GuestDecision, locals::Locals},
    sessions::{creation::NewSession, guests::Guest, session::Session},
    store::{End, Ends, GuestChange},
};

impl Locals {
    /// Logs a user in: creates a session with a new token, ends the session that the browser
    /// presented, and sets the cookie. The two sessions change in one transaction (in Redis: one
    /// after the other). Call it again when a logged-in user gains rights, such as by a second
    /// factor: the old token then opens nothing (OWASP ASVS 5.0 §7.2.4).
    ///
    /// The data of a [guest](Self::guest) become the session's if the app has set
    /// [`merge_guest`](crate::AuthBuilder::merge_guest). A user who logs in again keeps their
    /// [session data](crate::SessionData). Exactly one login takes the data over: of several at the
    /// same time, the others begin without them. If another request writes data during the login,
    /// either these data are taken over too, or that request finds that the session has ended, or
    /// it begins a new guest. The cookie of the old guest stays in the browser: for a minute it
    /// leads to the new guest, if there is one, and after that to nothing.
    ///
    /// ```
    /// # use actix_web::{Responder, post, web};
    /// # use locals::{AuthUser, Error, Locals, with_session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn verified() -> Result<Account, Error> { Ok(Account { id: 1 }) }
    /// #[post("/login")]
    /// #[with_session]
    /// async fn login(locals: Locals) -> Result<impl Responder, Error> {
    ///     let account = verified().await?; // the app checks the password
    ///     locals.log_in(&account).await?;
    ///     Ok(web::Redirect::to("/").see_other())
    /// }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Store`] if the store fails: the user is not logged in, and the browser keeps its
    ///   previous session.
    /// - [`Error::UserGone`] if the user no longer exists; the browser keeps its session as well.
    /// - [`Error::InactiveUser`] if the account is [disabled](crate::AuthBuilder::active_users).
    /// - [`Error::WrongUser`] if the user is from a table other than the app's.
    /// - [`Error::Impersonating`] during an [impersonation](Self::impersonate), since the new
    ///   session would outlive it.
    /// - [`Error::ResponseStarted`] if the cookie can no longer be written.
    pub async fn log_in<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.log_in_with(user, LogInOptions::default()).await
    }

    /// Like [`log_in`](Self::log_in), with options: whether the browser keeps the session when it
    /// is closed, and how long the session lives.
    ///
    /// ```
    /// # use locals::{AuthUser, Error, Locals, LogInOptions};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(locals: Locals, account: Account, stay: bool) -> Result<(), Error> {
    /// locals.log_in_with(&account, LogInOptions::new().remember(stay)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`log_in`](Self::log_in), and [`Error::Config`] for an invalid lifetime.
    pub async fn log_in_with<U: AuthUser>(
        &self,
        user: &U,
        options: LogInOptions,
    ) -> Result<Session, Error> {
        self.refuse_if_response_started("log_in")?;
        self.refuse_while_impersonating().await?;
        let own = self.own_sessions().await?;
        let mut before = self.session_before(user).await?;
        let mut guest = match self.request_session.auth.merge() {
            Some(_) => self.current_guest().await?,
            None => None,
        };
        for _ in 0..data::MAX_WRITE_TRIES {
            let (left, data) = self.data_to_take_over(guest.as_deref(), before.as_ref())?;
            let new = NewSession { client: self.client(), options, actor: None, data };
            let sessions: Vec<End> = own.iter().map(|id| end(*id, before.as_ref())).collect();
            let change =
                |(guest, left): (&Guest, _)| GuestChange::new(guest.record.data_revision, left);
            let guest_change = guest.as_deref().zip(left.as_ref()).map(change);
            let ends = Ends { sessions: &sessions, guest: guest_change };
            self.refuse_if_response_started("log_in")?;
            let created = self.auth().create_unless_changed(user, new, ends).await?;
            if let Some(session) = created {
                self.undo_if_response_started("log_in", &session).await?;
                if let (Some(_), Some(guest)) = (left, guest) {
                    let taken_over = GuestDecision::TakenOver(guest.token.clone());
                    self.request_session.guest_decision.replace(taken_over);
                }
                self.set_session(session.clone());
                Event::LogIn { session: session.id(), user: session.user_id() }.record();
                return Ok(session);
            }
            // Another request has written or taken over the data in the meantime.
            if let Some(read) = before {
                before = self.auth().store().find(read.id).await?;
            }
            if let Some(read) = guest {
                guest = self.auth().find_guest(&read.token).await?.guest;
            }
        }
        Err(data::too_busy())
    }

    /// Creates a session for a client that keeps its token itself, such as a mobile app, and
    /// records its device as [`log_in`](Self::log_in) does. No cookie is written, and the session
    /// of this request is not changed.
    ///
    /// ```
    /// # use actix_web::{Responder, post, web};
    /// # use locals::{AuthUser, Error, Locals, with_session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn verify() -> Account { Account { id: 1 } }
    /// #[post("/api/login")]
    /// #[with_session]
    /// async fn login(locals: Locals) -> Result<impl Responder, Error> {
    ///     let session = locals.create_session(&verify().await).await?;
    ///     let token = session.token().expose_secret().to_owned();
    ///     Ok(token.customize().insert_header(("Cache-Control", "no-store")))
    /// }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Impersonating`] during an [impersonation](Self::impersonate), since the new
    ///   session would outlive it.
    /// - [`Error::UserGone`] if the user no longer exists.
    /// - [`Error::InactiveUser`] if the account is disabled.
    /// - [`Error::WrongUser`] if the user is from a table other than the app's.
    /// - [`Error::Store`] if the store fails.
    pub async fn create_session<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.refuse_while_impersonating().await?;
        let new = NewSession { client: self.client(), ..NewSession::default() };
        self.auth().create(user, new).await
    }

    /// Ends a newly created session if its cookie can no longer be written.
    pub(crate) async fn undo_if_response_started(
        &self,
        method: &'static str,
        session: &Session,
    ) -> Result<(), Error> {
        let refused = self.refuse_if_response_started(method);
        if refused.is_err() {
            self.auth().delete(session.id()).await?;
        }
        refused
    }

    /// Returns the session of a user who is already logged in, for example between two factors. The
    /// new session keeps its data.
    async fn session_before<U: AuthUser>(&self, user: &U) -> Result<Option<SessionRecord>, Error> {
        let session = self.get_session().await?;
        let same = session.filter(|session| {
            session.actor().is_none() && *session.user_id() == user.id().to_user_id()
        });
        Ok(same.map(|session| session.record))
    }

    /// Returns what replaces the guest's row, if their data are taken over, and the data of the new
    /// session.
    fn data_to_take_over(
        &self,
        guest: Option<&Guest>,
        before: Option<&SessionRecord>,
    ) -> Result<(Option<GuestRecord>, Option<String>), Error> {
        let before = before.and_then(|session| session.data.clone());
        let (Some(merge), Some(guest)) = (self.request_session.auth.merge(), guest) else {
            return Ok((None, before));
        };
        match merge.session_data(&guest.record, before.as_deref()) {
            Ok(data) => {
                let successor = Successor::generate()?;
                Ok((Some(successor.record_after(&guest.record, self.auth().now())), Some(data)))
            }
            // These errors must not prevent the login: the data stay with the guest.
            Err(Error::TooMuchData { most }) => {
                tracing::warn!(most, "the guest's data exceed the limit and are not taken over");
                Ok((None, before))
            }
            Err(Error::UnwritableData(error)) => {
                tracing::warn!(%error, "the guest's data cannot be taken over");
                Ok((None, before))
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns how a login ends one of the browser's sessions: only at the revision that was read, if
/// its data are taken over.
fn end(id: SessionId, before: Option<&SessionRecord>) -> End {
    match before {
        Some(before) if before.id == id => End::at_revision(id, before.data_revision),
        _ => End::new(id),
    }
}
