//! A fault of the store is never "not logged in", and logs nobody out.

use actix_web::{get, http::StatusCode};
use locals::{
    Error, Locals, Session, SessionId, SessionRecord, User, require_user,
    store::{Ends, SessionStore},
    with_session,
};

use crate::{
    app,
    routes::{login, logout},
    send,
    support::{self, Account, DAY, FAULT, Fixture, Reply, cookie},
};

#[get("/public")]
#[with_session]
async fn public(user: Option<User<Account>>) -> String {
    assert!(user.is_none(), "the handler must not run");
    "ran".to_owned()
}

#[get("/me")]
#[require_user]
async fn me(_user: User<Account>) -> &'static str {
    "me"
}

#[get("/session")]
#[require_user]
async fn show_session(_session: Session) -> &'static str {
    "session"
}

#[get("/dynamic")]
#[with_session]
async fn dynamic(locals: Locals) -> Result<&'static str, Error> {
    locals.get_session().await?;
    Ok("dynamic")
}

fn is_unavailable(reply: &Reply) -> bool {
    assert!(!reply.body.contains(FAULT), "{}", reply.body);
    assert_eq!(reply.body, support::problem(503, "unavailable", "Temporarily unavailable"));
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    reply.status == StatusCode::SERVICE_UNAVAILABLE
        && reply.header("Retry-After") == Some("1")
        && reply.sets_no_cookie()
}

#[actix_web::test]
async fn a_fault_while_reading_is_503_without_a_cookie_and_the_handler_has_not_run() {
    let fixture = Fixture::new().await;
    let held = fixture.session(1).await;
    let app = app!(fixture, public, me, show_session, dynamic);
    fixture.store.fail(true);
    for path in ["/public", "/me", "/session", "/dynamic"] {
        let reply = send!(app, support::get(path).insert_header(cookie(&held)));
        assert!(is_unavailable(&reply), "{path}: {reply:?}");
    }
    fixture.store.fail(false);
    let reply = send!(app, support::get("/me").insert_header(cookie(&held)));
    assert_eq!(reply.body, "me", "the same cookie works when the store is back");
}

#[actix_web::test]
async fn requests_without_a_cookie_are_served_while_the_store_is_down() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, public, me);
    fixture.store.fail(true);
    assert_eq!(send!(app, support::get("/public")).body, "ran");
    assert_eq!(send!(app, support::get("/me")).status, StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.store.calls(), 0);
}

#[actix_web::test]
async fn a_session_that_cannot_be_renewed_is_served_as_valid_and_keeps_its_cookie() {
    let fixture = Fixture::new().await;
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    fixture.store.fail_writes(true);
    let app = app!(fixture, me);
    let reply = send!(app, support::get("/me").insert_header(cookie(&idle)));
    assert_eq!(reply.body, "me");
    assert!(reply.sets_no_cookie());

    fixture.store.fail_writes(false);
    let reply = send!(app, support::get("/me").insert_header(cookie(&idle)));
    assert_eq!(reply.session_cookie(), idle.token().expose_secret());
}

#[actix_web::test]
async fn logging_out_while_the_store_is_down_is_an_error() {
    let fixture = Fixture::new().await;
    let held = fixture.session(1).await;
    let app = app!(fixture, logout, me);
    for (reads, writes) in [(true, true), (false, true)] {
        fixture.store.fail_reads(reads);
        fixture.store.fail_writes(writes);
        let reply = send!(app, support::post("/logout").insert_header(cookie(&held)));
        assert!(is_unavailable(&reply), "{reply:?}");
    }
    fixture.store.fail(false);
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&held))).body, "me");
    let reply = send!(app, support::post("/logout").insert_header(cookie(&held)));
    assert!(reply.removes_the_cookie(), "the kept cookie lets it be tried again");
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn logging_in_while_the_store_is_down_changes_nothing() {
    let fixture = Fixture::new().await;
    let held = fixture.session(1).await;
    let app = app!(fixture, login, me);
    fixture.store.fail_writes(true);
    let reply = send!(app, support::post("/login/1").insert_header(cookie(&held)));
    assert!(is_unavailable(&reply), "{reply:?}");
    fixture.store.fail_writes(false);
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&held))).body, "me");
}

#[actix_web::test]
async fn a_login_that_fails_half_way_leaves_no_session_behind() {
    let fixture = Fixture::new().await;
    let held = fixture.session(1).await;
    let app = app!(fixture, login, me);
    fixture.store.fail_reads(true);
    let reply = send!(app, support::post("/login/1").insert_header(cookie(&held)));
    assert!(is_unavailable(&reply), "{reply:?}");
    fixture.store.fail_reads(false);
    assert_eq!(fixture.rows().await, 1);
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&held))).body, "me");
}

#[actix_web::test]
async fn a_colliding_id_fails_the_login_and_touches_no_other_session() {
    let fixture = Fixture::new().await;
    let held = fixture.session(1).await;
    let app = app!(fixture, login, me);
    fixture.store.collide();
    assert!(is_unavailable(&send!(app, support::post("/login/1"))));
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&held))).body, "me");
    assert_eq!(fixture.rows().await, 1);
}

#[actix_web::test]
async fn an_unreadable_row_is_no_session_and_affects_no_other() {
    let fixture = Fixture::new().await;
    let broken = fixture.session(1).await;
    let whole = fixture.session(2).await;
    sqlx::query("UPDATE user_sessions SET secret_hash = x'00' WHERE user_id = 1")
        .execute(fixture.pool())
        .await
        .unwrap();
    let app = app!(fixture, me);
    let reply = send!(app, support::get("/me").insert_header(cookie(&broken)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(reply.sets_no_cookie(), "the row may be mended");
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&whole))).body, "me");
}

#[actix_web::test]
async fn an_unreadable_row_hides_no_other_session_of_its_user() {
    let fixture = Fixture::new().await;
    let (whole, staff) = (fixture.session(1).await, fixture.session(9).await);
    let broken = fixture.auth.create_session(&Account::of(1)).await.unwrap();
    let mut acting: SessionRecord = fixture.row(&whole).await.unwrap();
    acting.id = SessionId::from_bytes([7; 16]);
    acting.actor_session = Some(staff.id());
    fixture.store.inner.create(&acting, Ends::default()).await.unwrap();
    assert_eq!(fixture.auth.user_sessions(1).await.unwrap().len(), 3);
    for id in [broken.id(), staff.id()] {
        let spoil = sqlx::query("UPDATE user_sessions SET secret_hash = x'00' WHERE id = ?");
        spoil.bind(&id.as_bytes()[..]).execute(fixture.pool()).await.unwrap();
    }
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list.iter().map(|info| info.id).collect::<Vec<_>>(), [whole.id()]);
}

#[actix_web::test]
async fn a_user_whose_row_does_not_fit_their_type_is_not_logged_in_and_all_others_are() {
    let fixture = Fixture::new().await;
    let (broken, other) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, me);
    let spoil = sqlx::query("UPDATE accounts SET name = x'ff' WHERE id = 1");
    spoil.execute(fixture.pool()).await.unwrap();
    let reply = send!(app, support::get("/me").insert_header(cookie(&broken)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(reply.sets_no_cookie(), "the row may be mended");
    let reply = send!(app, support::get("/me").insert_header(cookie(&other)));
    assert_eq!(reply.status, StatusCode::OK);
}
