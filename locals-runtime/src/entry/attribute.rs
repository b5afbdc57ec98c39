//! The two attributes, as generated code names them: their arguments, and which requests they
//! admit.

use std::{marker::PhantomData, time::Duration};

use crate::{
    model::{
        error::Error,
        user::{AuthUser, User},
    },
    request::{
        error_responder::Refusal, request_session::ResolvedSession, requirements::Requirements,
        user_type::UserType,
    },
};

/// An attribute with its arguments.
pub trait Attribute {
    /// Whether a request from another origin is handled, without its session.
    fn allows_cross_origin(&self) -> bool {
        false
    }

    /// What must be read before it can authorize a request.
    fn requirements(&self) -> Requirements;

    /// Whether the request may continue, by the session that was found.
    fn authorize(&self, found: &ResolvedSession) -> Result<(), Refusal>;

    /// Returns the refusal for an error of the guard.
    fn refuse(&self, error: Error) -> Refusal {
        error.into()
    }
}

/// `#[with_session]`.
#[derive(Debug, Default)]
pub struct WithSession {
    cross_origin: bool,
    guest_only: Option<&'static str>,
}

impl WithSession {
    /// `#[with_session]`.
    pub const fn new() -> Self {
        Self { cross_origin: false, guest_only: None }
    }

    /// `#[with_session(cross_origin)]`.
    pub fn cross_origin(self) -> Self {
        Self { cross_origin: true, ..self }
    }

    /// `#[with_session(guest_only = "/")]`.
    pub fn guest_only(self, page: &'static str) -> Self {
        Self { guest_only: Some(page), ..self }
    }
}

impl Attribute for WithSession {
    fn allows_cross_origin(&self) -> bool {
        self.cross_origin
    }

    fn requirements(&self) -> Requirements {
        Requirements { session: self.guest_only.is_some(), ..Requirements::default() }
    }

    fn authorize(&self, found: &ResolvedSession) -> Result<(), Refusal> {
        match self.guest_only {
            Some(page) if found.session().is_some() => Err(Refusal::LoggedIn(page)),
            _ => Ok(()),
        }
    }
}

/// `#[require_user]`.
#[derive(Debug, Clone, Default)]
pub struct RequireUser<C = ()> {
    redirect: Option<&'static str>,
    recent: Option<Duration>,
    condition: C,
}

impl RequireUser {
    /// `#[require_user]`.
    pub const fn new() -> Self {
        Self { redirect: None, recent: None, condition: () }
    }

    /// `#[require_user(check = ..)]`. A pointer, so that the compiler names a wrong function once.
    #[expect(
        clippy::type_complexity,
        reason = "the compiler shows it in the error for a wrong function"
    )]
    pub fn check<T: AuthUser>(
        self,
        check: fn(&T) -> bool,
    ) -> RequireUser<Checked<T, fn(&T) -> bool>> {
        self.check_by(check)
    }

    pub(crate) fn check_by<T, F>(self, check: F) -> RequireUser<Checked<T, F>> {
        let condition = Checked { check, user: PhantomData };
        RequireUser { redirect: self.redirect, recent: self.recent, condition }
    }
}

impl<C> RequireUser<C> {
    /// `#[require_user(redirect = "/login")]`.
    pub fn redirect(self, page: &'static str) -> Self {
        Self { redirect: Some(page), ..self }
    }

    /// `#[require_user(recent = "10m")]`.
    pub fn recent(self, within: Duration) -> Self {
        Self { recent: Some(within), ..self }
    }
}

impl<C: Condition> Attribute for RequireUser<C> {
    fn requirements(&self) -> Requirements {
        Requirements { session: true, user: C::user_type(), ..Requirements::default() }
    }

    fn authorize(&self, found: &ResolvedSession) -> Result<(), Refusal> {
        let session = found.session().ok_or_else(|| self.refuse(Error::Unauthenticated))?;
        self.condition.check(found).map_err(|error| self.refuse(error))?;
        match self.recent {
            Some(within) if !session.is_recent(within) => Err(self.refuse(session.not_recent())),
            _ => Ok(()),
        }
    }

    fn refuse(&self, error: Error) -> Refusal {
        Refusal::Error(error, self.redirect)
    }
}

/// A condition on a logged-in user.
pub trait Condition {
    /// The user type that it needs to read.
    fn user_type() -> Option<UserType>;

    /// Whether the logged-in user meets it.
    fn check(&self, found: &ResolvedSession) -> Result<(), Error>;
}

impl Condition for () {
    fn user_type() -> Option<UserType> {
        None
    }

    fn check(&self, _: &ResolvedSession) -> Result<(), Error> {
        Ok(())
    }
}

/// A function that must return `true` for the user.
#[derive(Debug)]
pub struct Checked<T, F> {
    check: F,
    user: PhantomData<fn(&T)>,
}

impl<T, F: Clone> Clone for Checked<T, F> {
    fn clone(&self) -> Self {
        Self { check: self.check.clone(), user: PhantomData }
    }
}

impl<T: AuthUser, F: Fn(&T) -> bool> Condition for Checked<T, F> {
    fn user_type() -> Option<UserType> {
        Some(UserType::of::<T>())
    }

    fn check(&self, found: &ResolvedSession) -> Result<(), Error> {
        let user: User<T> = found.user().ok_or(Error::Unauthenticated)?;
        if (self.check)(&user) { Ok(()) } else { Err(Error::Forbidden) }
    }
}
