//! `Locals`: what one request knows of its session, and what it decides about the cookie.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest,
    http::header::{HeaderValue, USER_AGENT},
};
use tokio::sync::OnceCell;

use crate::{
    auth::{AnyUser, Registered, UserType},
    cookie::Presented,
    error::{Error, StoreError, chain},
    origin,
    outcome::{Choice, Found, Outcome, outcome},
    session::{Session, SessionInfo},
    session_manager::{Admitted, Client, SessionManager},
    token::SessionId,
    user::{AuthUser, User},
};

/// How much of a `User-Agent` header is kept, in characters.
const USER_AGENT_CHARS: usize = 255;

/// The request's handle on its session: reads it, and decides what becomes of the cookie.
///
/// A handler takes it as a parameter under `#[with_session]` or `#[require_user]`. Clones are
/// handles on the same request. It belongs to the thread of its request and cannot be sent to
/// another.
///
/// ```
/// # use actix_web::{Responder, post, web};
/// # use locals::{Auth, AuthUser, Error, Locals, with_session};
/// # #[derive(Clone, AuthUser)]
/// # struct Account { id: i64 }
/// # async fn verify() -> Account { Account { id: 1 } }
/// #[post("/login")]
/// #[with_session]
/// async fn login(locals: Locals) -> Result<impl Responder, Error> {
///     let account = verify().await;
///     locals.log_in(&account).await?;
///     Ok(web::Redirect::to("/").see_other())
/// }
/// ```
#[derive(Clone)]
pub struct Locals(Rc<Inner>);

struct Inner {
    request: HttpRequest,
    auth: Registered,
    presented: Presented,
    scope: Scope,
    resolved: OnceCell<Resolved>,
    decision: RefCell<Decision>,
}

/// What is read when the session is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The session alone: nothing in the handler's signature can ask for the user.
    Session,
    /// The session and its user, by one query.
    SessionAndUser,
}

/// What the presented cookie turned out to be.
#[derive(Default)]
struct Resolved {
    admitted: Option<Admitted>,
    user: Option<AnyUser>,
    /// There is a row, and it cannot be read.
    corrupt: bool,
}

/// What the request has decided about its cookie. The last decision wins.
#[derive(Clone, Default)]
enum Decision {
    #[default]
    None,
    Set(Rc<Chosen>),
    /// `after_set`: a cookie that this request had set before.
    Clear {
        after_set: bool,
    },
}

/// A session that the request has set in place of the presented one.
struct Chosen {
    session: Session,
    user: OnceCell<Option<AnyUser>>,
}

impl Locals {
    /// `asked`: the session is asked for before the handler runs.
    pub(crate) fn new(
        request: HttpRequest,
        auth: Registered,
        presented: Presented,
        scope: Scope,
        asked: bool,
    ) -> Self {
        // Without a token there is nothing to wait for.
        let resolved = asked && !matches!(presented, Presented::Token(_));
        Self(Rc::new(Inner {
            request,
            auth,
            presented,
            scope,
            resolved: OnceCell::new_with(resolved.then(Resolved::default)),
            decision: RefCell::default(),
        }))
    }

    /// The session of this request, if it has one.
    ///
    /// The store is asked once in a request, however often and by however many at once this is
    /// called; without a cookie it is not asked at all. After
    /// [`set_session`](Self::set_session) this is the session that was set, after
    /// [`clear_session`](Self::clear_session) there is none.
    ///
    /// ```
    /// # use locals::{Error, Locals, with_session};
    /// #[with_session]
    /// async fn greeting(locals: Locals) -> Result<&'static str, Error> {
    ///     Ok(match locals.get_session().await? {
    ///         Some(_) => "Welcome back",
    ///         None => "Hello",
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails. That is not "no session": return it, and the
    /// response is 503.
    pub async fn get_session(&self) -> Result<Option<Session>, Error> {
        match self.decision() {
            Decision::Set(chosen) => Ok(Some(chosen.session.clone())),
            Decision::Clear { .. } => Ok(None),
            Decision::None => Ok(self.presented().await?.cloned()),
        }
    }

