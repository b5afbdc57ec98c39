//! The session of a request: what it presents, read once, and what is decided. Everything that
//! handles the request shares it.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_web::{HttpMessage, HttpRequest};
use tokio::sync::OnceCell;

use crate::{
    http::cookie::Presented,
    model::{
        error::{Error, StoreError},
        events::Event,
        record::SessionRecord,
        session_id::SessionId,
        time::Timestamp,
        token::SessionToken,
        user::{AuthUser, User},
    },
    request::{
        conflicting_tokens::Conflicting,
        decision::{Decision, GuestDecision},
        erased_auth::ErasedAuth,
        error_responder::Refusal,
        presented_token::{Carrier, from_bearer, from_cookie},
        requirements::Requirements,
        user_type::AnyUser,
    },
    sessions::{
        guests::FoundGuest, impersonation_guard::ImpersonationGuard, lookup::FoundSession,
        session::Session,
    },
};

/// How long a session that was read counts as valid while the request is still being received. If
/// the body takes longer, the session is read again before the handler runs, because it may have
/// ended in the meantime.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(1);

/// The session of a request: as it was presented, as it was found, and as the handler leaves it.
pub struct RequestSession {
    pub(crate) auth: ErasedAuth,
    pub(crate) presented: Presented,
    pub(crate) conflicting: Conflicting,
    scope: Scope,
    /// When the request began. Its token is checked as of that time, however long the request
    /// takes.
    began_at: Timestamp,
    resolved: OnceCell<Rc<ResolvedSession>>,
    /// The result of reading the presented session again.
    reread: RefCell<Option<Rc<ResolvedSession>>>,
    /// When the presented session was last read.
    read_at: Cell<Option<Timestamp>>,
    /// The guards that admitted the request; they are applied again when the session is read again.
    guards: RefCell<Vec<Rc<Guard>>>,
    /// Whether the request is part of an impersonation, for code that does not have the request.
    pub(crate) impersonation: Arc<ImpersonationGuard>,
    pub(crate) decision: RefCell<Decision>,
    /// The session's row as this request has written it.
    pub(crate) written: RefCell<Option<Box<SessionRecord>>>,
    /// The guest that was presented, once it has been read.
    pub(crate) guest: OnceCell<Rc<FoundGuest>>,
    pub(crate) guest_decision: RefCell<GuestDecision>,
    pub(crate) carrier: Carrier,
    /// Whether the user has logged out, so that the browser's data are cleared.
    pub(crate) has_logged_out: Cell<bool>,
    /// Whether the cookie and the headers of the response have been written.
    pub(crate) is_response_started: Cell<bool>,
}

/// What is read when the session is first needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Only the session: nothing in the handler's signature needs the user.
    Session,
    /// The session and its user, by one query.
    SessionAndUser,
}

/// The result of reading the presented session.
#[derive(Default)]
pub struct ResolvedSession {
    pub(crate) found_session: Option<FoundSession>,
    pub(crate) user: Option<AnyUser>,
    /// Whether there is a row that cannot be read.
    pub(crate) unreadable: bool,
    /// The sessions that the token can end although it does not open them: the user's account is
    /// disabled, or their credential has changed.
    pub(crate) endable: Vec<SessionId>,
}

impl ResolvedSession {
    /// Returns the presented session, if it is valid.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.found_session.as_ref().map(|found_session| &found_session.session)
    }

    /// Returns its user.
    pub(crate) fn user<T: AuthUser>(&self) -> Option<User<T>> {
        typed(self.user.clone()?)
    }
}

/// A guard around the handlers: whether the request may continue with the session that was found.
type Guard = dyn Fn(&ResolvedSession) -> Result<(), Refusal>;

/// The session that an outer guard has begun, in the extensions of the request.
struct SharedRequestSession(Rc<RequestSession>);

impl RequestSession {
    /// Returns the session of a request: a new one, or that of an outer guard of the same app.
    pub(crate) fn of_request(
        request: &HttpRequest,
        auth: &ErasedAuth,
        requirements: Requirements,
        allows_cross_origin: bool,
    ) -> Result<Rc<Self>, Error> {
        if let Some(user_type) = requirements.user {
            auth.expect(user_type)?;
        }
        match request.extensions().get() {
            Some(SharedRequestSession(begun)) if begun.auth.is(auth) => Ok(Rc::clone(begun)),
            _ => Self::begin(request, auth.clone(), requirements, allows_cross_origin),
        }
    }

