//! What one request presents, read once, and what it decides: shared by everything that handles
//! the request.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    HttpMessage, HttpRequest,
    http::{
        header::{HOST, HeaderMap},
        uri::Authority,
    },
};
use tokio::sync::OnceCell;

use crate::{
    auth::{AnyUser, Registered},
    cookie::Presented,
    error::{Error, StoreError},
    parameters::Asks,
    session::Session,
    session_manager::Admitted,
    user::{AuthUser, User},
};

/// One request's session: as it was presented, as it was found, and as the handler leaves it.
pub struct Resolution {
    pub(crate) auth: Registered,
    pub(crate) presented: Presented,
    scope: Scope,
    resolved: OnceCell<Resolved>,
    pub(crate) decision: RefCell<Decision>,
    /// Whether the response has its cookie and its headers already.
    pub(crate) is_finished: Cell<bool>,
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
pub(crate) struct Resolved {
    pub admitted: Option<Admitted>,
    pub user: Option<AnyUser>,
    /// There is a row, and it cannot be read.
    pub corrupt: bool,
}

/// What the request has decided about its cookie. The last decision wins.
#[derive(Clone, Default)]
pub(crate) enum Decision {
    #[default]
    None,
    Set(Rc<Chosen>),
    /// `after_set`: a cookie that this request had set before.
    Clear {
        after_set: bool,
    },
}

/// A session that the request has set in place of the presented one.
pub(crate) struct Chosen {
    pub session: Session,
    pub user: OnceCell<Option<AnyUser>>,
}

/// The resolution that a guard around a scope has begun, among the extensions of the request.
struct Begun(Rc<Resolution>);

impl Resolution {
    /// That of a request: begun here, or by a guard around for the same app.
    pub(crate) fn of_request(
        request: &HttpRequest,
        auth: &Registered,
        asks: Asks,
        allows_cross_origin: bool,
    ) -> Result<Rc<Self>, Error> {
        if let Some(user_type) = asks.user {
            auth.expect(user_type)?;
        }
        match request.extensions().get() {
            Some(Begun(begun)) if begun.auth.is(auth) => Ok(Rc::clone(begun)),
            _ => Self::begin(request, auth.clone(), asks, allows_cross_origin),
        }
    }

    /// Everything before the session: the origin and the cookie.
    fn begin(
        request: &HttpRequest,
        auth: Registered,
        asks: Asks,
        allows_cross_origin: bool,
    ) -> Result<Rc<Self>, Error> {
        let headers = request.headers();
        let presented = match auth.origins().check(request.method(), headers, host(request)) {
            Ok(()) => present(&auth, headers),
            Err(_) if allows_cross_origin => Presented::Nothing,
            Err(reason) => return Err(Error::CrossOrigin { reason }),
        };
        // Without a token there is nothing to wait for.
        let is_known = asks.session && !matches!(presented, Presented::Token(_));
        let scope =
            if asks.user.is_some() || asks.later { Scope::SessionAndUser } else { Scope::Session };
        Ok(Rc::new(Self {
            auth,
            presented,
            scope,
            resolved: OnceCell::new_with(is_known.then(Resolved::default)),
            decision: RefCell::default(),
            is_finished: Cell::new(false),
        }))
    }

    /// Lets the handlers inside find it.
    pub(crate) fn share(self: &Rc<Self>, request: &impl HttpMessage) {
        request.extensions_mut().insert(Begun(Rc::clone(self)));
    }

    pub(crate) fn decision(&self) -> Decision {
        self.decision.borrow().clone()
    }

    /// What has been read, if somebody has asked.
    pub(crate) fn resolved(&self) -> Option<&Resolved> {
        self.resolved.get()
    }

    /// The presented session, where it has been read already.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.resolved()?.admitted.as_ref().map(|admitted| &admitted.session)
    }

    /// The user of the presented session, where it has been read already.
    pub(crate) fn user<T: AuthUser>(&self) -> Option<User<T>> {
        typed(self.resolved()?.user.clone()?)
    }

    /// Reads the presented session, once in a request.
    pub(crate) async fn resolve(&self) -> Result<&Resolved, Error> {
        self.resolved.get_or_try_init(|| self.read()).await
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
        let Presented::Token(token) = &self.presented else {
            return Ok(Resolved::default());
        };
        let sessions = self.auth.sessions();
        if self.scope == Scope::Session {
            let admitted = sessions.find(token).await?;
            return Ok(Resolved { admitted, ..Resolved::default() });
        }
        let Some((record, user)) = self.auth.find_with_user(token.id()).await? else {
            return Ok(Resolved::default());
        };
        let admitted = sessions.admit(record, token);
        let user = admitted.is_some().then_some(user);
        Ok(Resolved { admitted, user, corrupt: false })
    }
}

/// The user as the type it has.
pub(crate) fn typed<T: AuthUser>(user: AnyUser) -> Option<User<T>> {
    Arc::downcast(user).ok().map(User::new)
}

fn present(auth: &Registered, headers: &HeaderMap) -> Presented {
    let presented = auth.cookie().read(headers);
    match presented {
        Presented::Conflicting => {
            tracing::warn!("several session cookies with different values: treated as none");
        }
        Presented::Malformed => tracing::debug!("a malformed session cookie: treated as none"),
        Presented::Nothing | Presented::Token(_) => {}
    }
    presented
}

/// The host the client asked for, as HTTP/1 and HTTP/2 say it. Forwarded headers do not count:
/// anybody can send them.
fn host(request: &HttpRequest) -> Option<&str> {
    request
        .uri()
        .authority()
        .map(Authority::as_str)
        .or_else(|| request.headers().get(HOST)?.to_str().ok())
}

impl fmt::Debug for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolution").field("session", &self.session()).finish_non_exhaustive()
    }
}
