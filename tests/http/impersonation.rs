//! Impersonation: who the user and the actor are, what is refused, and every way it ends.

use actix_web::{Responder, get, http::StatusCode, post, web};
use locals::{Error, Locals, Recent, Session, User, Verified, require_user};
use serde_json::Value;

use crate::{
    app,
    routes::{confirm, end_by_post, login, logout, logout_everywhere},
    send,
    support::{self, Account, DAY, Fixture, Gate, MINUTE, Reply, as_set, cookie, problem},
};

#[post("/impersonate/{id}")]
#[require_user]
async fn impersonate(id: web::Path<i64>, locals: Locals) -> Result<String, Error> {
    let session = locals.impersonate(&Account::of(*id)).await?;
    assert_eq!(locals.get_session().await?.unwrap().id(), session.id());
    Ok(session.id().to_string())
}

#[post("/stop")]
#[require_user]
async fn stop(locals: Locals) -> Result<String, Error> {
    let own = locals.stop_impersonating().await?;
    Ok(own.map_or("nobody".to_owned(), |own| format!("{} {:?}", own.user_id(), own.actor())))
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, session: Session) -> String {
    let by = session.actor().map_or("themselves".to_owned(), ToString::to_string);
    format!("{} by {by}", user.name)
}

/// The same, read by the session alone.
#[get("/actor")]
#[require_user]
async fn actor(session: Session) -> String {
    session.actor().map_or("themselves".to_owned(), ToString::to_string)
}

#[get("/sessions")]
#[require_user]
async fn sessions(locals: Locals) -> Result<impl Responder, Error> {
    Ok(web::Json(locals.sessions().await?))
}

/// For another client, which keeps its token itself.
#[post("/token/{id}")]
#[require_user]
async fn issue_token(id: web::Path<i64>, locals: Locals) -> Result<String, Error> {
    Ok(locals.create_session(&Account::of(*id)).await?.user_id().to_string())
}

#[get("/settings")]
#[require_user(recent = "10m")]
async fn settings() -> &'static str {
    "settings"
}

#[get("/vault")]
#[require_user]
async fn vault(_recent: Verified<Account, Recent<10>>) -> &'static str {
    "vault"
}

/// The admin is account 9, the user account 1.
async fn admin_and_user() -> (Fixture, Session) {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let admin = fixture.session(9).await;
    (fixture, admin)
}

macro_rules! acting_as_1 {
    ($app:expr, $admin:expr) => {{
        let request = support::post("/impersonate/1").insert_header(cookie(&$admin));
        let reply = send!($app, request);
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply
    }};
}

macro_rules! status {
    ($app:expr, $presented:expr) => {
        send!($app, support::get("/me").insert_header($presented)).status.as_u16()
    };
}

#[actix_web::test]
async fn staff_impersonate_a_user_and_the_actor_is_visible() {
    let (fixture, admin) = admin_and_user().await;
    let users_own = fixture.auth.create_session(&Account::of(1)).await.unwrap();
    let app = app!(fixture, impersonate, me, sessions);
    let acting = acting_as_1!(app, admin);
    let shown = send!(app, support::get("/me").insert_header(as_set(&acting)));
    assert_eq!(shown.body, "name-1 by 9");
    let shown = send!(app, support::get("/me").insert_header(cookie(&users_own)));
    assert_eq!(shown.body, "name-1 by themselves");

    // The user sees it, too.
    let list = send!(app, support::get("/sessions").insert_header(cookie(&users_own))).body;
    let list: Value = serde_json::from_str(&list).unwrap();
    let actors: Vec<_> = list.as_array().unwrap().iter().map(|entry| &entry["actor"]).collect();
    assert_eq!(actors.len(), 2);
    assert!(actors.contains(&&Value::Null) && actors.contains(&&Value::from(9)), "{list}");
}

