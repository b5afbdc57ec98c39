//! What one request presents, read once, and what it decides: shared by everything that handles
//! the request.

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
        credentials::{Carrier, from_bearer, from_cookie},
        decision::{Decision, GuestDecision},
        erased_auth::ErasedAuth,
        error_responder::Refusal,
        requirements::Requirements,
        user_type::AnyUser,
    },
    sessions::{
        guests::FoundGuest, impersonation_guard::ImpersonationGuard, lookup::FoundSession,
        session::Session,
    },
};

/// For how long a session that was read counts as living while the request is still being received.
/// When the body took longer, the session is read again before the handler runs: it may have been
/// ended meanwhile.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(1);

/// One request's session: as it was presented, as it was found, and as the handler leaves it.
pub struct RequestSession {
    pub(crate) auth: ErasedAuth,
    pub(crate) presented: Presented,
    pub(crate) conflicting: Conflicting,
    scope: Scope,
    /// When the request came. A token counts as it did then, however long the request takes.
    began_at: Timestamp,
    resolved: OnceCell<Rc<ResolvedSession>>,
    /// What was found when the presented session was read again.
    read_again: RefCell<Option<Rc<ResolvedSession>>>,
    /// When the presented session was last read.
    read_at: Cell<Option<Timestamp>>,
    /// The guards that let the request in, to be asked again when it is read again.
    guards: RefCell<Vec<Rc<Guard>>>,
    /// Whether somebody acts as another user, for what is not given the request.
    pub(crate) impersonation: Arc<ImpersonationGuard>,
    pub(crate) decision: RefCell<Decision>,
    /// The session's row after a write of this request.
    pub(crate) written: RefCell<Option<Box<SessionRecord>>>,
    /// The guest as they were presented, once somebody has asked.
    pub(crate) guest: OnceCell<Rc<FoundGuest>>,
    pub(crate) guest_decision: RefCell<GuestDecision>,
    pub(crate) carrier: Carrier,
    /// Whether the session was ended by the user's wish, so that this browser is tidied up.
    pub(crate) has_logged_out: Cell<bool>,
    /// Whether the response has its cookie and its headers already.
    pub(crate) is_response_started: Cell<bool>,
}

/// What is read when the session is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The session alone: nothing in the handler's signature can ask for the user.
    Session,
    /// The session and its user, by one query.
    SessionAndUser,
}

/// What the presented cookie turned out to be.
#[derive(Default)]
pub struct ResolvedSession {
    pub(crate) found_session: Option<FoundSession>,
    pub(crate) user: Option<AnyUser>,
    /// There is a row, and it cannot be read.
    pub(crate) unreadable: bool,
    /// The sessions that the token could end although it opens none: of a user whose account is switched
    /// off, or with another credential by now.
    pub(crate) endable: Vec<SessionId>,
}

impl ResolvedSession {
    /// The presented session, if it lives.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.found_session.as_ref().map(|found_session| &found_session.session)
    }

    /// Its user.
    pub(crate) fn user<T: AuthUser>(&self) -> Option<User<T>> {
        typed(self.user.clone()?)
    }
}

/// A guard around the handlers: whether what was found may go on.
type Guard = dyn Fn(&ResolvedSession) -> Result<(), Refusal>;

/// The resolution that a guard around a scope has begun, among the extensions of the request.
struct SharedRequestSession(Rc<RequestSession>);

impl RequestSession {
    /// That of a request: begun here, or by a guard around for the same app.
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

