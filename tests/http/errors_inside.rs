//! A service inside that fails with an error, and an extractor that fails with one of ours: the
//! response has what the session asks for all the same.

use std::future::{Ready, ready};

use actix_web::{
    App, FromRequest, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::{ErrorImATeapot, InternalError},
    http::StatusCode,
    middleware::{Next, from_fn},
    post,
    test::{init_service, try_call_service},
    web,
};
use locals::{Error, ErrorWithHeaders, Locals, require_user, with_session};

use crate::{
    send,
    support::{self, Account, DAY, Fixture, Reply, cookie, problem},
};

/// Runs what is inside, and fails in spite of it.
async fn fails_after<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    next.call(request).await?;
    let response = HttpResponse::NotFound().insert_header(("Vary", "Accept")).finish();
    Err(InternalError::from_response("nothing here", response).into())
}

/// Fails before what is inside.
async fn fails_before<B: MessageBody + 'static>(
    _: ServiceRequest,
    _: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    Err(ErrorImATeapot("no coffee"))
}

async fn plain() -> &'static str {
    "plain"
}

async fn log_in(request: &HttpRequest, locals: &Locals) -> actix_web::Result<()> {
    if request.headers().contains_key("Remote-User") {
        locals.log_in(&Account::of(1)).await?;
    }
    Ok(())
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account::of(1)).await?;
    Ok("in")
}

/// The answer to a request whose service may fail: as the server makes it of the error.
macro_rules! answer {
    ($app:expr, $request:expr) => {
        match try_call_service(&$app, $request.to_request()).await {
            Ok(response) => Reply::read(response).await,
            Err(error) => {
                let request = support::get("/").to_http_request();
                Reply::read(ServiceResponse::new(request, error.error_response())).await
            }
        }
    };
}

#[actix_web::test]
async fn a_service_that_fails_behind_a_guard_is_answered_with_the_renewed_cookie() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = init_service(
        App::new()
            .configure(fixture.auth.configure())
            .service(
                web::scope("/after")
                    .wrap(from_fn(fails_after))
                    .wrap(fixture.auth.require_user())
                    .route("/", web::get().to(plain)),
            )
            .service(
                web::scope("/before")
                    .wrap(from_fn(fails_before))
                    .wrap(fixture.auth.require_user())
                    .route("/", web::get().to(plain)),
            ),
    )
    .await;
    for (path, status, vary) in [("/after/", 404, "Accept, Cookie"), ("/before/", 418, "Cookie")] {
        let reply = answer!(app, support::get(path).insert_header(cookie(&session)));
        assert_eq!(reply.status.as_u16(), status, "{path}");
        assert_eq!(reply.header("Vary"), Some(vary), "{path}");
        assert_eq!(reply.header("Cache-Control"), Some("private, no-store"), "{path}");
        assert!(reply.sets_no_cookie());

        fixture.clock.advance(2 * DAY);
        let reply = answer!(app, support::get(path).insert_header(cookie(&session)));
        assert_eq!(reply.session_cookie(), session.token().expose_secret(), "{path}");
        assert_eq!(reply.header("Cache-Control"), Some("no-store"), "{path}");
    }
}

#[actix_web::test]
async fn a_login_before_a_failing_service_sets_the_cookie() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = init_service(
        App::new()
            .configure(fixture.auth.configure())
            .service(web::scope("/in").service(login))
            .route("/plain", web::get().to(plain))
            .wrap(from_fn(fails_after))
            .wrap(fixture.auth.before_request(log_in)),
    )
    .await;
    let request = support::get("/plain").insert_header(("Remote-User", "1"));
    let reply = answer!(app, request);
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let token = reply.session_cookie();
    assert!(fixture.auth.validate_session(token).await.unwrap().is_some());
}

#[actix_web::test]
async fn outer_middleware_sees_the_error_of_the_inner_service() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = init_service(
        App::new().configure(fixture.auth.configure()).service(
            web::scope("/in")
                .wrap(from_fn(fails_before))
                .wrap(fixture.auth.require_user())
                .route("/", web::get().to(plain)),
        ),
    )
    .await;
    let request = support::get("/in/").insert_header(cookie(&session)).to_request();
    let error = try_call_service(&app, request).await.err().unwrap();
    assert_eq!(error.to_string(), "no coffee");
    let inside = error.as_error::<ErrorWithHeaders>().unwrap().error();
    assert_eq!(inside.as_response_error().status_code(), StatusCode::IM_A_TEAPOT);
}

/// An extractor of the app that refuses with an error of ours.
struct NeedsConsent;

impl FromRequest for NeedsConsent {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Err(Error::NotRecent))
    }
}

#[post("/consent")]
#[require_user]
async fn consent(_consent: NeedsConsent) -> &'static str {
    ""
}

#[actix_web::test]
async fn an_error_of_the_library_from_an_extractor_is_answered_like_that_of_a_guard() {
    let error_response = |request: &HttpRequest, error: &Error| {
        let asked = request.headers().contains_key("Own-Answer");
        (asked && matches!(error, Error::NotRecent))
            .then(|| HttpResponse::Ok().body("the app's own"))
    };
    let fixture =
        Fixture::configured(|builder| builder.login_page("/login").error_response(error_response))
            .await;
    let session = fixture.session(1).await;
    let app = crate::app!(fixture, consent);
    let request = || support::post("/consent").insert_header(cookie(&session));
    let program = send!(app, request());
    assert_eq!(program.body, problem(401, "reauthenticate", "Logged in too long ago"));
    let person = send!(app, request().insert_header(("Sec-Fetch-Mode", "navigate")));
    assert!(person.body.contains("href=\"/login\""), "{person:?}");
    let own = send!(app, request().insert_header(("Own-Answer", "1")));
    assert_eq!((own.status, &*own.body), (StatusCode::UNAUTHORIZED, "the app's own"));
}