#[actix_web::test]
async fn an_impersonation_creates_no_token_that_outlives_it() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, impersonate, issue_token);
    let acting = acting_as_1!(app, admin);
    for (id, session, status) in [
        (1, as_set(&acting), StatusCode::FORBIDDEN),
        // An app may lead from one account to another without asking for a password.
        (9, as_set(&acting), StatusCode::FORBIDDEN),
        (9, cookie(&admin), StatusCode::OK),
    ] {
        let request = support::post(&format!("/token/{id}")).insert_header(session);
        assert_eq!(send!(app, request).status, status, "{id}");
    }
    assert_eq!(fixture.auth.user_sessions(1).await.unwrap().len(), 1, "that of the staff");
}

#[actix_web::test]
async fn the_cookie_is_not_persistent_and_the_session_expires_with_that_of_the_actor() {
    let (fixture, admin) = admin_and_user().await;
    fixture.clock.advance(DAY / 2);
    let app = app!(fixture, impersonate, me);
    let reply = acting_as_1!(app, admin);
    assert!(!reply.set_cookies()[0].contains("Max-Age"));
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert!(!list[0].is_persistent);
    assert_eq!(list[0].absolute_expires_at, admin.idle_expires_at());
    assert_eq!(list[0].idle_expires_at, admin.idle_expires_at());

    // It is renewed by its use, and not beyond.
    fixture.clock.advance(2 * DAY);
    let renewed = send!(app, support::get("/me").insert_header(as_set(&reply)));
    assert_eq!(renewed.session_cookie(), reply.session_cookie());
    assert!(!renewed.set_cookies()[0].contains("Max-Age"));
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list[0].idle_expires_at, admin.idle_expires_at());
    fixture.clock.set(admin.idle_expires_at());
    assert_eq!(status!(app, as_set(&reply)), 401);
}

#[actix_web::test]
async fn an_idle_actor_is_renewed_first() {
    let (fixture, admin) = admin_and_user().await;
    fixture.clock.advance(14 * DAY);
    let app = app!(fixture, impersonate, me);
    let reply = acting_as_1!(app, admin);
    let end = fixture.now() + 15 * DAY;
    assert_eq!(fixture.row(&admin).await.unwrap().idle_expires_at, end);
    fixture.clock.advance(2 * DAY);
    assert_eq!(status!(app, as_set(&reply)), 200);
}

#[actix_web::test]
async fn an_impersonation_is_never_a_recent_login() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, impersonate, settings, vault, confirm);
    let acting = as_set(&acting_as_1!(app, admin));
    for request in [support::get("/settings"), support::get("/vault")] {
        let reply = send!(app, request.insert_header(acting.clone()));
        assert_eq!(reply.body, problem(403, "forbidden", "Not allowed"), "no password helps");
    }
    let proof = send!(app, support::post("/confirm").insert_header(acting));
    assert!(proof.body.contains("impersonating"), "{proof:?}");
    let reply = send!(app, support::get("/settings").insert_header(cookie(&admin)));
    assert_eq!(reply.body, "settings", "to the admin they are open");
}

#[actix_web::test]
async fn stopping_returns_to_the_actor_with_a_new_token_and_the_old_ones_open_nothing() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, impersonate, stop, me, settings);
    let acting = acting_as_1!(app, admin);
    fixture.clock.advance(11 * MINUTE);
    let stopped = send!(app, support::post("/stop").insert_header(as_set(&acting)));
    assert_eq!(stopped.body, "9 None");
    assert_ne!(stopped.session_cookie(), admin.token().expose_secret());
    assert!(stopped.set_cookies()[0].contains("Max-Age"), "as it was remembered before");
    assert_eq!(status!(app, cookie(&admin)), 401);
    assert_eq!(status!(app, as_set(&acting)), 401);
    let back = send!(app, support::get("/me").insert_header(as_set(&stopped)));
    assert_eq!(back.body, "name-9 by themselves");
    assert_eq!(fixture.row(&admin).await.unwrap().id, admin.id(), "it is the same session");
    assert_eq!(fixture.rows().await, 1);
    let reply = send!(app, support::get("/settings").insert_header(as_set(&stopped)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "nothing was proved by it");
}

#[post("/paused-then-stop")]
#[require_user]
async fn paused_then_stop(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
    // The session is read before a body that may be long in coming.
    assert!(locals.get_session().await?.is_some());
    gate.pass().await;
    let own = locals.stop_impersonating().await?;
    Ok(own.map_or("nobody".to_owned(), |own| own.user_id().to_string()))
}

