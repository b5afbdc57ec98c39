//! Sessions inside the app's own transaction: all of it, or nothing.

use actix_web::{HttpResponse, get, http::StatusCode, post, rt, web};
use locals::{Auth, Locals, Session, require_user};
use sqlx::SqlitePool;

use crate::{
    app,
    routes::me,
    send,
    support::{self, Account, Fixture, Gate, MINUTE, as_set, cookie, problem},
};

/// What a handler that changes a password needs.
struct Database {
    pool: SqlitePool,
    gate: Gate,
}

/// Changes the "password", ends the user's other sessions, and gives this one a new token.
#[post("/password/{commits}")]
#[require_user]
async fn change_password(
    commits: web::Path<bool>,
    session: Session,
    locals: Locals,
    auth: Auth<Account>,
    database: web::Data<Database>,
) -> HttpResponse {
    database.gate.pass().await;
    let mut transaction = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let update = sqlx::query("UPDATE accounts SET name = 'changed' WHERE id = 1");
    update.execute(&mut *transaction).await.unwrap();
    let mut within = auth.within(&mut transaction).unwrap();
    within.invalidate_other_sessions(&session).await.unwrap();
    let Some(session) = within.reauthenticate(&session).await.unwrap() else {
        return HttpResponse::Conflict().finish();
    };
    if !*commits {
        transaction.rollback().await.unwrap();
        return HttpResponse::BadRequest().finish();
    }
    transaction.commit().await.unwrap();
    locals.set_session(session);
    HttpResponse::NoContent().finish()
}

#[get("/settings")]
#[require_user(recent = "10m")]
async fn settings() -> &'static str {
    "settings"
}

/// An app with two sessions of account 1, whose logins are no recent ones.
async fn with_two_sessions() -> (Fixture, web::Data<Database>, Session, Session) {
    let mut fixture = Fixture::new().await;
    // The transaction must be on the store itself, and not on one around it.
    let builder = Auth::builder(fixture.store.inner.clone()).clock(fixture.clock.clone());
    fixture.auth = builder.build().unwrap();
    let there = fixture.session(1).await;
    let here = fixture.auth.create_session(&Account::of(1)).await.unwrap();
    fixture.clock.advance(11 * MINUTE);
    let database = Database { pool: fixture.pool().clone(), gate: Gate::default() };
    (fixture, web::Data::new(database), here, there)
}

#[actix_web::test]
async fn a_committed_change_of_password_takes_full_effect() {
    let (fixture, database, here, there) = with_two_sessions().await;
    let app = app!(fixture; database, change_password, me, settings);
    database.gate.open();
    let reply = send!(app, support::post("/password/true").insert_header(cookie(&here)));
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_ne!(reply.session_cookie(), here.token().expose_secret());
    for dead in [cookie(&here), cookie(&there)] {
        let status = send!(app, support::get("/me").insert_header(dead)).status;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let read = send!(app, support::get("/me").insert_header(as_set(&reply)));
    assert_eq!(read.body, "changed");
    let recent = send!(app, support::get("/settings").insert_header(as_set(&reply)));
    assert_eq!(recent.body, "settings");
    assert_eq!(fixture.rows().await, 1);
}

#[actix_web::test]
async fn a_change_of_password_that_is_rolled_back_has_no_effect() {
    let (fixture, database, here, there) = with_two_sessions().await;
    let app = app!(fixture; database, change_password, me, settings);
    database.gate.open();
    let reply = send!(app, support::post("/password/false").insert_header(cookie(&here)));
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::BAD_REQUEST, true));
    for session in [&here, &there] {
        let read = send!(app, support::get("/me").insert_header(cookie(session)));
        assert_eq!(read.body, "name-1");
        let refused = send!(app, support::get("/settings").insert_header(cookie(session)));
        assert_eq!(refused.body, problem(401, "reauthenticate", "Logged in too long ago"));
    }
}

#[actix_web::test]
async fn a_session_that_was_ended_or_changed_meanwhile_gets_no_token() {
    for is_ended in [true, false] {
        let (fixture, database, here, there) = with_two_sessions().await;
        let app = app!(fixture; database, change_password, me);
        let change =
            async { send!(app, support::post("/password/true").insert_header(cookie(&here))) };
        let meanwhile = async {
            if is_ended {
                fixture.auth.invalidate_session(here.id()).await.unwrap();
            } else {
                fixture.auth.reauthenticate(&here).await.unwrap().unwrap();
            }
        };
        let (reply, ()) = database.gate.while_paused(change, meanwhile).await;
        assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::CONFLICT, true));
        let read = send!(app, support::get("/me").insert_header(cookie(&there)));
        assert_eq!(read.body, "name-1", "it was rolled back");
    }
}

#[actix_web::test]
async fn a_session_set_before_a_rollback_leaves_the_browser_its_cookie() {
    #[post("/set-too-early")]
    #[require_user]
    async fn set_too_early(
        session: Session,
        locals: Locals,
        auth: Auth<Account>,
        database: web::Data<Database>,
    ) -> &'static str {
        let mut transaction = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let mut within = auth.within(&mut transaction).unwrap();
        locals.set_session(within.reauthenticate(&session).await.unwrap().unwrap());
        transaction.rollback().await.unwrap();
        ""
    }
    let (fixture, database, here, _) = with_two_sessions().await;
    let app = app!(fixture; database, set_too_early, me);
    let reply = send!(app, support::post("/set-too-early").insert_header(cookie(&here)));
    assert!(reply.sets_no_cookie());
    let read = send!(app, support::get("/me").insert_header(cookie(&here)));
    assert_eq!(read.body, "name-1");
}

#[actix_web::test]
async fn an_end_within_a_transaction_is_reported_within_a_minute() {
    let (fixture, _, here, there) = with_two_sessions().await;
    let wait = rt::spawn(there.ended());
    let mut transaction = fixture.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut within = fixture.auth.within(&mut transaction).unwrap();
    within.invalidate_other_sessions(&here).await.unwrap();
    transaction.commit().await.unwrap();
    fixture.clock.advance(MINUTE);
    wait.await.unwrap();
}
