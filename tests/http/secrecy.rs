//! What must not leave the server: tokens in logs and bodies, causes of faults in answers.

use actix_web::{
    App, HttpRequest, HttpResponse, get, http::StatusCode, middleware::Logger, post,
    test::init_service, web,
};
use locals::{Error, Locals, Session, User, require_user, with_session};
use sqlx::SqlitePool;

use crate::{
    record::Log,
    routes::logout,
    send,
    support::{self, Account, DAY, FAULT, Fixture, cookie},
};

#[post("/login")]
#[with_session]
#[tracing::instrument]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    let session = locals.log_in(&Account { id: 1, name: String::new() }).await?;
    tracing::info!(?session, ?locals, "logged in");
    Ok("in")
}

#[get("/debug")]
#[require_user]
#[tracing::instrument(ret)]
async fn debug(session: Session, user: User<Account>, locals: Locals) -> String {
    let list = locals.sessions().await.unwrap();
    format!("{session:?} {user:?} {locals:?} {list:?} {:?} {}", locals.auth(), session.id())
}

#[get("/request")]
#[require_user]
#[tracing::instrument(skip_all)]
async fn with_request(_session: Session, _request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[actix_web::test]
async fn no_token_appears_in_a_body_a_location_or_a_log_at_trace_level() {
    let log = Log::capture();
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = init_service(
        App::new()
            .wrap(Logger::default())
            .configure(fixture.auth.configure())
            .service(login)
            .service(debug)
            .service(with_request)
            .service(logout),
    )
    .await;
    let mut bodies = String::new();
    let mut tokens = Vec::new();
    for _ in 0..5 {
        let reply = send!(app, support::post("/login"));
        tokens.push(reply.session_cookie().to_owned());
        let presented = || ("Cookie", format!("__Host-session={}", tokens.last().unwrap()));
        for request in [support::get("/debug"), support::get("/request")] {
            bodies += &send!(app, request.insert_header(presented())).body;
        }
        fixture.clock.advance(2 * DAY);
        bodies += &send!(app, support::get("/debug").insert_header(presented())).body;
        fixture.store.fail(true);
        bodies += &send!(app, support::get("/debug").insert_header(presented())).body;
        fixture.store.fail(false);
        bodies += &send!(app, support::post("/logout").insert_header(presented())).body;
    }
    let log = log.text();
    assert!(log.contains("session_created") && bodies.contains("SessionId("));
    for token in tokens {
        // The first 21 characters are the id's alone, and public.
        for text in [&log, &bodies] {
            assert!(!text.contains(&token[22..]), "the secret of {token}");
        }
    }
    for text in [&log, &bodies] {
        assert!(!text.contains("name-1"), "a row of users shows as its id alone");
    }
}

#[actix_web::test]
async fn a_fault_is_hidden_from_the_client_and_logged_in_full() {
    let log = Log::capture();
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = init_service(App::new().configure(fixture.auth.configure()).service(debug)).await;
    fixture.store.fail(true);
    let reply = send!(app, support::get("/debug").insert_header(cookie(&session)));
    assert_eq!(reply.body, support::problem(503, "unavailable", "Temporarily unavailable"));
    let log = log.text();
    let line = log.lines().find(|line| line.contains(FAULT)).unwrap();
    assert!(line.contains("ERROR") && line.contains("the store failed"), "{line}");
}

#[get("/broken")]
#[with_session]
async fn broken(database: web::Data<SqlitePool>) -> Result<String, Error> {
    Ok(sqlx::query_scalar("SELECT name FROM nowhere").fetch_one(&**database).await?)
}

#[actix_web::test]
async fn a_failed_query_of_the_app_is_hidden_from_the_client_and_logged_in_full() {
    let log = Log::capture();
    let fixture = Fixture::new().await;
    let database = web::Data::new(SqlitePool::connect("sqlite::memory:").await.unwrap());
    let app = App::new().configure(fixture.auth.configure()).app_data(database).service(broken);
    let reply = send!(init_service(app).await, support::get("/broken"));
    assert_eq!(reply.body, support::problem(500, "internal", "Internal error"));
    assert!(log.text().contains("no such table: nowhere"), "{}", log.text());
}

#[actix_web::test]
async fn a_missing_configure_is_named_in_the_log() {
    let log = Log::capture();
    let app = init_service(App::new().service(debug)).await;
    let reply = send!(app, support::get("/debug"));
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    let log = log.text();
    let line = log.lines().find(|line| line.contains("no `Auth` is registered")).unwrap();
    assert!(line.contains("App::new().configure(auth.configure())"), "{line}");
}

#[actix_web::test]
async fn an_error_of_the_handler_stays_in_the_response_for_middleware_that_logs_errors() {
    use std::cell::RefCell;

    use actix_web::dev::Service;

    #[get("/error")]
    #[with_session]
    async fn failing(_session: Option<Session>) -> Result<&'static str, actix_web::Error> {
        Err(actix_web::error::ErrorConflict("taken"))
    }

    thread_local!(static SEEN: RefCell<Vec<String>> = RefCell::default());
    let fixture = Fixture::new().await;
    let app = init_service(
        App::new()
            .wrap_fn(|request, service| {
                let response = service.call(request);
                async move {
                    let response = response.await?;
                    let error = response.response().error().map(ToString::to_string);
                    SEEN.with_borrow_mut(|seen| seen.extend(error));
                    Ok(response)
                }
            })
            .configure(fixture.auth.configure())
            .service(failing)
            .service(debug),
    )
    .await;
    send!(app, support::get("/error"));
    send!(app, support::get("/debug"));
    assert_eq!(SEEN.with_borrow(Clone::clone), ["taken", "not logged in"]);
}

#[actix_web::test]
async fn the_database_holds_the_id_and_the_hash_of_the_secret() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let row: (Vec<u8>, Vec<u8>) = sqlx::query_as("SELECT id, secret_hash FROM user_sessions")
        .fetch_one(fixture.pool())
        .await
        .unwrap();
    let token = session.token();
    assert_eq!(row.0, token.id().as_bytes());
    assert_eq!(row.1, token.secret_hash::<Account>().as_bytes());
    assert_eq!(row.1.len(), 32);
}
