//! Who is read, when, and by how many queries.

use actix_web::{HttpResponse, Responder, get, http::StatusCode, web};
use locals::{Error, Locals, Session, User, with_session};

use crate::{
    app, send,
    support::{self, Account, DAY, Fixture, cookie},
};

/// Says who is asked for, as the id or `nobody`.
#[get("/user")]
#[with_session]
async fn show_user(user: Option<User<Account>>) -> String {
    user.map_or("nobody".to_owned(), |user| format!("{} {}", user.id, user.name))
}

#[get("/session")]
#[with_session]
async fn show_session(session: Option<Session>) -> String {
    session.map_or("none".to_owned(), |session| format!("{}", session.id()))
}

#[get("/both")]
#[with_session]
async fn both(session: Option<Session>, user: Option<User<Account>>) -> String {
    format!("{} {}", session.is_some(), user.is_some())
}

#[get("/locals")]
#[with_session]
async fn only_locals(_locals: Locals) -> &'static str {
    "never asked"
}

#[get("/nothing")]
#[with_session]
async fn nothing() -> &'static str {
    "nothing asked"
}

#[get("/joined")]
#[with_session]
async fn joined(locals: Locals) -> Result<String, Error> {
    let (one, other, user) = futures_util::future::try_join3(
        locals.get_session(),
        locals.get_session(),
        locals.get_session_user::<Account>(),
    )
    .await?;
    let later = locals.clone().get_session_user::<Account>().await?;
    let found = [one.is_some(), other.is_some(), user.is_some(), later.is_some()];
    Ok(format!("{found:?}"))
}

#[get("/user-then-session")]
#[with_session]
async fn user_then_session(session: Option<Session>, locals: Locals) -> Result<String, Error> {
    let user = locals.get_session_user::<Account>().await?;
    let again = locals.get_session().await?;
    Ok(format!("{} {} {}", session.is_some(), user.is_some(), again.is_some()))
}

#[actix_web::test]
async fn a_request_without_a_cookie_has_no_session_and_costs_no_query() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, show_user, show_session, joined);
    for (path, body) in
        [("/user", "nobody"), ("/session", "none"), ("/joined", "[false, false, false, false]")]
    {
        let reply = send!(app, support::get(path));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, body));
        assert!(reply.sets_no_cookie());
    }
    assert_eq!(fixture.store.calls(), 0);
}

#[actix_web::test]
async fn a_malformed_cookie_counts_as_none() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let token = session.token().expose_secret();
    let app = app!(fixture, show_user);
    for value in [
        String::new(),
        "x".to_owned(),
        token[..63].to_owned(),
        format!("{token}A"),
        format!("\"{token}\""),
        format!("{token}="),
        token.replace(&token[..1], "%"),
        "'; DROP TABLE user_sessions; --".to_owned(),
        "A".repeat(4_096),
    ] {
        let header = ("Cookie", format!("__Host-session={value}"));
        let reply = send!(app, support::get("/user").insert_header(header));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "nobody"), "{value}");
        assert!(reply.sets_no_cookie());
    }
    assert_eq!(fixture.store.calls(), 0);
    assert_eq!(fixture.rows().await, 1);
}

#[actix_web::test]
async fn an_active_session_is_one_read_no_write_and_no_cookie() {
    let fixture = Fixture::new().await;
    let active = fixture.session(7).await;
    let app = app!(fixture, show_user, show_session, both);
    for (path, body) in
        [("/user", "7 name-7"), ("/session", &*active.id().to_string()), ("/both", "true true")]
    {
        fixture.store.forget();
        let reply = send!(app, support::get(path).insert_header(cookie(&active)));
        assert_eq!(reply.body, body);
        assert!(reply.sets_no_cookie());
        assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 0), "{path}");
    }
}

#[actix_web::test]
async fn repeated_and_concurrent_calls_are_one_read() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, joined, user_then_session);
    let reply = send!(app, support::get("/joined").insert_header(cookie(&session)));
    assert_eq!(reply.body, "[true, true, true, true]");
    assert_eq!(fixture.store.calls(), 1);

    fixture.store.forget();
    let reply = send!(app, support::get("/user-then-session").insert_header(cookie(&session)));
    assert_eq!(reply.body, "true true true");
    assert_eq!(fixture.store.calls(), 1);
}

#[actix_web::test]
async fn several_calls_on_an_idle_session_are_one_read_one_renewal_and_one_cookie() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, joined);
    let reply = send!(app, support::get("/joined").insert_header(cookie(&session)));
    assert_eq!(reply.session_cookie(), session.token().expose_secret());
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 1));
}

