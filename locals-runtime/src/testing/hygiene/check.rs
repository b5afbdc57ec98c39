//! The entry points of the examination.

use std::{future::Future, panic::Location};

use actix_http::Request;
use actix_web::{
    body::MessageBody,
    dev::{Service, ServiceResponse},
};

use super::{Hygiene, Report, examination::Examination};

/// Tests over requests, as an attacker or a cache would send them, whether the app handles its
/// sessions correctly. Tests every [`Rule`](crate::testing::Rule), and reports all faults together.
///
/// `app` is the result of [`actix_web::test::init_service`]. It should be the complete app, with
/// its own routes and middleware, on a store for tests.
///
/// ```
/// use actix_web::{App, Responder, post, test::init_service, web};
/// use locals::{Auth, AuthUser, Error, Locals, User, require_user, with_session};
/// use locals::{store::MemoryStore, testing::{Hygiene, Probe, assert_hygiene}};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64 }
///
/// #[post("/login")]
/// #[with_session]
/// async fn login(account: web::Form<Credentials>, locals: Locals) -> Result<String, Error> {
///     locals.log_in(&Account { id: account.id }).await?;
///     Ok("Welcome".to_owned())
/// }
///
/// #[post("/logout")]
/// #[with_session]
/// async fn logout(locals: Locals) -> Result<String, Error> {
///     locals.log_out().await?;
///     Ok("Goodbye".to_owned())
/// }
///
/// #[actix_web::get("/me")]
/// #[require_user]
/// async fn me(user: User<Account>) -> String {
///     user.id.to_string()
/// }
/// # #[derive(serde::Deserialize)]
/// # struct Credentials { id: i64 }
///
/// # actix_web::rt::System::new().block_on(async {
/// let store = MemoryStore::new();
/// store.insert_user(Account { id: 7 });
/// let auth = Auth::<Account>::builder(store).build()?;
/// let app = App::new().configure(auth.configure()).service(login).service(logout).service(me);
/// let app = init_service(app).await;
///
/// let hygiene = Hygiene {
///     log_in: Probe::post("/login").form([("id", "7")]),
///     ..Hygiene::of(&auth)
/// };
/// assert_hygiene(&app, hygiene).await;
/// # Ok::<(), locals::ConfigError>(())
/// # }).unwrap();
/// ```
///
/// # Panics
/// If a rule is broken. For each fault, the message says what was sent, what the app responded, and
/// how to fix it.
#[track_caller]
pub fn assert_hygiene<S, B>(app: &S, hygiene: Hygiene) -> impl Future<Output = ()>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let caller = Location::caller();
    async move {
        let report = check_hygiene(app, hygiene).await;
        assert!(report.is_clean(), "at {caller}: {report}");
    }
}

/// Like [`assert_hygiene`], but returns the [`Report`] instead of panicking. For an app that breaks
/// a rule on purpose, or a test that is not to fail yet.
///
/// ```no_run
/// # use actix_web::{App, test::init_service};
/// use locals::testing::{Hygiene, Rule, check_hygiene};
///
/// # async fn example() {
/// # let app = init_service(App::new()).await;
/// let report = check_hygiene(&app, Hygiene::default()).await;
/// // Native clients of this app get the token in the response to their login.
/// assert!(report.faults().iter().all(|fault| fault.rule == Rule::Secrecy), "{report}");
/// # }
/// ```
pub async fn check_hygiene<S, B>(app: &S, hygiene: Hygiene) -> Report
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    Examination::new(app, hygiene).run().await
}