    /// The session of this request and its user: both or neither, by one query.
    ///
    /// ```
    /// # use locals::{AuthUser, Error, Locals, with_session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64, name: String }
    /// #[with_session]
    /// async fn greeting(locals: Locals) -> Result<String, Error> {
    ///     Ok(match locals.get_session_user::<Account>().await? {
    ///         Some((_session, account)) => format!("Welcome back, {}", account.name),
    ///         None => "Hello".to_owned(),
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails; [`Error::WrongUser`] if `T` is not the type of the
    /// app's [`Auth<T>`](crate::Auth).
    pub async fn get_session_user<T: AuthUser>(&self) -> Result<Option<(Session, User<T>)>, Error> {
        let asked = UserType::of::<T>();
        self.0.auth.expect(asked)?;
        let found = match self.decision() {
            Decision::Set(chosen) => {
                let user = chosen.user.get_or_try_init(|| self.user_of(&chosen.session)).await?;
                user.clone().map(|user| (chosen.session.clone(), user))
            }
            Decision::Clear { .. } => None,
            Decision::None => {
                let resolved = self.resolve().await?;
                let session = resolved.admitted.as_ref().map(|admitted| admitted.session.clone());
                session.zip(resolved.user.clone())
            }
        };
        Ok(found.and_then(|(session, user)| Some((session, typed(user)?))))
    }

    /// Makes `session` the session of this request and writes its cookie with the response,
    /// whatever its status. The last call of this and [`clear_session`](Self::clear_session)
    /// wins.
    ///
    /// At log-in use [`log_in`](Self::log_in), which also ends the session that the browser had
    /// before.
    ///
    /// ```
    /// # use locals::{AuthUser, Error, Locals, with_session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn verify() -> Account { Account { id: 1 } }
    /// #[with_session]
    /// async fn login(locals: Locals) -> Result<&'static str, Error> {
    ///     let session = locals.auth().create_session(&verify().await).await?;
    ///     locals.set_session(session);
    ///     Ok("Signed in")
    /// }
    /// ```
    pub fn set_session(&self, session: Session) {
        let chosen = Chosen { session, user: OnceCell::new() };
        self.0.decision.replace(Decision::Set(Rc::new(chosen)));
    }

    /// Removes the cookie with the response, whatever its status, if the request brought one. The
    /// session itself lives on:
    /// to end it, use [`log_out`](Self::log_out). The last call of this and
    /// [`set_session`](Self::set_session) wins.
    ///
    /// ```
    /// # use locals::{Locals, with_session};
    /// #[with_session]
    /// async fn forget_me_here(locals: Locals) -> &'static str {
    ///     locals.clear_session();
    ///     "This browser has forgotten you"
    /// }
    /// ```
    pub fn clear_session(&self) {
        let after_set = match self.decision() {
            Decision::None => false,
            Decision::Set(_) => true,
            Decision::Clear { after_set } => after_set,
        };
        self.0.decision.replace(Decision::Clear { after_set });
    }

    /// Signs a user in: creates a session with a new token, ends the one that the browser
    /// presented, and sets the cookie. Call it again when a signed-in user gains rights, such as
    /// by a second factor: the old token is dead then (OWASP ASVS 5.0 §7.2.4).
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails: nobody is signed in, and the browser keeps the session it had.
    /// [`Error::WrongUser`] for a user of another table than the app's.
    pub async fn log_in<U: AuthUser>(&self, user: &U) -> Result<Session, Error> {
        // What can fail without a trace comes first.
        self.presented().await?;
        let session = self.auth().create(user, self.client()).await?;
        if let Err(error) = self.end_own_sessions().await {
            // Nobody has the token of the new one, but its row would be listed.
            logged(&session, self.auth().delete(session.id()).await);
            return Err(error);
        }
        self.set_session(session.clone());
        Ok(session)
    }

