//! `Locals`: the session of a request, and the decision about its cookie.

use std::{fmt, rc::Rc};

use actix_web::HttpRequest;
use tokio::sync::OnceCell;

use crate::{
    model::{
        error::Error,
        user::{AuthUser, User},
    },
    request::{
        decision::{ChosenSession, Decision},
        request_session::{RequestSession, typed},
        user_type::{AnyUser, UserType},
    },
    sessions::{accounts::readable, manager::SessionManager, session::Session},
};

impl Locals {
    pub(crate) fn refuse_if_response_started(&self, method: &'static str) -> Result<(), Error> {
        self.request_session.refuse_if_response_started(method)
    }
}

/// The request's handle on its session: reads the session and decides what happens to the cookie.
///
/// A handler takes it as a parameter under `#[with_session]` or `#[require_user]`. Clones are
/// handles on the same request. It is not `Send`: it stays on the thread of its request.
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
    pub(crate) request_session: Rc<RequestSession>,
}

impl Locals {
    pub(crate) fn new(request: HttpRequest, request_session: Rc<RequestSession>) -> Self {
        Self { request, request_session }
    }

    /// Returns the session of this request, if it has one.
    ///
    /// The store is read once per request, however often this is called, even concurrently. Without
    /// a cookie it is not read at all. After [`set_session`](Self::set_session) this returns the
    /// session that was set; after [`clear_session`](Self::clear_session) it returns none.
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
    /// [`Error::Store`] if the store fails. This does not mean "no session": return the error, and
    /// the response is 503.
    pub async fn get_session(&self) -> Result<Option<Session>, Error> {
        match self.request_session.decision() {
            Decision::Set(chosen) => Ok(Some(self.with_written_data(chosen.session.clone()))),
            Decision::Clear { .. } => Ok(None),
            Decision::None => {
                Ok(self.presented().await?.map(|session| self.with_written_data(session)))
            }
        }
    }

    /// Returns the session of this request and its user: both or neither, by one query.
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
        self.request_session.auth.expect(asked)?;
        let found = match self.request_session.decision() {
            Decision::Set(chosen) => {
                let user = chosen.user.get_or_try_init(|| self.user_of(&chosen.session)).await?;
                user.clone().map(|user| (chosen.session.clone(), user))
            }
            Decision::Clear { .. } => None,
            Decision::None => {
                let resolved = self.request_session.resolve().await?;
                resolved.session().cloned().zip(resolved.user.clone())
            }
        };
        Ok(found.and_then(|(session, user)| Some((self.with_written_data(session), typed(user)?))))
    }

    /// Makes `session` the session of this request and writes its cookie with the response,
    /// whatever its status. The last call of this or [`clear_session`](Self::clear_session) wins.
    ///
    /// To log a user in, use [`log_in`](Self::log_in), which also ends the previous session of the
    /// browser.
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
    ///     Ok("Logged in")
    /// }
    /// ```
    pub fn set_session(&self, session: Session) {
        self.request_session.warn_if_response_started("set_session");
        let chosen = ChosenSession { session, user: OnceCell::new() };
        self.request_session.decide(Decision::Set(Rc::new(chosen)));
        self.request_session.has_logged_out.set(false);
    }

    /// Removes the cookie with the response, whatever its status, if the request had one. The
    /// session itself does not end; to end it, use [`log_out`](Self::log_out). The last call of
    /// this or [`set_session`](Self::set_session) wins.
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
        self.request_session.warn_if_response_started("clear_session");
        let after_set = match self.request_session.decision() {
            Decision::None => false,
            Decision::Set(_) => true,
            Decision::Clear { after_set } => after_set,
        };
        self.request_session.decide(Decision::Clear { after_set });
    }

    /// Returns the manager, which creates, validates, lists and ends sessions of any user.
    ///
    /// ```
    /// # use locals::{AuthUser, Error, Locals};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn example(locals: Locals, locked_out: Account) -> Result<(), Error> {
    /// locals.auth().invalidate_user_sessions(locked_out.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn auth(&self) -> &SessionManager {
        self.request_session.auth.sessions()
    }

    /// Returns the session that the request presented, regardless of later decisions.
    pub(crate) async fn presented(&self) -> Result<Option<Session>, Error> {
        Ok(self.request_session.resolve().await?.session().cloned())
    }

    async fn user_of(&self, session: &Session) -> Result<Option<AnyUser>, Error> {
        let found = readable(self.request_session.auth.find_with_user(session.id()).await)?;
        let Some((found, user)) = found else { return Ok(None) };
        Ok(readable(self.auth().recheck_token(found, &session.token).await)?.map(|_| user))
    }

    /// Returns the session with the data that this request has written.
    fn with_written_data(&self, mut session: Session) -> Session {
        if let Some(written) = &*self.request_session.written.borrow()
            && written.id == session.id()
        {
            session.record.data.clone_from(&written.data);
            session.record.data_revision = written.data_revision;
        }
        session
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locals")
            .field("session", &self.request_session.session())
            .finish_non_exhaustive()
    }
}
