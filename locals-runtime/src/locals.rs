//! `Locals`: what one request knows of its session, and what it decides about the cookie.

use std::{fmt, rc::Rc};

use actix_web::{HttpRequest, http::header::USER_AGENT};
use tokio::sync::OnceCell;

use crate::{
    auth::{AnyUser, UserType},
    error::Error,
    finish::logged,
    resolution::{Chosen, Decision, Resolution, typed},
    session::{Session, SessionInfo},
    session_manager::{Client, SessionManager},
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
pub struct Locals {
    pub(crate) request: HttpRequest,
    pub(crate) resolution: Rc<Resolution>,
}

impl Locals {
    pub(crate) fn new(request: HttpRequest, resolution: Rc<Resolution>) -> Self {
        Self { request, resolution }
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
        match self.resolution.decision() {
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
        self.resolution.auth.expect(asked)?;
        let found = match self.resolution.decision() {
            Decision::Set(chosen) => {
                let user = chosen.user.get_or_try_init(|| self.user_of(&chosen.session)).await?;
                user.clone().map(|user| (chosen.session.clone(), user))
            }
            Decision::Clear { .. } => None,
            Decision::None => {
                let resolved = self.resolution.resolve().await?;
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
        self.resolution.decision.replace(Decision::Set(Rc::new(chosen)));
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
        let after_set = match self.resolution.decision() {
            Decision::None => false,
            Decision::Set(_) => true,
            Decision::Clear { after_set } => after_set,
        };
        self.resolution.decision.replace(Decision::Clear { after_set });
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
        self.resolution.auth.sessions()
    }

    /// The session that the request presented, whatever has been decided since.
    pub(crate) async fn presented(&self) -> Result<Option<&Session>, Error> {
        Ok(self.resolution.resolve().await?.admitted.as_ref().map(|admitted| &admitted.session))
    }

    async fn user_of(&self, session: &Session) -> Result<Option<AnyUser>, Error> {
        let found = self.resolution.auth.find_with_user(session.id()).await?;
        let found =
            found.filter(|(record, _)| self.auth().admit(record.clone(), &session.token).is_some());
        Ok(found.map(|(_, user)| user))
    }

    /// Ends the session that was presented and the one that was set since.
    async fn end_own_sessions(&self) -> Result<(), Error> {
        let presented = self.presented().await?.map(Session::id);
        let chosen = match self.resolution.decision() {
            Decision::Set(chosen) => Some(chosen.session.id()),
            Decision::None | Decision::Clear { .. } => None,
        };
        for id in [presented, chosen.filter(|id| Some(*id) != presented)].into_iter().flatten() {
            self.auth().invalidate_session(id).await?;
        }
        Ok(())
    }

    fn client(&self) -> Client {
        let user_agent = self.request.headers().get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().take(USER_AGENT_CHARS).collect()
        });
        let address = self.request.peer_addr().map(|address| address.ip().to_string());
        Client { user_agent, address }
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locals")
            .field("session", &self.resolution.session())
            .finish_non_exhaustive()
    }
}
