//! Whether a member of staff acts as another user in the request that is being handled, for what
//! is not given the request: the verbs of `Auth` and of a transaction.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use crate::{
    model::{
        error::{Error, StoreError},
        token::SessionToken,
    },
    sessions::{manager::SessionManager, session::Session},
};

tokio::task_local! {
    /// That of the request whose handler runs in this task.
    static CURRENT: Arc<Scope>;
}

/// What is known of a request, for one `Auth` of the app, and for those of the guards around.
struct Scope {
    guard: Arc<ImpersonationGuard>,
    outer: Option<Arc<Scope>>,
}

/// The presented session has not been read yet.
const UNKNOWN: u8 = 0;
/// The session is its user's own, or there is none.
const NO: u8 = 1;
/// Somebody acts in it.
const YES: u8 = 2;

/// Whether somebody acts as another user in one request: in the session that it presented, unless
/// it has ended that, or in one that it has set.
pub(crate) struct ImpersonationGuard {
    sessions: SessionManager,
    token: Option<SessionToken>,
    in_presented: AtomicU8,
    in_set: AtomicBool,
}

impl ImpersonationGuard {
    pub(crate) fn new(sessions: SessionManager, token: Option<SessionToken>) -> Self {
        let in_presented = AtomicU8::new(if token.is_some() { UNKNOWN } else { NO });
        Self { sessions, token, in_presented, in_set: AtomicBool::new(false) }
    }

    /// What has been found of the presented session.
    pub(crate) fn presented_is_acting(&self, is_acting: bool) {
        self.in_presented.store(if is_acting { YES } else { NO }, Ordering::Relaxed);
    }

    /// What is known of the session that the request has set, if any.
    pub(crate) fn set_session_is_acting(&self, is_acting: bool) {
        self.in_set.store(is_acting, Ordering::Relaxed);
    }

    /// The request has ended the impersonation.
    pub(crate) fn impersonation_ended(&self) {
        self.presented_is_acting(false);
        self.set_session_is_acting(false);
    }

    /// Asks the store if nobody has asked yet.
    async fn is_acting(&self) -> Result<bool, StoreError> {
        if self.in_set.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let presented = self.in_presented.load(Ordering::Relaxed);
        let Some(token) = self.token.as_ref().filter(|_| presented == UNKNOWN) else {
            return Ok(presented == YES);
        };
        let found = self.sessions.find_and_recheck(token).await?;
        let is_acting = found.is_some_and(|found| found.session.actor().is_some());
        self.presented_is_acting(is_acting);
        Ok(is_acting)
    }

    /// Refuses what would give a member of staff more than the impersonation does.
    ///
    /// # Errors
    /// [`Error::Impersonating`] while somebody acts as another user.
    pub(crate) async fn refuse(&self) -> Result<(), Error> {
        if self.is_acting().await? { Err(Error::Impersonating) } else { Ok(()) }
    }
}

/// Runs what belongs to a request, so that what it calls knows of the request.
pub(crate) fn scope<F: Future>(
    guard: Arc<ImpersonationGuard>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let outer = CURRENT.try_with(Arc::clone).ok();
    // That of the same request is known already, as where a guard is around the handler.
    let is_known = outer.as_ref().is_some_and(|scope| Arc::ptr_eq(&scope.guard, &guard));
    let scope = match outer {
        Some(scope) if is_known => scope,
        outer => Arc::new(Scope { guard, outer }),
    };
    CURRENT.scope(scope, work)
}

/// As [`ImpersonationGuard::refuse`], for the request that is being handled in this task, if one is.
pub(crate) async fn refuse() -> Result<(), Error> {
    let mut next = CURRENT.try_with(Arc::clone).ok();
    while let Some(scope) = next {
        scope.guard.refuse().await?;
        next = scope.outer.as_ref().map(Arc::clone);
    }
    Ok(())
}

/// As [`refuse`], and for a session in which somebody acts, wherever it is handled.
pub(crate) async fn refuse_in(session: &Session) -> Result<(), Error> {
    if session.actor().is_some() { Err(Error::Impersonating) } else { refuse().await }
}