#[actix_web::test]
async fn the_token_of_an_ended_impersonation_opens_nothing() {
    for how in ["/stop", "/logout"] {
        let (fixture, admin) = admin_and_user().await;
        let gate = web::Data::new(Gate::default());
        let app = app!(fixture; gate, impersonate, paused_then_stop, stop, logout, confirm, me);
        let acting = as_set(&acting_as_1!(app, admin));
        let late =
            async { send!(app, support::post("/paused-then-stop").insert_header(acting.clone())) };
        let meanwhile = async {
            let over = send!(app, support::post(how).insert_header(acting.clone()));
            assert_eq!(over.status, StatusCode::OK);
            let mut proved = None;
            if how == "/stop" {
                let confirming = support::post("/confirm").insert_header(as_set(&over));
                proved = Some(as_set(&send!(app, confirming)));
            }
            proved
        };
        let (late, proved) = gate.while_paused(late, meanwhile).await;
        assert_eq!(late.body, "nobody", "{how}");
        assert!(late.removes_the_cookie(), "{how}");
        if let Some(proved) = proved {
            assert_eq!(status!(app, proved), 200, "the member of staff stays logged in");
        }
    }
}

#[actix_web::test]
async fn a_fault_while_stopping_changes_nothing_for_the_browser() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, impersonate, stop, me);
    let acting = acting_as_1!(app, admin);
    fixture.store.fail_writes(true);
    let failed = send!(app, support::post("/stop").insert_header(as_set(&acting)));
    fixture.store.fail_writes(false);
    assert_eq!((failed.status, failed.sets_no_cookie()), (StatusCode::SERVICE_UNAVAILABLE, true));
    assert_eq!(status!(app, as_set(&acting)), 200);
    let stopped = send!(app, support::post("/stop").insert_header(as_set(&acting)));
    assert_eq!(stopped.body, "9 None");
}

#[actix_web::test]
async fn stopping_without_an_impersonation_does_nothing() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, stop);
    let reply = send!(app, support::post("/stop").insert_header(cookie(&admin)));
    assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("9 None", true));
    assert_eq!(fixture.store.writes(), 0);
}