    /// Does everything that comes before reading the session: checks the origin and reads the
    /// token.
    fn begin(
        request: &HttpRequest,
        auth: ErasedAuth,
        requirements: Requirements,
        allows_cross_origin: bool,
    ) -> Result<Rc<Self>, Error> {
        let (presented, carrier) = match from_bearer(&auth, request.headers())? {
            Some(presented) => (presented, Carrier::Bearer),
            None => from_cookie(&auth, request, allows_cross_origin)?,
        };
        let conflicting = Conflicting::read(auth.cookie(), request.headers(), &presented, carrier);
        // Without a token there is no session to read.
        let is_known = requirements.session && !matches!(presented, Presented::Token(_));
        let scope = if requirements.user.is_some() || requirements.may_ask_later {
            Scope::SessionAndUser
        } else {
            Scope::Session
        };
        let token = match &presented {
            Presented::Token(token) => Some(token.clone()),
            Presented::Nothing | Presented::Malformed | Presented::Conflicting => None,
        };
        Ok(Rc::new(Self {
            began_at: auth.sessions().now(),
            impersonation: Arc::new(ImpersonationGuard::new(auth.sessions().clone(), token)),
            auth,
            presented,
            conflicting,
            scope,
            resolved: OnceCell::new_with(is_known.then(Rc::default)),
            reread: RefCell::default(),
            read_at: Cell::default(),
            guards: RefCell::default(),
            decision: RefCell::default(),
            written: RefCell::default(),
            guest: OnceCell::new(),
            guest_decision: RefCell::default(),
            carrier,
            has_logged_out: Cell::new(false),
            is_response_started: Cell::new(false),
        }))
    }

    /// Returns the token of the guest that the request presents.
    pub(crate) fn guest_token(&self, request: &HttpRequest) -> Option<SessionToken> {
        if self.carrier != Carrier::Cookie {
            return None;
        }
        match self.auth.guest_cookie().read(request.headers()) {
            Presented::Token(token) => Some(token),
            Presented::Nothing | Presented::Malformed | Presented::Conflicting => None,
        }
    }

    /// Whether the request has a guest cookie, whatever its value.
    pub(crate) fn presents_guest(&self, request: &HttpRequest) -> bool {
        self.carrier == Carrier::Cookie
            && self.auth.guest_cookie().read(request.headers()) != Presented::Nothing
    }

    /// Shares it with the inner handlers.
    pub(crate) fn share(self: &Rc<Self>, request: &impl HttpMessage) {
        request.extensions_mut().insert(SharedRequestSession(Rc::clone(self)));
    }

    /// Returns the session for the inner handlers, after the decisions so far: a session that was
    /// set counts as presented, and after a cleared one there is none.
    pub(crate) fn as_decided(self: Rc<Self>) -> Rc<Self> {
        let (presented, decision) = match self.decision() {
            Decision::None => return self,
            Decision::Set(chosen) => {
                (Presented::Token(chosen.session.token.clone()), Decision::Set(chosen))
            }
            Decision::Clear { after_set } => {
                let after_set = after_set || self.presented != Presented::Nothing;
                (Presented::Nothing, Decision::Clear { after_set })
            }
        };
        let conflicting = match &decision {
            Decision::Clear { .. } => Conflicting::default(),
            Decision::None | Decision::Set(_) => self.conflicting.unresolved(),
        };
        // The holder of the old value must not overwrite the cookie of the new one.
        self.is_response_started.set(true);
        Rc::new(Self {
            auth: self.auth.clone(),
            presented,
            conflicting,
            scope: Scope::SessionAndUser,
            began_at: self.began_at,
            resolved: OnceCell::new(),
            reread: RefCell::default(),
            read_at: Cell::default(),
            guards: self.guards.clone(),
            impersonation: Arc::clone(&self.impersonation),
            decision: RefCell::new(decision),
            written: RefCell::new(self.written.borrow().clone()),
            guest: self.guest.clone(),
            guest_decision: RefCell::new(self.guest_decision.borrow().clone()),
            carrier: self.carrier,
            has_logged_out: self.has_logged_out.clone(),
            is_response_started: Cell::new(false),
        })
    }

    pub(crate) fn decision(&self) -> Decision {
        self.decision.borrow().clone()
    }

    /// Refuses a method that needs to write the cookie after the response has started.
    pub(crate) fn refuse_if_response_started(&self, method: &'static str) -> Result<(), Error> {
        if self.is_response_started.get() {
            Err(Error::ResponseStarted { verb: method })
        } else {
            Ok(())
        }
    }

    /// Logs a warning if a decision about the cookie comes too late.
    pub(crate) fn warn_if_response_started(&self, method: &'static str) {
        if let Err(error) = self.refuse_if_response_started(method) {
            tracing::warn!("{error}");
        }
    }

    /// Decides what happens to the cookie. The last decision wins.
    pub(crate) fn decide(&self, decision: Decision) {
        let is_impersonating = match &decision {
            Decision::Set(chosen) => chosen.session.actor().is_some(),
            Decision::None | Decision::Clear { .. } => false,
        };
        self.impersonation.set_session_is_impersonating(is_impersonating);
        self.decision.replace(decision);
    }

