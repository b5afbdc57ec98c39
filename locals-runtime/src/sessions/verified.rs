//! Conditions on a user, and a type that proves that a user meets one.

use std::{fmt, marker::PhantomData, ops::Deref, time::Duration};

use crate::{
    model::{
        error::Error,
        user::{AuthUser, User},
    },
    sessions::session::Session,
};

/// A condition on the user of a session, such as a role, a confirmed e-mail address or a recent
/// login.
///
/// It is implemented for a type without values. A handler that takes
/// [`Verified<Account, IsAdmin>`](Verified) runs only for users who meet the condition. So does
/// every function of the app that takes a `&Verified<Account, IsAdmin>`.
///
/// ```
/// use actix_web::{HttpResponse, post};
/// use locals::{AuthUser, Check, Session, Verified, require_user};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64, is_admin: bool }
///
/// struct IsAdmin;
///
/// impl Check<Account> for IsAdmin {
///     fn check(account: &Account, _session: &Session) -> bool {
///         account.is_admin
///     }
/// }
///
/// /// Nobody can call this without having passed the check.
/// fn wipe_everything(admin: &Verified<Account, IsAdmin>) {
///     println!("wiped by {}", admin.id);
/// }
///
/// #[post("/wipe")]
/// #[require_user]
/// async fn wipe(admin: Verified<Account, IsAdmin>) -> HttpResponse {
///     wipe_everything(&admin);
///     HttpResponse::NoContent().finish()
/// }
/// ```
///
/// To combine conditions, use a tuple: `Verified<Account, (IsAdmin, Recent<10>)>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition on `{T}`",
    label = "not a `Check<{T}>`",
    note = "write `impl Check<{T}> for {Self} {{ fn check(user: &{T}, session: &Session) -> bool {{ .. }} }}`"
)]
pub trait Check<T>: 'static {
    /// Whether the user of this session meets the condition.
    fn check(user: &T, session: &Session) -> bool;

    /// Returns the error for a user who does not meet the condition: 403 by default.
    fn refusal() -> Error {
        Error::Forbidden
    }

    /// Checks the condition and returns the refusal if the user does not meet it.
    ///
    /// # Errors
    /// The result of [`refusal`](Self::refusal) if [`check`](Self::check) returns `false`.
    fn verify(user: &T, session: &Session) -> Result<(), Error> {
        if Self::check(user, session) { Ok(()) } else { Err(Self::refusal()) }
    }
}

/// Implements a condition on tuples: all must be met, and the first that is not determines the
/// error.
macro_rules! all_of {
    ($($condition:ident),+) => {
        impl<T, $($condition: Check<T>),+> Check<T> for ($($condition,)+) {
            fn check(user: &T, session: &Session) -> bool {
                $($condition::check(user, session))&&+
            }

            fn verify(user: &T, session: &Session) -> Result<(), Error> {
                $($condition::verify(user, session)?;)+
                Ok(())
            }
        }
    };
}

all_of!(A, B);
all_of!(A, B, C);
all_of!(A, B, C, D);

/// A condition that a user meets if their login is at most this many minutes old and the session is
/// not an impersonation.
///
/// Other users are asked to log in again, as with `#[require_user(recent = "10m")]`. An
/// impersonation is refused with 403.
///
/// ```
/// use locals::{AuthUser, Recent, Verified};
///
/// # #[derive(AuthUser)]
/// # struct Account { id: i64 }
/// async fn delete_account(account: &Verified<Account, Recent<10>>) {
///     // ..
/// }
/// ```
pub struct Recent<const MINUTES: u64>;

impl<T, const MINUTES: u64> Check<T> for Recent<MINUTES> {
    fn check(_: &T, session: &Session) -> bool {
        session.is_recent(Duration::from_mins(MINUTES))
    }

    fn verify(user: &T, session: &Session) -> Result<(), Error> {
        if Self::check(user, session) { Ok(()) } else { Err(session.not_recent()) }
    }
}

impl<const MINUTES: u64> fmt::Debug for Recent<MINUTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recent<{MINUTES}>")
    }
}

/// A user who meets the condition `C`. Only a handler receives one, and only after the check.
///
/// It derefs to the user. Under `#[require_user]` the parameter is `Verified<T, C>`, and users who
/// do not meet `C` are refused. Under `#[with_session]` it is `Option<Verified<T, C>>`. See
/// [`Check`].
pub struct Verified<T, C> {
    user: User<T>,
    condition: PhantomData<fn() -> C>,
}

impl<T: AuthUser, C: Check<T>> Verified<T, C> {
    pub(crate) fn of(user: User<T>, session: &Session) -> Result<Self, Error> {
        C::verify(&user, session)?;
        Ok(Self { user, condition: PhantomData })
    }
}

impl<T, C> Verified<T, C> {
    /// Returns the user, as a handler receives it.
    pub fn user(&self) -> &User<T> {
        &self.user
    }
}

impl<T, C> Deref for Verified<T, C> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.user
    }
}

impl<T, C> Clone for Verified<T, C> {
    fn clone(&self) -> Self {
        Self { user: self.user.clone(), condition: PhantomData }
    }
}

impl<T: AuthUser, C> fmt::Debug for Verified<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.user).finish()
    }
}
