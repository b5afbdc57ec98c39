//! Logging in and out, and the list of one's own sessions.

use actix_web::{Responder, get, http::StatusCode, post, web};
use locals::{Error, Locals, Session, SessionId, User, require_user, with_session};

use crate::{
    app,
    routes::{end_session, logout_everywhere, logout_others, sessions},
    send,
    support::{self, Account, DAY, Fixture, as_set, cookie},
};

#[post("/login/{id}")]
#[with_session]
async fn login(id: web::Path<i64>, locals: Locals) -> Result<impl Responder, Error> {
    let session = locals.log_in(&Account { id: *id, name: String::new() }).await?;
    let read = locals.get_session().await?;
    assert_eq!(read.map(|read| read.id()), Some(session.id()));
    Ok(web::Redirect::to("/").see_other())
}

#[post("/login-twice")]
#[with_session]
async fn login_twice(locals: Locals) -> Result<&'static str, Error> {
    for id in [1, 2] {
        locals.log_in(&Account { id, name: String::new() }).await?;
    }
    Ok("")
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    assert!(locals.get_session().await?.is_none());
    Ok(web::Redirect::to("/").see_other())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, _session: Session) -> String {
    user.name.clone()
}

#[actix_web::test]
async fn logging_in_ends_the_presented_session_and_gives_another_token() {
    let fixture = Fixture::new().await;
    let first = fixture.session(1).await;
    fixture.account(2).await;
    let app = app!(fixture, login, me);
    let reply = send!(app, support::post("/login/2").insert_header(cookie(&first)));
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_ne!(reply.session_cookie(), first.token().expose_secret());
    assert_eq!(fixture.rows().await, 1);

    let old = send!(app, support::get("/me").insert_header(cookie(&first)));
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    let new = send!(app, support::get("/me").insert_header(as_set(&reply)));
    assert_eq!((new.status, new.body.as_str()), (StatusCode::OK, "name-2"));
}

#[actix_web::test]
async fn a_token_that_the_server_did_not_issue_is_never_adopted() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login, me);
    let chosen = ("Cookie", format!("__Host-session={}", "a".repeat(64)));
    let reply = send!(app, support::post("/login/1").insert_header(chosen.clone()));
    assert_ne!(reply.session_cookie(), "a".repeat(64));
    let refused = send!(app, support::get("/me").insert_header(chosen));
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn logging_in_with_the_id_of_another_session_and_no_secret_ends_nothing() {
    let fixture = Fixture::new().await;
    let victim = fixture.session(1).await;
    fixture.account(2).await;
    let app = app!(fixture, login, logout, me);
    let forged =
        format!("__Host-session={}{}", &victim.token().expose_secret()[..24], "A".repeat(40));
    for path in ["/login/2", "/logout"] {
        send!(app, support::post(path).insert_header(("Cookie", forged.clone())));
    }
    let reply = send!(app, support::get("/me").insert_header(cookie(&victim)));
    assert_eq!(reply.status, StatusCode::OK);
}

#[actix_web::test]
async fn logging_in_twice_in_one_request_leaves_the_second_session_alone() {
    let fixture = Fixture::new().await;
    let presented = fixture.session(1).await;
    fixture.account(2).await;
    let app = app!(fixture, login_twice, me);
    let reply = send!(app, support::post("/login-twice").insert_header(cookie(&presented)));
    assert_eq!(fixture.rows().await, 1);
    let shown = send!(app, support::get("/me").insert_header(as_set(&reply)));
    assert_eq!(shown.body, "name-2");
}

#[actix_web::test]
async fn logging_out_has_ended_the_session_before_it_answers() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, logout, me);
    let reply = send!(app, support::post("/logout").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert!(reply.removes_the_cookie());
    assert_eq!(fixture.rows().await, 0);
    let replay = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_eq!(replay.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn logging_out_an_idle_session_renews_nothing() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, logout);
    let reply = send!(app, support::post("/logout").insert_header(cookie(&session)));
    assert!(reply.removes_the_cookie());
    assert_eq!((fixture.store.writes(), fixture.store.renewals()), (1, 0));
}

#[actix_web::test]
async fn requests_and_logouts_without_a_session_leave_no_row_and_set_no_cookie() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, logout, logout_everywhere, sessions);
    for _ in 0..100 {
        for request in [
            support::post("/logout"),
            support::post("/logout-everywhere"),
            support::get("/sessions"),
        ] {
            assert!(send!(app, request).sets_no_cookie());
        }
    }
    assert_eq!((fixture.rows().await, fixture.store.calls()), (0, 0));
}