    /// Everything before the session: the origin and the cookie.
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
        // Without a token there is nothing to wait for.
        let is_known = requirements.session && !matches!(presented, Presented::Token(_));
        let scope = if requirements.user.is_some() || requirements.later {
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
            read_again: RefCell::default(),
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

    /// The token that a guest presents.
    pub(crate) fn guest_token(&self, request: &HttpRequest) -> Option<SessionToken> {
        if self.carrier != Carrier::Cookie {
            return None;
        }
        match self.auth.guest_cookie().read(request.headers()) {
            Presented::Token(token) => Some(token),
            Presented::Nothing | Presented::Malformed | Presented::Conflicting => None,
        }
    }

    /// Whether there is a cookie of a guest, whatever it holds.
    pub(crate) fn presents_guest(&self, request: &HttpRequest) -> bool {
        self.carrier == Carrier::Cookie
            && self.auth.guest_cookie().read(request.headers()) != Presented::Nothing
    }

    /// Lets the handlers inside find it.
    pub(crate) fn share(self: &Rc<Self>, request: &impl HttpMessage) {
        request.extensions_mut().insert(SharedRequestSession(Rc::clone(self)));
    }

    /// The same request for those inside, after what has been decided on its way in: a session that
    /// was set is the one it presents, and one that was cleared is none.
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
            Decision::None | Decision::Set(_) => self.conflicting.again(),
        };
        // Whoever has begun the other must not write its cookie over that of this one.
        self.is_response_started.set(true);
        Rc::new(Self {
            auth: self.auth.clone(),
            presented,
            conflicting,
            scope: Scope::SessionAndUser,
            began_at: self.began_at,
            resolved: OnceCell::new(),
            read_again: RefCell::default(),
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

    /// Refuses what needs a cookie that can no longer be written.
    pub(crate) fn refuse_if_response_started(&self, verb: &'static str) -> Result<(), Error> {
        if self.is_response_started.get() { Err(Error::ResponseStarted { verb }) } else { Ok(()) }
    }

    /// Notes that a decision about the cookie comes too late.
    pub(crate) fn warn_if_response_started(&self, verb: &'static str) {
        if let Err(error) = self.refuse_if_response_started(verb) {
            tracing::warn!("{error}");
        }
    }

    /// Decides what becomes of the cookie. The last decision wins.
    pub(crate) fn decide(&self, decision: Decision) {
        let is_acting = match &decision {
            Decision::Set(chosen) => chosen.session.actor().is_some(),
            Decision::None | Decision::Clear { .. } => false,
        };
        self.impersonation.set_session_is_acting(is_acting);
        self.decision.replace(decision);
    }

    /// What has been read, if somebody has asked.
    pub(crate) fn resolved(&self) -> Option<Rc<ResolvedSession>> {
        self.read_again.borrow().as_ref().or(self.resolved.get()).cloned()
    }

    /// The presented session, where it has been read already.
    pub(crate) fn session(&self) -> Option<Session> {
        self.resolved()?.session().cloned()
    }

    /// Reads the presented session, once in a request.
    pub(crate) async fn resolve(&self) -> Result<Rc<ResolvedSession>, Error> {
        if let Some(resolved) = self.resolved() {
            return Ok(resolved);
        }
        // In a box: this future is large, and part of that of every handler.
        let read = self.resolved.get_or_try_init(|| async { Ok(Rc::new(self.read().await?)) });
        Box::pin(read).await.cloned()
    }

    /// Asks this guard too when the session is read again.
    pub(crate) fn add_guard(&self, guard: Rc<Guard>) {
        self.guards.borrow_mut().push(guard);
    }

    /// Whether so much time has passed since the presented session was read that it may have ended
    /// meanwhile. A clock that was set back says nothing of that time.
    pub(crate) fn is_stale(&self) -> bool {
        let now = self.auth.sessions().now();
        self.read_at.get().is_some_and(|read| now < read || now.since(read) > STALE_AFTER)
    }

    /// Reads the presented session and its user again, and asks the guards around once more.
    pub(crate) async fn read_again(&self) -> Result<(), Refusal> {
        let read = Rc::new(Box::pin(self.read()).await?);
        self.read_again.replace(Some(read));
        self.ask_guards()
    }

    /// Whether the session has been read anew since it was seen as this, by a guard around or now, because
    /// what was read is stale. The guards around are asked again then.
    pub(crate) async fn has_changed_since(
        &self,
        seen: Option<Rc<ResolvedSession>>,
    ) -> Result<bool, Refusal> {
        if self.is_stale() {
            self.read_again().await?;
            return Ok(true);
        }
        let is_seen = match (&seen, &self.resolved()) {
            (Some(seen), Some(now)) => Rc::ptr_eq(seen, now),
            (seen, now) => seen.is_none() && now.is_none(),
        };
        if !is_seen {
            self.ask_guards()?;
        }
        Ok(!is_seen)
    }

    /// Asks the guards around of what has been read last.
    fn ask_guards(&self) -> Result<(), Refusal> {
        let guards = self.guards.borrow().clone();
        let found = self.resolved().unwrap_or_default();
        guards.iter().try_for_each(|guard| guard(&found))
    }

    async fn read(&self) -> Result<ResolvedSession, Error> {
        if !matches!(self.presented, Presented::Token(_)) {
            return Ok(ResolvedSession::default());
        }
        // Before the question: what happens while it is on its way counts as happened since.
        let asked_at = self.auth.sessions().now();
        let read = match self.read_row().await {
            // One row is broken, not the store: its user is not logged in, and all others are.
            Err(Error::Store(StoreError::Corrupt(cause))) => {
                Event::RowUnreadable { cause: &cause }.record();
                ResolvedSession { unreadable: true, ..ResolvedSession::default() }
            }
            result => result?,
        };
        let is_acting = read.session().is_some_and(|session| session.actor().is_some());
        self.impersonation.presented_is_acting(is_acting);
        self.read_at.set(Some(asked_at));
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

/// The user as the type it has.
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
