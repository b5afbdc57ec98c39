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
    /// Logs a user in: creates a session with a new token, ends the one that the browser
    /// presented, both in one transaction (in Redis: one after the other), and sets the cookie. Call
    /// it again when a logged-in user
    /// gains rights, such as by a second factor: the old token is dead then (OWASP ASVS 5.0
    /// §7.2.4).
    ///
    /// What the app keeps of a [guest](Self::guest) becomes the session's, if the app has said how.
    /// Who logs in again as the same user keeps their [session data](crate::SessionData). Exactly one
    /// login takes data over: of several at once, the others begin without. What another request writes
    /// in the very moment of the login is taken over as well, or that request finds the session ended, or
    /// begins a new guest. The cookie of the old guest stays in the browser: for a minute it leads to the
    /// new one, if there is one, and then nowhere.
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
    /// [`Error::Store`] if the store fails: nobody is logged in, and the browser keeps the session
    /// it had. [`Error::UserGone`], likewise, for a user who is not there any more;
    /// [`Error::InactiveUser`] for one whose account is
    /// [switched off](crate::AuthBuilder::active_users); [`Error::WrongUser`] for one of another table
    /// than the app's; [`Error::Impersonating`] while staff [act as a user](Self::impersonate): the new
    /// session would outlive that; [`Error::ResponseStarted`] when no cookie can be written any more.
    pub async fn log_in<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.log_in_with(user, LogInOptions::default()).await
    }

    /// As [`log_in`](Self::log_in), with options: whether the browser keeps the session when it is
    /// closed, and how long the session lives.
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
    /// As [`log_in`](Self::log_in), and [`Error::Config`] for a lifetime that cannot be.
    pub async fn log_in_with<U: AuthUser>(
        &self,
        user: &U,
        options: LogInOptions,
    ) -> Result<Session, Error> {
        self.refuse_if_response_started("log_in")?;
        self.refuse_while_acting().await?;
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
            // Another request has written meanwhile, or has taken them over.
            if let Some(read) = before {
                before = self.auth().store().find(read.id).await?;
            }
            if let Some(read) = guest {
                guest = self.auth().find_guest(&read.token).await?.guest;
            }
        }
        Err(data::too_busy())
    }

    /// Creates a session for a client that keeps its token itself, such as an app on a phone, and
    /// notes its device as [`log_in`](Self::log_in) does. No cookie is written, and the session of this
    /// request stays.
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
    /// [`Error::Impersonating`] while staff [act as a user](Self::impersonate) in this request, since
    /// it would outlive that; [`Error::UserGone`] for a user who is not there any more;
    /// [`Error::InactiveUser`] for one whose account is switched off; [`Error::WrongUser`] for a user of
    /// another table than the app's;
    /// [`Error::Store`] if the store fails.
    pub async fn create_session<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        self.refuse_while_acting().await?;
        let new = NewSession { client: self.client(), ..NewSession::default() };
        self.auth().create(user, new).await
    }

    /// Ends a session that was created when its cookie could no longer be written.
    pub(crate) async fn undo_if_response_started(
        &self,
        verb: &'static str,
        session: &Session,
    ) -> Result<(), Error> {
        let refused = self.refuse_if_response_started(verb);
        if refused.is_err() {
            self.auth().delete(session.id()).await?;
        }
        refused
    }

    /// The session of a user who is logged in already, as between two factors. They keep its data.
    async fn session_before<U: AuthUser>(&self, user: &U) -> Result<Option<SessionRecord>, Error> {
        let session = self.get_session().await?;
        let same = session.filter(|session| {
            session.actor().is_none() && *session.user_id() == user.id().to_user_id()
        });
        Ok(same.map(|session| session.record))
    }

    /// What the row of the guest who logs in becomes, if their data are taken over, and the data of the
    /// new session.
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
            // Nobody is kept from logging in by what they have gathered: it stays the guest's.
            Err(Error::TooMuchData { most }) => {
                tracing::warn!(most, "the data of a guest are too many to be taken over");
                Ok((None, before))
            }
            Err(Error::UnwritableData(error)) => {
                tracing::warn!(%error, "the data of a guest cannot be taken over");
                Ok((None, before))
            }
            Err(error) => Err(error),
        }
    }
}

/// How one of this browser's sessions ends with a login: as it was read, where its data are taken
/// over.
fn end(id: SessionId, before: Option<&SessionRecord>) -> End {
    match before {
        Some(before) if before.id == id => End::at_revision(id, before.data_revision),
        _ => End::new(id),
    }
}