#[actix_web::test]
async fn an_impersonation_ends_immediately_with_the_session_of_the_actor() {
    for how in ["ended", "all ended", "logged in again", "expired", "deleted", "proved"] {
        let (fixture, admin) = admin_and_user().await;
        let app = app!(fixture, impersonate, me, actor, stop, login, confirm);
        let acting = acting_as_1!(app, admin);
        assert_eq!(status!(app, as_set(&acting)), 200);
        match how {
            "ended" => fixture.auth.invalidate_session(admin.id()).await.unwrap(),
            "all ended" => {
                fixture.auth.invalidate_user_sessions(9).await.unwrap();
            }
            "logged in again" => {
                send!(app, support::post("/login/9").insert_header(cookie(&admin)));
            }
            // As an operator would, while the acting session has time left.
            "expired" => {
                let sql = "UPDATE user_sessions SET idle_expires_at = ?, active_expires_at = ?
                    WHERE user_id = 9";
                let now = fixture.now().as_millis();
                sqlx::query(sql).bind(now).bind(now).execute(fixture.pool()).await.unwrap();
            }
            "deleted" => {
                let sql = "DELETE FROM accounts WHERE id = 9";
                sqlx::query(sql).execute(fixture.pool()).await.unwrap();
            }
            _ => {
                // Only the token is another one: the session lives.
                send!(app, support::post("/confirm").insert_header(cookie(&admin)));
                assert_eq!(status!(app, as_set(&acting)), 200);
                continue;
            }
        }
        for path in ["/me", "/actor"] {
            let reply = send!(app, support::get(path).insert_header(as_set(&acting)));
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{how}: {path}");
        }
        let reply = send!(app, support::post("/stop").insert_header(as_set(&acting)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{how}");
        assert!(fixture.auth.user_sessions(1).await.unwrap().is_empty(), "{how}: not listed");
        let token = acting.session_cookie();
        assert!(fixture.auth.validate_session(token).await.unwrap().is_none(), "{how}");
    }
}

#[actix_web::test]
async fn the_user_can_end_an_impersonation_from_their_own_list() {
    let (fixture, admin) = admin_and_user().await;
    let users_own = fixture.auth.create_session(&Account::of(1)).await.unwrap();
    let app = app!(fixture, impersonate, me, end_by_post);
    let acting = acting_as_1!(app, admin);
    let path = format!("/end/{}", acting.body);
    let reply = send!(app, support::post(&path).insert_header(cookie(&users_own)));
    assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("true", true));
    assert_eq!(status!(app, as_set(&acting)), 401);
    assert_eq!(status!(app, cookie(&admin)), 200, "the admin's own lives");
}

#[actix_web::test]
async fn impersonations_cannot_be_nested() {
    let (fixture, admin) = admin_and_user().await;
    fixture.account(2).await;
    let app = app!(fixture, impersonate, me);
    let acting = acting_as_1!(app, admin);
    let nested = send!(app, support::post("/impersonate/2").insert_header(as_set(&acting)));
    let refused = problem(403, "impersonating", "Not allowed while impersonating");
    assert_eq!(nested.body, refused);
    assert!(nested.sets_no_cookie());
    assert_eq!(fixture.rows().await, 2);
    let stranger = send!(app, support::post("/impersonate/2"));
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn logging_out_while_impersonating_ends_both_sessions() {
    for how in ["/logout", "/logout-everywhere", "/end/current"] {
        let (fixture, admin) = admin_and_user().await;
        let app = app!(fixture, impersonate, me, logout, logout_everywhere, end_by_post);
        let acting = acting_as_1!(app, admin);
        let path = how.replace("current", &acting.body);
        let reply = send!(app, support::post(&path).insert_header(as_set(&acting)));
        assert_eq!(reply.status, StatusCode::OK, "{how}");
        assert_eq!(status!(app, as_set(&acting)), 401, "{how}");
        assert_eq!(status!(app, cookie(&admin)), 401, "{how}");
        assert!(reply.removes_the_cookie(), "{how}");
        assert_eq!(fixture.rows().await, 0, "{how}");
    }
}

#[actix_web::test]
async fn an_impersonation_costs_one_query_more_and_other_requests_none() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, impersonate, me, actor);
    let acting = acting_as_1!(app, admin);
    let reads = |reply: Reply| {
        assert_eq!(reply.status, StatusCode::OK);
        let reads = fixture.store.reads();
        assert_eq!(fixture.store.writes(), 0);
        fixture.store.forget();
        reads
    };
    fixture.store.forget();
    for path in ["/me", "/actor"] {
        let own = reads(send!(app, support::get(path).insert_header(cookie(&admin))));
        let others = reads(send!(app, support::get(path).insert_header(as_set(&acting))));
        assert_eq!((own, others), (1, 2), "{path}");
    }
}

#[actix_web::test]
async fn a_fault_while_reading_the_actor_is_a_fault_and_no_logout() {
    let (fixture, admin) = admin_and_user().await;
    let app = app!(fixture, impersonate, me);
    let acting = acting_as_1!(app, admin);
    fixture.store.fail_reads(true);
    let reply = send!(app, support::get("/me").insert_header(as_set(&acting)));
    fixture.store.fail_reads(false);
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::SERVICE_UNAVAILABLE, true));
    assert_eq!(status!(app, as_set(&acting)), 200);
}

#[actix_web::test]
async fn an_impersonation_does_not_count_toward_the_session_limit() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(1)).await;
    let users_own = fixture.session(1).await;
    let admin = fixture.session(9).await;
    let app = app!(fixture, impersonate, me, login);
    let acting = acting_as_1!(app, admin);
    assert_eq!(status!(app, cookie(&users_own)), 200, "it ends none of theirs");
    let again = send!(app, support::post("/login/1"));
    assert_eq!(status!(app, as_set(&again)), 200);
    assert_eq!(status!(app, cookie(&users_own)), 401);
    assert_eq!(status!(app, as_set(&acting)), 200, "nor does one of theirs end it");
}