#[actix_web::test]
async fn unused_locals_cost_no_read() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, only_locals, nothing);
    for path in ["/locals", "/nothing"] {
        let reply = send!(app, support::get(path).insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("Vary"), None);
        assert_eq!(reply.header("Cache-Control"), None);
    }
    assert_eq!(fixture.store.calls(), 0);
}

#[actix_web::test]
async fn a_session_whose_user_is_gone_is_no_session() {
    let fixture = Fixture::new().await;
    let orphan = fixture.session(1).await;
    // As by a tool that does not enforce foreign keys, where the table of users was rebuilt before.
    let mut connection = fixture.pool().acquire().await.unwrap();
    for sql in [
        "PRAGMA foreign_keys = OFF",
        "DROP TRIGGER user_sessions_user_deleted",
        "DELETE FROM accounts",
    ] {
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
    }
    drop(connection);
    assert_eq!(fixture.rows().await, 1);
    let app = app!(fixture, show_user, show_session, both);
    for (path, body) in [("/user", "nobody"), ("/session", "none"), ("/both", "false false")] {
        let reply = send!(app, support::get(path).insert_header(cookie(&orphan)));
        assert_eq!(reply.body, body);
    }
}

#[actix_web::test]
async fn a_right_id_with_a_wrong_secret_opens_nothing() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let mut forged = session.token().expose_secret().to_owned();
    let last = if forged.ends_with('A') { "B" } else { "A" };
    forged.replace_range(63.., last);
    let app = app!(fixture, show_user);
    let header = ("Cookie", format!("__Host-session={forged}"));
    let reply = send!(app, support::get("/user").insert_header(header));
    assert_eq!(reply.body, "nobody");
    assert!(fixture.row(&session).await.is_some());
}

#[get("/other-type")]
#[with_session]
async fn of_another_type(locals: Locals) -> Result<impl Responder, Error> {
    #[derive(locals::AuthUser)]
    #[auth_user(table = "accounts")]
    struct Other {
        id: i64,
    }
    let user = locals.get_session_user::<Other>().await?;
    Ok(web::Json(user.map(|(_, user)| user.id)))
}

#[actix_web::test]
async fn asking_for_a_user_of_another_type_is_an_error_and_not_none() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, of_another_type);
    let reply = send!(app, support::get("/other-type"));
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.body, support::problem(500, "internal", "Internal error"));
}

#[get("/streamed")]
#[with_session]
async fn public_page(user: Option<User<Account>>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", "public, max-age=60"));
    response.insert_header(("Vary", "Accept-Encoding"));
    response.append_header(("Vary", "Accept"));
    response.body(user.is_some().to_string())
}

#[actix_web::test]
async fn a_response_that_read_the_session_varies_by_cookie_and_is_private_by_default() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, show_user, public_page);
    for request in [support::get("/user"), support::get("/user").insert_header(cookie(&session))] {
        let reply = send!(app, request);
        assert_eq!(reply.header("Vary"), Some("Cookie"));
        assert_eq!(reply.header("Cache-Control"), Some("private, no-store"));
    }
    let reply = send!(app, support::get("/streamed").insert_header(cookie(&session)));
    assert_eq!(reply.header("Vary"), Some("Accept-Encoding, Accept, Cookie"));
    assert_eq!(reply.headers.get_all("Vary").count(), 1);
    assert_eq!(reply.header("Cache-Control"), Some("public, max-age=60"));
}

#[actix_web::test]
async fn a_column_added_to_the_users_while_the_app_runs_logs_nobody_out() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, show_user);
    // Every connection of the pool has the statement prepared by now.
    let requests = || support::get("/user").insert_header(cookie(&session));
    for reply in
        futures_util::future::join_all((0..10).map(|_| async { send!(app, requests()) })).await
    {
        assert_eq!(reply.body, "1 name-1");
    }
    for change in [
        "ALTER TABLE accounts ADD COLUMN colour TEXT",
        "ALTER TABLE accounts ADD COLUMN size INTEGER NOT NULL DEFAULT 7",
    ] {
        sqlx::query(change).execute(fixture.pool()).await.unwrap();
        for _ in 0..20 {
            let reply = send!(app, requests());
            assert_eq!(reply.body, "1 name-1");
            assert!(reply.sets_no_cookie());
        }
    }
}

#[actix_web::test]
async fn a_missing_column_of_the_users_is_a_fault_and_not_a_logout() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, show_user);
    assert_eq!(send!(app, support::get("/user").insert_header(cookie(&session))).body, "1 name-1");
    sqlx::query("ALTER TABLE accounts DROP COLUMN name").execute(fixture.pool()).await.unwrap();
    let reply = send!(app, support::get("/user").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.sets_no_cookie());
}