#[actix_web::test]
async fn logging_out_everywhere_or_elsewhere_ends_no_session_of_another_user() {
    let fixture = Fixture::new().await;
    let (ada, bob) = (fixture.account(1).await, fixture.session(2).await);
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(fixture.auth.create_session(&ada).await.unwrap());
    }
    let app = app!(fixture, logout_others, logout_everywhere, me);

    let reply = send!(app, support::post("/logout-others").insert_header(cookie(&own[2])));
    assert_eq!(reply.body, "4");
    for session in &own {
        let status = send!(app, support::get("/me").insert_header(cookie(session))).status;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "the old token of the one kept is dead too");
    }
    let kept = as_set(&reply);
    let status = send!(app, support::get("/me").insert_header(kept.clone())).status;
    assert_eq!(status, StatusCode::OK);

    fixture.auth.create_session(&ada).await.unwrap();
    let reply = send!(app, support::post("/logout-everywhere").insert_header(kept));
    assert_eq!(reply.body, "2");
    assert!(reply.removes_the_cookie());
    let bobs = send!(app, support::get("/me").insert_header(cookie(&bob)));
    assert_eq!(bobs.body, "name-2");
}

#[actix_web::test]
async fn the_list_shows_the_users_own_sessions_newest_first_without_token_or_hash() {
    let fixture = Fixture::new().await;
    let ada = fixture.account(1).await;
    fixture.session(2).await;
    let app = app!(fixture, login, sessions);
    let request = support::post("/login/1")
        .insert_header(("User-Agent", "Browser \u{e9} 1.0"))
        .peer_addr("192.0.2.7:4000".parse().unwrap());
    let first = send!(app, request);
    fixture.clock.advance(2 * DAY);
    let second = fixture.auth.create_session(&ada).await.unwrap();

    let reply = send!(app, support::get("/sessions").insert_header(cookie(&second)));
    let list: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["id"], second.id().to_string());
    assert_eq!((&list[0]["is_current"], &list[0]["state"]), (&true.into(), &"active".into()));
    assert_eq!((&list[1]["is_current"], &list[1]["state"]), (&false.into(), &"idle".into()));
    assert_eq!(list[1]["user_agent"], "Browser \u{e9} 1.0");
    assert_eq!(list[1]["address"], "192.0.2.7");
    assert_eq!(list[0]["created_at"], fixture.now().as_millis());
    for token in [first.session_cookie(), second.token().expose_secret()] {
        assert!(!reply.body.contains(&token[22..]));
    }
    assert!(!list[0].as_object().unwrap().keys().any(|key| key.contains("secret")));
}

#[actix_web::test]
async fn an_expired_session_is_not_listed() {
    let fixture = Fixture::new().await;
    let ada = fixture.account(1).await;
    fixture.auth.create_session(&ada).await.unwrap();
    fixture.clock.advance(15 * DAY);
    let open = fixture.auth.create_session(&ada).await.unwrap();
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list.iter().map(|info| info.id).collect::<Vec<_>>(), [open.id()]);
}

#[actix_web::test]
async fn a_user_can_end_their_own_sessions_and_no_others() {
    let fixture = Fixture::new().await;
    let ada = fixture.account(1).await;
    let bob = fixture.session(2).await;
    let here = fixture.auth.create_session(&ada).await.unwrap();
    let there = fixture.auth.create_session(&ada).await.unwrap();
    let app = app!(fixture, end_session, me);
    let end = |id: SessionId| {
        actix_web::test::TestRequest::delete()
            .uri(&format!("/sessions/{id}"))
            .insert_header(cookie(&here))
    };

    assert_eq!(send!(app, end(bob.id())).status, StatusCode::NOT_FOUND);
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&bob))).body, "name-2");

    let reply = send!(app, end(there.id()));
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert!(reply.sets_no_cookie());
    assert_eq!(send!(app, end(there.id())).status, StatusCode::NOT_FOUND);

    let reply = send!(app, end(here.id()));
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert!(reply.removes_the_cookie());
    assert_eq!(fixture.rows().await, 1);
}

#[actix_web::test]
async fn a_user_agent_is_truncated_to_255_characters() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let long = "\u{e9}".repeat(1_000);
    send!(app, support::post("/login/1").insert_header(("User-Agent", long.as_str())));
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list[0].user_agent.as_ref().unwrap().chars().count(), 255);
}
