//! Logging in and out, and the sessions on one's other devices.

use std::net::IpAddr;

use actix_web::http::header::USER_AGENT;

use crate::{
    cookie::Presented,
    data,
    error::{Error, StoreError},
    events::Event,
    guest::Guest,
    impersonation::impersonation_ended,
    locals::Locals,
    log_in::LogInOptions,
    presented::with_actors,
    redirect::SafeRedirect,
    resolution::{Decision, GuestDecision},
    session::{GuestRecord, Session, SessionInfo, SessionRecord},
    session_manager::{Client, NewSession},
    store::{End, Ends, GuestChange},
    successor::Successor,
    token::SessionId,
    user::{AuthUser, UserKey},
};

/// How much of a `User-Agent` header is kept, in characters.
const USER_AGENT_CHARS: usize = 255;

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
        self.refuse_if_finished("log_in")?;
        self.refuse_while_acting().await?;
        let own = self.own_sessions().await?;
        let mut before = self.session_before(user).await?;
        let mut guest = match self.resolution.auth.merge() {
            Some(_) => self.current_guest().await?,
            None => None,
        };
        for _ in 0..data::MOST_TRIES {
            let (left, data) = self.data_to_take_over(guest.as_deref(), before.as_ref())?;
            let new = NewSession { client: self.client(), options, actor: None, data };
            let sessions: Vec<End> = own.iter().map(|id| end(*id, before.as_ref())).collect();
            let change =
                |(guest, left): (&Guest, _)| GuestChange::new(guest.record.data_revision, left);
            let guest_change = guest.as_deref().zip(left.as_ref()).map(change);
            let ends = Ends { sessions: &sessions, guest: guest_change };
            self.refuse_if_finished("log_in")?;
            let created = self.auth().create_unless_changed(user, new, ends).await?;
            if let Some(session) = created {
                self.undo_if_finished("log_in", &session).await?;
                if let (Some(_), Some(guest)) = (left, guest) {
                    let taken_over = GuestDecision::TakenOver(guest.token.clone());
                    self.resolution.guest_decision.replace(taken_over);
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
                guest = self.find_guest(&read.token).await?.guest;
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
        self.refuse_if_finished("reauthenticate")?;
        let session = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        self.refuse_while_acting().await?;
        let session = self.auth().reauthenticate(&session).await?;
        let session = session.ok_or(Error::Unauthenticated)?;
        self.set_session(session.clone());
        Ok(session)
    }

    /// Where the browser wanted to go before it was sent to log in: the `next` of this request's
    /// query, if it is a path of this app, and `/` otherwise. Return it, and the browser goes there.
    ///
    /// ```
    /// # use actix_web::{Responder, post};
    /// # use locals::{AuthUser, Error, Locals, with_session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn verify() -> Account { Account { id: 1 } }
    /// #[post("/login")]
    /// #[with_session]
    /// async fn login(locals: Locals) -> Result<impl Responder, Error> {
    ///     locals.log_in(&verify().await).await?;
    ///     Ok(locals.return_to())
    /// }
    /// ```
    pub fn return_to(&self) -> SafeRedirect {
        SafeRedirect::from_query(self.request.query_string())
    }

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
        self.refuse_if_finished("log_out")?;
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
        self.refuse_if_finished("log_out_other_sessions")?;
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
        self.refuse_if_finished("log_out_everywhere")?;
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

    /// The living sessions of this request's user, newest first, this one marked. Empty without
    /// a session.
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

    /// Ends one of the sessions of this request's user; `false` if there is none with this id,
    /// or it is another user's. Ending the current one logs out.
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
    /// [`Error::Store`] if the store fails; [`Error::ResponseStarted`] for the current session, when its
    /// cookie can no longer be removed.
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

    /// The network address of the client, for limits on tries and the app's own log. That is the
    /// peer, or whom a [trusted proxy](crate::AuthBuilder::trusted_proxy) has named. `None` where the
    /// peer has no address, as on a Unix socket.
    pub fn client_address(&self) -> Option<IpAddr> {
        let peer = self.request.peer_addr().map(|address| address.ip());
        self.resolution.auth.proxies().client(peer, self.request.headers())
    }

    /// Ends a session that was created when its cookie could no longer be written.
    pub(crate) async fn undo_if_finished(
        &self,
        verb: &'static str,
        session: &Session,
    ) -> Result<(), Error> {
        let refused = self.refuse_if_finished(verb);
        if refused.is_err() {
            self.auth().delete(session.id()).await?;
        }
        refused
    }

    pub(crate) fn refuse_if_finished(&self, verb: &'static str) -> Result<(), Error> {
        self.resolution.refuse_if_finished(verb)
    }

    /// Refuses what would give who acts as another user more than that.
    pub(crate) async fn refuse_while_acting(&self) -> Result<(), Error> {
        self.presented().await?;
        self.resolution.acting.refuse().await
    }

    fn logged_out(&self) {
        let is_known = self.is_known_browser();
        self.clear_session();
        self.resolution.acting.has_ended();
        if is_known {
            self.resolution.has_logged_out.set(true);
        }
    }

    /// Whether somebody may have been logged in here: the browser presented a cookie of a session,
    /// or this request has set one. A stranger's has nothing to forget.
    fn is_known_browser(&self) -> bool {
        let has_cookie = match self.resolution.decision() {
            Decision::Set(_) | Decision::Clear { after_set: true } => true,
            Decision::None | Decision::Clear { after_set: false } => false,
        };
        has_cookie || self.resolution.presented != Presented::Nothing
    }

    /// Refuses to log out of a session that is there and cannot be read: it may be mended, and
    /// then it would live.
    async fn refuse_unreadable(&self) -> Result<(), Error> {
        let is_unreadable =
            self.resolution.resolve().await?.unreadable || self.has_unreadable_conflict().await?;
        let complaint = || StoreError::Corrupt("the session that is to be ended".to_owned());
        if is_unreadable { Err(complaint().into()) } else { Ok(()) }
    }

    /// The sessions of this browser: the one that was presented, or all where it presents several, and
    /// the one that was set since; and those from which they are impersonations, which come first.
    async fn own_sessions(&self) -> Result<Vec<SessionId>, Error> {
        let presented = self.presented().await?;
        let set = match self.resolution.decision() {
            Decision::Set(chosen) => Some(chosen.session.clone()),
            Decision::None | Decision::Clear { .. } => None,
        };
        let conflicting = self.conflicting_sessions().await?;
        let mut own = with_actors(presented.iter().chain(conflicting).chain(&set));
        let closed = self.resolution.resolve().await?;
        for id in closed.closed.iter().chain(self.closed_conflicts().await?) {
            if !own.contains(id) {
                own.push(*id);
            }
        }
        Ok(own)
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
        let (Some(merge), Some(guest)) = (self.resolution.auth.merge(), guest) else {
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

    pub(crate) fn client(&self) -> Client {
        let user_agent = self.request.headers().get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().take(USER_AGENT_CHARS).collect()
        });
        let address = self.client_address().map(|address| address.to_string());
        Client { user_agent, address }
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
