//! `#[require_user]`: who is refused, and what has not happened by then.

use std::{
    future::{Ready, ready},
    sync::atomic::{AtomicUsize, Ordering},
};

use actix_multipart::Multipart;
use actix_web::{FromRequest, HttpRequest, dev::Payload, get, http::StatusCode, post, web};
use locals::{Locals, Session, User, require_user};

use crate::{
    app, send,
    support::{self, Account, Fixture, cookie},
};

/// An extractor that counts how often it ran.
struct Counted;

static EXTRACTED: AtomicUsize = AtomicUsize::new(0);
static HANDLED: AtomicUsize = AtomicUsize::new(0);

impl FromRequest for Counted {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        EXTRACTED.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Self))
    }
}

#[post("/counted")]
#[require_user]
async fn counted(user: User<Account>, _counted: Counted, body: String) -> String {
    HANDLED.fetch_add(1, Ordering::SeqCst);
    format!("{} {body}", user.id)
}

#[derive(serde::Deserialize)]
struct Body {
    number: u8,
}

#[post("/json")]
#[require_user]
async fn json(body: web::Json<Body>, session: Session) -> String {
    format!("{} {}", session.user_id(), body.number)
}

#[post("/form")]
#[require_user]
async fn form(locals: Locals, body: web::Form<Body>) -> String {
    format!("{} {}", locals.get_session().await.unwrap().is_some(), body.number)
}

#[post("/multipart")]
#[require_user]
async fn multipart(_user: User<Account>, _body: Multipart) -> &'static str {
    "multipart"
}

#[post("/payload")]
#[require_user]
async fn payload(_user: User<Account>, body: web::Payload) -> String {
    let bytes = body.to_bytes().await.unwrap();
    format!("{} bytes", bytes.len())
}

#[get("/guarded")]
#[require_user]
async fn nothing_but_the_guard() -> &'static str {
    "in"
}

#[actix_web::test]
async fn a_request_without_a_session_gets_401_with_a_challenge_and_nothing_else_runs() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, counted);
    let reply = send!(app, support::post("/counted").set_payload("body"));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.header("WWW-Authenticate"), Some("Session"));
    assert_eq!(reply.header("Vary"), Some("Cookie"));
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    assert_eq!(reply.body, support::problem(401, "not_logged_in", "Not logged in"));
    assert_eq!((EXTRACTED.load(Ordering::SeqCst), HANDLED.load(Ordering::SeqCst)), (0, 0));

    let request = support::post("/counted").insert_header(cookie(&session)).set_payload("body");
    assert_eq!(send!(app, request).body, "1 body");
    assert_eq!((EXTRACTED.load(Ordering::SeqCst), HANDLED.load(Ordering::SeqCst)), (1, 1));
}

#[actix_web::test]
async fn a_request_without_a_session_gets_401_whatever_the_state_of_the_body() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, json, form, multipart, payload);
    for (path, content_type, body, status) in [
        ("/json", "application/json", r#"{"number":1}"#, 200),
        ("/json", "application/json", "{", 400),
        ("/json", "text/plain", r#"{"number":1}"#, 400),
        ("/json", "application/json", "", 400),
        ("/form", "application/x-www-form-urlencoded", "number=1", 200),
        ("/form", "application/x-www-form-urlencoded", "number=x", 400),
        ("/multipart", "multipart/form-data; boundary=x", "junk", 200),
        ("/payload", "text/plain", "body", 200),
    ] {
        let request =
            || support::post(path).insert_header(("Content-Type", content_type)).set_payload(body);
        let reply = send!(app, request());
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {body}");
        let reply = send!(app, request().insert_header(cookie(&session)));
        assert_eq!(reply.status.as_u16(), status, "{path} {body}");
    }
}

#[actix_web::test]
async fn an_error_of_an_extractor_still_carries_the_headers_of_the_session() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * support::DAY);
    let app = app!(fixture, json);
    let request = support::post("/json")
        .insert_header(cookie(&session))
        .insert_header(("Content-Type", "application/json"))
        .set_payload("{");
    let reply = send!(app, request);
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.session_cookie(), session.token().expose_secret());
    assert_eq!(reply.header("Vary"), Some("Cookie"));
}

#[actix_web::test]
async fn the_guard_applies_even_if_the_handler_takes_no_session() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, nothing_but_the_guard);
    assert_eq!(send!(app, support::get("/guarded")).status, StatusCode::UNAUTHORIZED);
    let reply = send!(app, support::get("/guarded").insert_header(cookie(&session)));
    assert_eq!(reply.body, "in");
    assert_eq!(fixture.store.calls(), 1);
}

#[actix_web::test]
async fn a_deleted_user_is_refused_at_the_next_request() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, nothing_but_the_guard);
    sqlx::query("DELETE FROM accounts").execute(fixture.pool()).await.unwrap();
    let reply = send!(app, support::get("/guarded").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.rows().await, 0, "the foreign key takes the sessions along");
}

#[actix_web::test]
async fn the_user_of_the_next_request_is_the_row_as_it_is_now() {
    #[get("/name")]
    #[require_user]
    async fn name(user: User<Account>) -> String {
        user.into_inner().name
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, name);
    sqlx::query("UPDATE accounts SET name = 'renamed'").execute(fixture.pool()).await.unwrap();
    let reply = send!(app, support::get("/name").insert_header(cookie(&session)));
    assert_eq!(reply.body, "renamed");
}