    /// Returns what has been read, if anything.
    pub(crate) fn resolved(&self) -> Option<Rc<ResolvedSession>> {
        self.reread.borrow().as_ref().or(self.resolved.get()).cloned()
    }

    /// Returns the presented session, if it has been read.
    pub(crate) fn session(&self) -> Option<Session> {
        self.resolved()?.session().cloned()
    }

    /// Reads the presented session, once per request.
    pub(crate) async fn resolve(&self) -> Result<Rc<ResolvedSession>, Error> {
        if let Some(resolved) = self.resolved() {
            return Ok(resolved);
        }
        // Boxed: this future is large, and part of the future of every handler.
        let read = self.resolved.get_or_try_init(|| async { Ok(Rc::new(self.read().await?)) });
        Box::pin(read).await.cloned()
    }

    /// Adds a guard that is applied again when the session is read again.
    pub(crate) fn add_guard(&self, guard: Rc<Guard>) {
        self.guards.borrow_mut().push(guard);
    }

    /// Whether the presented session was read so long ago that it may have ended in the meantime.
    /// If the clock was set back, that time is unknown, and the session counts as stale.
    pub(crate) fn is_stale(&self) -> bool {
        let now = self.auth.sessions().now();
        self.read_at.get().is_some_and(|read| now < read || now.since(read) > STALE_AFTER)
    }

    /// Reads the presented session and its user again, and applies the outer guards again.
    pub(crate) async fn reread(&self) -> Result<(), Refusal> {
        let read = Rc::new(Box::pin(self.read()).await?);
        self.reread.replace(Some(read));
        self.apply_guards()
    }

    /// Whether the session has been read again since `seen`: earlier by an outer guard, or now
    /// because it is stale. In both cases the outer guards are applied again.
    pub(crate) async fn has_changed_since(
        &self,
        seen: Option<Rc<ResolvedSession>>,
    ) -> Result<bool, Refusal> {
        if self.is_stale() {
            self.reread().await?;
            return Ok(true);
        }
        let is_seen = match (&seen, &self.resolved()) {
            (Some(seen), Some(now)) => Rc::ptr_eq(seen, now),
            (seen, now) => seen.is_none() && now.is_none(),
        };
        if !is_seen {
            self.apply_guards()?;
        }
        Ok(!is_seen)
    }

    /// Applies the outer guards to what has been read last.
    fn apply_guards(&self) -> Result<(), Refusal> {
        let guards = self.guards.borrow().clone();
        let found = self.resolved().unwrap_or_default();
        guards.iter().try_for_each(|guard| guard(&found))
    }

    async fn read(&self) -> Result<ResolvedSession, Error> {
        if !matches!(self.presented, Presented::Token(_)) {
            return Ok(ResolvedSession::default());
        }
        // Taken before the query: a change during the query counts as a later one.
        let queried_at = self.auth.sessions().now();
        let read = match self.read_row().await {
            // Only this row is broken, not the store: its user is not logged in, and others are
            // unaffected.
            Err(Error::Store(StoreError::Corrupt(cause))) => {
                Event::RowUnreadable { cause: &cause }.record();
                ResolvedSession { unreadable: true, ..ResolvedSession::default() }
            }
            result => result?,
        };
        let is_impersonating = read.session().is_some_and(|session| session.actor().is_some());
        self.impersonation.presented_is_impersonating(is_impersonating);
        self.read_at.set(Some(queried_at));
        Ok(read)
    }

    async fn read_row(&self) -> Result<ResolvedSession, Error> {
        let Presented::Token(token) = &self.presented else {
            return Ok(ResolvedSession::default());
        };
        let sessions = self.auth.sessions();
        let (found, user) = if self.scope == Scope::Session {
            (sessions.look_up(token.id()).await?, None)
        } else {
            self.auth.find_with_user(token.id()).await?.unzip()
        };
        let Some(found) = found else { return Ok(ResolvedSession::default()) };
        let endable = sessions.endable_sessions(&found, token);
        let Some(found_session) = sessions.check_token_since(found, token, self.began_at).await?
        else {
            return Ok(ResolvedSession { endable, ..ResolvedSession::default() });
        };
        Ok(ResolvedSession {
            found_session: Some(found_session),
            user,
            ..ResolvedSession::default()
        })
    }
}

/// Returns the user as their own type.
pub(crate) fn typed<T: AuthUser>(user: AnyUser) -> Option<User<T>> {
    Arc::downcast(user).ok().map(User::new)
}

impl fmt::Debug for RequestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSession").field("session", &self.session()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ResolvedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedSession").field("session", &self.session()).finish_non_exhaustive()
    }
}