    /// Signs out: ends the session of this request and removes the cookie. Without a session it
    /// does nothing.
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails: the session lives and the cookie stays, so that
    /// signing out can be tried again.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.end_own_sessions().await?;
        self.clear_session();
        Ok(())
    }

    /// Ends all sessions of this request's user but this one; says how many there were. Zero
    /// without a session. Call it after a change of password (OWASP ASVS 5.0 §7.4.3).
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn log_out_other_sessions(&self) -> Result<u64, Error> {
        match self.get_session().await? {
            Some(session) => self.auth().invalidate_other_sessions(&session).await,
            None => Ok(0),
        }
    }

    /// Ends all sessions of this request's user, this one too, and removes the cookie; says how
    /// many there were. Zero without a session.
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn log_out_everywhere(&self) -> Result<u64, Error> {
        let ended = match self.get_session().await? {
            Some(session) => {
                self.auth().invalidate_user_sessions(session.user_id().clone()).await?
            }
            None => 0,
        };
        self.clear_session();
        Ok(ended)
    }

    /// The living sessions of this request's user, newest first, this one marked. Empty without
    /// a session.
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
    /// or it is another user's. Ending the current one signs out.
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn end_session(&self, id: SessionId) -> Result<bool, Error> {
        let list = self.sessions().await?;
        let Some(info) = list.iter().find(|info| info.id == id) else {
            return Ok(false);
        };
        self.auth().invalidate_session(id).await?;
        if info.is_current {
            self.clear_session();
        }
        Ok(true)
    }

    /// The server's side: create, validate, list and end sessions of any user.
    pub fn auth(&self) -> &SessionManager {
        self.0.auth.sessions()
    }

    fn decision(&self) -> Decision {
        self.0.decision.borrow().clone()
    }

    /// Reads the presented session, once in a request.
    async fn resolve(&self) -> Result<&Resolved, Error> {
        self.0.resolved.get_or_try_init(|| self.read()).await
    }

    async fn read(&self) -> Result<Resolved, Error> {
        match self.read_row().await {
            // One row is broken, not the store: its user is not signed in, and all others are.
            Err(Error::Store(StoreError::Corrupt(cause))) => {
                tracing::error!(cause, "a stored session cannot be read: treated as none");
                Ok(Resolved { corrupt: true, ..Resolved::default() })
            }
            result => result,
        }
    }

    async fn read_row(&self) -> Result<Resolved, Error> {
        let Presented::Token(token) = &self.0.presented else {
            return Ok(Resolved::default());
        };
        if self.0.scope == Scope::Session {
            let admitted = self.auth().find(token).await?;
            return Ok(Resolved { admitted, ..Resolved::default() });
        }
        let Some((record, user)) = self.0.auth.find_with_user(token.id()).await? else {
            return Ok(Resolved::default());
        };
        let admitted = self.auth().admit(record, token);
        let user = admitted.is_some().then_some(user);
        Ok(Resolved { admitted, user, corrupt: false })
    }

    /// The session that the request presented, whatever has been decided since.
    pub(crate) async fn presented(&self) -> Result<Option<&Session>, Error> {
        Ok(self.resolve().await?.admitted.as_ref().map(|admitted| &admitted.session))
    }

    /// The presented session, where it has been read already.
    pub(crate) fn read_session(&self) -> Option<&Session> {
        self.0.resolved.get()?.admitted.as_ref().map(|admitted| &admitted.session)
    }

    /// The user of the presented session, where it has been read already.
    pub(crate) fn read_user<T: AuthUser>(&self) -> Option<User<T>> {
        typed(self.0.resolved.get()?.user.clone()?)
    }

    async fn user_of(&self, session: &Session) -> Result<Option<AnyUser>, Error> {
        let found = self.0.auth.find_with_user(session.id()).await?;
        let found =
            found.filter(|(record, _)| self.auth().admit(record.clone(), &session.token).is_some());
        Ok(found.map(|(_, user)| user))
    }

    /// Ends the session that was presented and the one that was set since.
    async fn end_own_sessions(&self) -> Result<(), Error> {
        let presented = self.presented().await?.map(Session::id);
        let chosen = match self.decision() {
            Decision::Set(chosen) => Some(chosen.session.id()),
            Decision::None | Decision::Clear { .. } => None,
        };
        for id in [presented, chosen.filter(|id| Some(*id) != presented)].into_iter().flatten() {
            self.auth().invalidate_session(id).await?;
        }
        Ok(())
    }

    fn client(&self) -> Client {
        let user_agent = self.0.request.headers().get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().take(USER_AGENT_CHARS).collect()
        });
        let address = self.0.request.peer_addr().map(|address| address.ip().to_string());
        Client { user_agent, address }
    }

    /// Whether the session has been asked for, so that the response may depend on it.
    pub(crate) fn was_read(&self) -> bool {
        self.0.resolved.initialized()
    }

    /// The `Set-Cookie` that the request's decisions amount to, if any.
    ///
    /// An idle session is renewed here, at the end: one that was ended while the handler ran is
    /// not found any more, so neither its row nor its cookie comes back.
    pub(crate) async fn cookie(&self) -> Option<HeaderValue> {
        let admitted = self.0.resolved.get().and_then(|resolved| resolved.admitted.as_ref());
        let cookie = self.0.auth.cookie();
        match (self.outcome(), self.decision()) {
            (Outcome::Remove, _) => Some(cookie.remove()),
            (Outcome::Store, Decision::Set(chosen)) => Some(self.store_cookie(&chosen.session)),
            (Outcome::Renew, _) => {
                let session = self.renewed(admitted?).await?;
                Some(self.store_cookie(session))
            }
            (Outcome::Confirm, _) => {
                let session = self.confirmed(admitted?).await?;
                Some(self.store_cookie(&session))
            }
            // `Store` comes of `Set` alone.
            (Outcome::Keep | Outcome::Store, _) => None,
        }
    }

    fn outcome(&self) -> Outcome {
        let choice = match self.decision() {
            Decision::None => Choice::Nothing,
            Decision::Set(chosen) => Choice::Set(chosen.session.id()),
            Decision::Clear { after_set } => Choice::Clear { after_set },
        };
        let found = match self.0.resolved.get() {
            None => Found::NotAsked,
            Some(Resolved { corrupt: true, .. }) => Found::Corrupt,
            Some(Resolved { admitted: None, .. }) => Found::NoSession,
            Some(Resolved { admitted: Some(admitted), .. }) => {
                Found::Session { id: admitted.session.id(), is_idle: admitted.renewal.is_some() }
            }
        };
        let request = &self.0.request;
        let is_navigation = origin::is_navigation(request.method(), request.headers());
        outcome(choice, &self.0.presented, found, is_navigation)
    }

    fn store_cookie(&self, session: &Session) -> HeaderValue {
        let life = session.idle_expires_at().since(self.auth().now());
        self.0.auth.cookie().store(&session.token, life)
    }

    /// The session, if this request has renewed it. A fault is logged, and the session is as
    /// valid as before.
    async fn renewed<'a>(&self, admitted: &'a Admitted) -> Option<&'a Session> {
        let session = &admitted.session;
        let renewed = self.auth().renew(session.id(), admitted.renewal?).await;
        logged(session, renewed).filter(|renewed| *renewed).map(|_| session)
    }

    /// The presented session as it is now, renewed by this request or by another; `None` if it
    /// has ended.
    async fn confirmed(&self, admitted: &Admitted) -> Option<Session> {
        if let Some(session) = self.renewed(admitted).await {
            return Some(session.clone());
        }
        let session = &admitted.session;
        let found = logged(session, self.auth().find(&session.token).await).flatten();
        found.map(|found| found.session)
    }
}

fn logged<V>(session: &Session, result: Result<V, StoreError>) -> Option<V> {
    result
        .inspect_err(|error| {
            let cause = chain(error);
            tracing::warn!(session = %session.id(), cause, "a session could not be renewed");
        })
        .ok()
}

fn typed<T: AuthUser>(user: AnyUser) -> Option<User<T>> {
    Arc::downcast(user).ok().map(User::new)
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locals").field("session", &self.read_session()).finish_non_exhaustive()
    }
}
