//! Whether the current request is part of an impersonation, for code that does not have the
//! request: the methods of `Auth` and of a transaction.

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
    /// The scope of the request whose handler runs in this task.
    static CURRENT: Arc<Scope>;
}

/// The guard of a request, for one `Auth` of the app, and those of outer guards.
struct Scope {
    guard: Arc<ImpersonationGuard>,
    outer: Option<Arc<Scope>>,
}

/// The presented session has not been read yet.
const UNKNOWN: u8 = 0;
/// The session is not an impersonation, or there is none.
const NO: u8 = 1;
/// The session is an impersonation.
const YES: u8 = 2;

/// Whether a request is part of an impersonation: in the session that it presented, unless it has
/// ended it, or in one that it has set.
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

    /// Records whether the presented session is an impersonation.
    pub(crate) fn presented_is_impersonating(&self, is_impersonating: bool) {
        self.in_presented.store(if is_impersonating { YES } else { NO }, Ordering::Relaxed);
    }

    /// Records whether the session that the request has set, if any, is an impersonation.
    pub(crate) fn set_session_is_impersonating(&self, is_impersonating: bool) {
        self.in_set.store(is_impersonating, Ordering::Relaxed);
    }

    /// Records that the request has ended the impersonation.
    pub(crate) fn impersonation_ended(&self) {
        self.presented_is_impersonating(false);
        self.set_session_is_impersonating(false);
    }

    /// Reads the presented session if it has not been read yet.
    async fn is_impersonating(&self) -> Result<bool, StoreError> {
        if self.in_set.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let presented = self.in_presented.load(Ordering::Relaxed);
        let Some(token) = self.token.as_ref().filter(|_| presented == UNKNOWN) else {
            return Ok(presented == YES);
        };
        let found = self.sessions.find_and_recheck(token).await?;
        let is_impersonating = found.is_some_and(|found| found.session.actor().is_some());
        self.presented_is_impersonating(is_impersonating);
        Ok(is_impersonating)
    }

    /// Refuses an action that would give an actor more than the impersonation allows.
    ///
    /// # Errors
    /// [`Error::Impersonating`] in an impersonation.
    pub(crate) async fn refuse(&self) -> Result<(), Error> {
        if self.is_impersonating().await? { Err(Error::Impersonating) } else { Ok(()) }
    }
}

/// Runs the work of a request, so that the functions it calls know the request.
pub(crate) fn run<F: Future>(
    guard: Arc<ImpersonationGuard>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let outer = CURRENT.try_with(Arc::clone).ok();
    // The scope of the same request is set already, as when a guard is around the handler.
    let is_known = outer.as_ref().is_some_and(|scope| Arc::ptr_eq(&scope.guard, &guard));
    let scope = match outer {
        Some(scope) if is_known => scope,
        outer => Arc::new(Scope { guard, outer }),
    };
    CURRENT.scope(scope, work)
}

/// Like [`ImpersonationGuard::refuse`], for the request that is being handled in this task, if any.
pub(crate) async fn refuse_if_impersonating() -> Result<(), Error> {
    let mut next = CURRENT.try_with(Arc::clone).ok();
    while let Some(scope) = next {
        scope.guard.refuse().await?;
        next = scope.outer.as_ref().map(Arc::clone);
    }
    Ok(())
}

/// Like [`refuse_if_impersonating`], and also for a session that is an impersonation, wherever it is used.
pub(crate) async fn refuse_in(session: &Session) -> Result<(), Error> {
    if session.actor().is_some() {
        Err(Error::Impersonating)
    } else {
        refuse_if_impersonating().await
    }
}
