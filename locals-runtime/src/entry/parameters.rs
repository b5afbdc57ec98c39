//! The parameters of a handler with an attribute: those that the attribute provides, and those that
//! are extracted.
//!
//! Generated code names each parameter's type in a call of its own, [`given`] or [`extracted`], so
//! that the compiler underlines the wrong one. The results have no bounds.

use std::{future::Future, pin::Pin};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

use crate::{
    entry::attribute::{RequireUser, WithSession},
    model::{
        error::Error as SessionError,
        user::{AuthUser, User},
    },
    request::{locals::Locals, requirements::Requirements, user_type::UserType},
    sessions::{
        session::Session,
        verified::{Check, Verified},
    },
};

/// A parameter type that the attribute `A` provides.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a parameter that the attribute provides",
    label = "not `locals::Session`, `locals::User<..>`, `locals::Verified<..>` or `locals::Locals`",
    note = "a parameter type named `Session`, `User`, `Verified` or `Locals` must be the one of `locals`: rename the other type"
)]
pub trait FromSession<A>: Sized {
    /// What must be read for it.
    fn requirements() -> Requirements;

    /// Returns it from what has been read, or the error if this request has none.
    fn take(locals: &Locals) -> Result<Self, SessionError>;
}

impl<A> FromSession<A> for Locals {
    fn requirements() -> Requirements {
        Requirements { may_ask_later: true, ..Requirements::default() }
    }

    fn take(locals: &Locals) -> Result<Self, SessionError> {
        Ok(locals.clone())
    }
}

impl FromSession<RequireUser> for Session {
    fn requirements() -> Requirements {
        Requirements { session: true, ..Requirements::default() }
    }

    fn take(locals: &Locals) -> Result<Self, SessionError> {
        locals.request_session.session().ok_or(SessionError::Unauthenticated)
    }
}

impl<T: AuthUser> FromSession<RequireUser> for User<T> {
    fn requirements() -> Requirements {
        Requirements { session: true, user: Some(UserType::of::<T>()), may_ask_later: false }
    }

    fn take(locals: &Locals) -> Result<Self, SessionError> {
        let found = locals.request_session.resolved();
        found.and_then(|found| found.user()).ok_or(SessionError::Unauthenticated)
    }
}

impl<T: AuthUser, C: Check<T>> FromSession<RequireUser> for Verified<T, C> {
    fn requirements() -> Requirements {
        <User<T> as FromSession<RequireUser>>::requirements()
    }

    fn take(locals: &Locals) -> Result<Self, SessionError> {
        let found = locals.request_session.resolved().ok_or(SessionError::Unauthenticated)?;
        let (user, session) =
            found.user().zip(found.session()).ok_or(SessionError::Unauthenticated)?;
        Self::of(user, session)
    }
}

/// Under `#[with_session]` the same parameters are optional.
impl<P: FromSession<RequireUser>> FromSession<WithSession> for Option<P> {
    fn requirements() -> Requirements {
        P::requirements()
    }

    fn take(locals: &Locals) -> Result<Self, SessionError> {
        Ok(P::take(locals).ok())
    }
}

/// A parameter that the attribute provides.
#[derive(Debug)]
pub struct SessionParameter<P> {
    requirements: Requirements,
    take: fn(&Locals) -> Result<P, SessionError>,
}

/// Returns the parameter `P`, as the attribute `A` provides it.
pub fn given<A, P: FromSession<A>>() -> SessionParameter<P> {
    SessionParameter { requirements: P::requirements(), take: P::take }
}

/// All parameters that the attribute provides.
pub trait SessionParameters {
    /// The values that the handler receives.
    type Values;

    /// What must be read for all of them.
    fn requirements(&self) -> Requirements;

    /// Returns them all, or the error if this request does not have one.
    fn take(&self, locals: &Locals) -> Result<Self::Values, SessionError>;
}

macro_rules! parts {
    ($(($($part:ident $index:tt),*))+) => {$(
        impl<$($part),*> SessionParameters for ($(SessionParameter<$part>,)*) {
            type Values = ($($part,)*);

            fn requirements(&self) -> Requirements {
                Requirements::default() $(.and(self.$index.requirements))*
            }

            #[allow(unused_variables, reason = "the empty tuple takes nothing")]
            fn take(&self, locals: &Locals) -> Result<Self::Values, SessionError> {
                Ok(($((self.$index.take)(locals)?,)*))
            }
        }
    )+};
}

parts! { () (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

/// An ordinary parameter.
#[derive(Debug)]
pub struct ExtractedParameter<P>(fn(&HttpRequest, &mut Payload) -> Extraction<P>);

/// Boxed, because the type of the future would bring back the bound and its error.
type Extraction<P> = Pin<Box<dyn Future<Output = Result<P, Error>>>>;

/// Returns the parameter `P`, extracted by its own `FromRequest`.
pub fn extracted<P: FromRequest + 'static>() -> ExtractedParameter<P> {
    ExtractedParameter(|request, payload| {
        let future = P::from_request(request, payload);
        Box::pin(async { future.await.map_err(Into::into) })
    })
}

/// All parameters that are extracted.
pub trait ExtractedParameters {
    /// The values that the handler receives.
    type Values;

    /// Extracts them concurrently, as Actix does: they see the request in the order in which they
    /// are written, and the first error ends the extraction.
    fn extract(
        self,
        request: &HttpRequest,
        payload: &mut Payload,
    ) -> impl Future<Output = Result<Self::Values, Error>>;
}

impl ExtractedParameters for () {
    type Values = ();

    async fn extract(self, _: &HttpRequest, _: &mut Payload) -> Result<(), Error> {
        Ok(())
    }
}

macro_rules! extract {
    ($(($($value:ident $index:tt),+))+) => {$(
        impl<$($value),+> ExtractedParameters for ($(ExtractedParameter<$value>,)+) {
            type Values = ($($value,)+);

            async fn extract(
                self,
                request: &HttpRequest,
                payload: &mut Payload,
            ) -> Result<Self::Values, Error> {
                let futures = ($(self.$index.0(request, payload),)+);
                tokio::try_join!(biased; $(futures.$index,)+)
            }
        }
    )+};
}

extract! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15)
}
