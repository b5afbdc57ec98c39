//! Logging in with options, proving it again, and what the browser is told to forget.

use std::{fmt::Write, time::Duration};

use actix_web::{HttpResponse, Responder, http::StatusCode, post, web};
use futures_util::future::join_all;
use locals::{
    ClearSiteData, Error, Lifetime, Locals, LogInOptions, SafeRedirect, Session, require_user,
    with_session,
};
use serde::Deserialize;

use crate::{
    app,
    routes::{end_by_post, logout, logout_everywhere, logout_others, me},
    send,
    support::{
        self, Account, DAY, Fixture, Gate, MINUTE, Reply, Spy, as_set, cookie, just_before, problem,
    },
};

#[post("/login/{id}")]
#[with_session]
async fn login(id: web::Path<i64>, locals: Locals) -> Result<impl Responder, Error> {
    locals.log_in(&Account::of(*id)).await?;
    Ok(locals.return_to())
}

#[derive(Deserialize)]
struct How {
    remember: Option<bool>,
    minutes: Option<u64>,
}

/// Signs account 1 in as the query says: remembered or not, active and idle for so many minutes.
#[post("/login-with")]
#[with_session]
async fn login_with(how: web::Query<How>, locals: Locals) -> Result<&'static str, Error> {
    let mut options = LogInOptions::new().remember(how.remember.unwrap_or(true));
    if let Some(minutes) = how.minutes.map(Duration::from_mins) {
        options = options.lifetime(Lifetime::default().active(minutes).idle(minutes));
    }
    locals.log_in_with(&Account::of(1), options).await?;
    Ok("")
}

#[derive(Deserialize)]
struct Form {
    password: String,
    next: SafeRedirect,
}

#[post("/form")]
#[with_session]
async fn login_by_form(form: web::Form<Form>, locals: Locals) -> Result<impl Responder, Error> {
    let Form { password, next } = form.into_inner();
    assert_eq!(password, "right");
    locals.log_in(&Account::of(1)).await?;
    Ok(next.or("/orders"))
}

#[post("/password")]
#[require_user(recent = "10m")]
async fn change_password() -> &'static str {
    "changed"
}

#[post("/confirm")]
#[require_user]
async fn confirm(locals: Locals) -> Result<impl Responder, Error> {
    let session = locals.reauthenticate().await?;
    assert_eq!(locals.get_session().await?.unwrap().token(), session.token());
    Ok(session.id().to_string())
}

fn secs(duration: Duration) -> i64 {
    duration.as_secs().try_into().unwrap()
}

fn clears(reply: &Reply) -> Option<&str> {
    reply.header("Clear-Site-Data")
}

// One step.

#[actix_web::test]
async fn a_login_that_is_not_stored_leaves_the_presented_session_and_its_cookie() {
    let fixture = Fixture::new().await;
    let old = fixture.session(1).await;
    fixture.account(2).await;
    let app = app!(fixture, login, me);
    let log_in = || support::post("/login/2").insert_header(cookie(&old));

    fixture.store.collide();
    let not_created = send!(app, log_in());
    let undeletable = "CREATE TRIGGER undeletable BEFORE DELETE ON user_sessions
        BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    sqlx::query(undeletable).execute(fixture.pool()).await.unwrap();
    let not_ended = send!(app, log_in());

    for reply in [not_created, not_ended] {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reply.sets_no_cookie());
    }
    assert_eq!(fixture.rows().await, 1, "the new one is not there either");
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&old))).body, "name-1");
}

#[actix_web::test]
async fn a_login_is_one_write() {
    let fixture = Fixture::new().await;
    let old = fixture.session(1).await;
    let app = app!(fixture, login);
    send!(app, support::post("/login/1").insert_header(cookie(&old)));
    assert_eq!(fixture.store.writes(), 1);
    assert_eq!(
        fixture.store.reads(),
        3,
        "the presented session, and which the user has, before and after"
    );
    assert_eq!(fixture.rows().await, 1);
}

// Options.

#[actix_web::test]
async fn only_a_remembered_session_outlives_the_browser_also_after_its_renewal() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login_with, me);
    for remember in [true, false] {
        let reply = send!(app, support::post(&format!("/login-with?remember={remember}")));
        fixture.clock.advance(2 * DAY);
        let renewed = send!(app, support::get("/me").insert_header(as_set(&reply)));
        assert_eq!(renewed.session_cookie(), reply.session_cookie());
        for reply in [reply, renewed] {
            if remember {
                assert_eq!(reply.max_age(), secs(15 * DAY));
            } else {
                let cookie = reply.set_cookies()[0];
                assert!(!cookie.contains("Max-Age") && !cookie.contains("Expires"), "{cookie}");
            }
        }
    }
    let list = fixture.auth.user_sessions(1).await.unwrap();
    let remembered: Vec<_> = list.iter().map(|info| info.is_persistent).collect();
    assert_eq!(remembered, [false, true]);
}

#[actix_web::test]
async fn a_custom_lifetime_is_kept_by_renewals() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login_with, me);
    let start = fixture.now();
    let reply = send!(app, support::post("/login-with?minutes=10"));
    assert_eq!(reply.max_age(), secs(20 * MINUTE));
    let read = || support::get("/me").insert_header(as_set(&reply));
    fixture.clock.advance(just_before(10 * MINUTE));
    assert!(send!(app, read()).sets_no_cookie(), "it is active");
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(send!(app, read()).max_age(), secs(20 * MINUTE));
    for _ in 0..3 {
        fixture.clock.advance(15 * MINUTE);
        assert_eq!(send!(app, read()).max_age(), secs(20 * MINUTE));
    }
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list[0].idle_expires_at, fixture.now() + 20 * MINUTE);
    assert_eq!(list[0].absolute_expires_at, start + 30 * DAY);
    fixture.clock.advance(20 * MINUTE);
    assert_eq!(send!(app, read()).status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn an_impossible_lifetime_fails_the_login_and_keeps_the_old_session() {
    let fixture = Fixture::new().await;
    let old = fixture.session(1).await;
    let app = app!(fixture, login_with, me);
    let reply = send!(app, support::post("/login-with?minutes=0").insert_header(cookie(&old)));
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.body, problem(500, "internal", "Internal error"));
    assert!(reply.sets_no_cookie());
    assert_eq!((fixture.rows().await, fixture.store.writes()), (1, 0));
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&old))).body, "name-1");
}

// How many.

#[actix_web::test]
async fn a_sixth_login_with_a_limit_of_five_ends_the_oldest_session() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(5)).await;
    fixture.account(1).await;
    let bob = fixture.session(2).await;
    let app = app!(fixture, login, me);
    let mut replies = Vec::new();
    for _ in 0..6 {
        fixture.clock.advance(MINUTE);
        replies.push(send!(app, support::post("/login/1")));
    }
    for (number, reply) in replies.iter().enumerate() {
        let status = send!(app, support::get("/me").insert_header(as_set(reply))).status;
        let expected = if number == 0 { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        assert_eq!(status, expected, "{number}");
    }
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&bob))).body, "name-2");
}

#[actix_web::test]
async fn a_hundred_logins_in_a_row_leave_five_sessions_and_each_is_valid_at_first() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(5)).await;
    fixture.account(1).await;
    let app = app!(fixture, login, me);
    // All of one millisecond: which is the oldest, their time does not say.
    for _ in 0..100 {
        let reply = send!(app, support::post("/login/1"));
        let status = send!(app, support::get("/me").insert_header(as_set(&reply))).status;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(fixture.rows().await, 5);
}

#[actix_web::test]
async fn simultaneous_logins_leave_as_many_sessions_as_a_user_may_have() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(5)).await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let replies = join_all((0..20).map(|_| async { send!(app, support::post("/login/1")) })).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::SEE_OTHER));
    assert_eq!(fixture.rows().await, 5);
}

#[actix_web::test]
async fn expired_sessions_do_not_count_toward_the_limit() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(2)).await;
    fixture.account(1).await;
    let app = app!(fixture, login, login_with, me);
    let first = send!(app, support::post("/login/1"));
    fixture.clock.advance(MINUTE);
    send!(app, support::post("/login-with?minutes=1"));
    fixture.clock.advance(5 * MINUTE);
    send!(app, support::post("/login/1"));
    let reply = send!(app, support::get("/me").insert_header(as_set(&first)));
    assert_eq!(reply.status, StatusCode::OK);
}

#[actix_web::test]
async fn a_login_does_not_fail_because_the_oldest_cannot_be_ended() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(1)).await;
    fixture.session(1).await;
    let app = app!(fixture, login, me);
    fixture.store.fail_reads(true);
    let reply = send!(app, support::post("/login/1"));
    fixture.store.fail_reads(false);
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&reply))).body, "name-1");
    assert_eq!(fixture.rows().await, 2);
    send!(app, support::post("/login/1"));
    assert_eq!(fixture.rows().await, 1, "the next one makes up for it");
}

// What the browser is told to forget.

#[actix_web::test]
async fn the_browser_clears_its_cache_only_when_its_session_is_ended() {
    let fixture = Fixture::new().await;
    let ada = fixture.account(1).await;
    let app =
        app!(fixture, login, me, logout, logout_everywhere, logout_others, end_by_post, confirm);
    let new = || async { fixture.auth.create_session(&ada).await.unwrap() };

    let (here, there) = (new().await, new().await);
    for request in [
        support::get("/me"),
        support::post(&format!("/end/{}", there.id())),
        support::post(&format!("/end/{}", there.id())),
        support::post("/login/1"),
    ] {
        let reply = send!(app, request.insert_header(cookie(&here)));
        assert!(reply.status.is_success() || reply.status.is_redirection(), "{reply:?}");
        assert_eq!(clears(&reply), None, "{reply:?}");
    }
    for path in ["/logout-others", "/confirm"] {
        let reply = send!(app, support::post(path).insert_header(cookie(&new().await)));
        assert_eq!(clears(&reply), None, "{path}");
    }

    let here = new().await;
    for (path, session) in [
        ("/logout".to_owned(), new().await),
        (format!("/end/{}", here.id()), here),
        ("/logout-everywhere".to_owned(), new().await),
    ] {
        let reply = send!(app, support::post(&path).insert_header(cookie(&session)));
        assert_eq!(clears(&reply), Some("\"cache\""), "{path}");
        assert!(reply.removes_the_cookie(), "{path}");
    }
}

#[actix_web::test]
async fn logging_out_that_has_failed_clears_nothing_and_can_be_tried_again() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, logout, logout_everywhere, end_by_post);
    let paths = ["/logout", "/logout-everywhere", &format!("/end/{}", session.id())];
    fixture.store.fail_writes(true);
    for path in paths {
        let reply = send!(app, support::post(path).insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!((clears(&reply), reply.sets_no_cookie()), (None, true), "{path}");
    }
    fixture.store.fail_writes(false);
    let reply = send!(app, support::post("/logout").insert_header(cookie(&session)));
    assert!(reply.removes_the_cookie());
}

#[actix_web::test]
async fn clear_site_data_is_configurable() {
    use ClearSiteData::{Cache, Cookies, Storage};
    for (what, expected) in [
        (vec![], None),
        (vec![Storage], Some("\"storage\"")),
        (vec![Cache, Cookies, Storage], Some("\"cache\", \"cookies\", \"storage\"")),
    ] {
        let fixture = Fixture::configured(|builder| builder.clear_site_data(what)).await;
        let session = fixture.session(1).await;
        let app = app!(fixture, logout);
        let reply = send!(app, support::post("/logout").insert_header(cookie(&session)));
        assert_eq!(clears(&reply), expected);
    }
}

#[actix_web::test]
async fn no_site_data_are_cleared_for_another_site_or_by_an_immediate_login() {
    #[post("/logout-from-anywhere")]
    #[with_session(cross_origin)]
    async fn logout_from_anywhere(locals: Locals) -> Result<&'static str, Error> {
        locals.log_out().await?;
        Ok("")
    }
    #[post("/switch")]
    #[with_session]
    async fn switch(locals: Locals) -> Result<&'static str, Error> {
        locals.log_out().await?;
        locals.log_in(&Account::of(1)).await?;
        Ok("")
    }
    // With the cookies the new one would go, or a session that another site cannot end.
    let all = [ClearSiteData::Cookies];
    let fixture = Fixture::configured(|builder| builder.clear_site_data(all)).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, logout_from_anywhere, switch, me);
    let request = support::post("/logout-from-anywhere").insert_header(cookie(&session));
    let reply = send!(app, request.insert_header(("Sec-Fetch-Site", "cross-site")));
    assert_eq!((reply.status, clears(&reply)), (StatusCode::OK, None));
    assert!(reply.sets_no_cookie());

    let reply = send!(app, support::post("/switch").insert_header(cookie(&session)));
    assert_eq!(clears(&reply), None);
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&reply))).body, "name-1");
    assert_eq!(fixture.rows().await, 1);
}

// Proving it again.

#[actix_web::test]
async fn reauthenticating_gives_a_new_token_and_a_recent_login() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, change_password, confirm, me);
    fixture.clock.advance(11 * MINUTE);
    let refused = send!(app, support::post("/password").insert_header(cookie(&session)));
    assert_eq!(refused.body, problem(401, "reauthenticate", "Logged in too long ago"));

    let reply = send!(app, support::post("/confirm").insert_header(cookie(&session)));
    assert_eq!(reply.body, session.id().to_string(), "it is the same session");
    assert_ne!(reply.session_cookie(), session.token().expose_secret());
    let old = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    let changed = send!(app, support::post("/password").insert_header(as_set(&reply)));
    assert_eq!(changed.body, "changed");

    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list.iter().map(|info| info.id).collect::<Vec<_>>(), [session.id()]);
    assert_eq!(list[0].created_at, session.created_at());
    assert_eq!(list[0].authenticated_at, fixture.now());
}

#[actix_web::test]
async fn reauthenticating_an_idle_session_renews_it_too() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, confirm, me);
    let reply = send!(app, support::post("/confirm").insert_header(cookie(&session)));
    assert_eq!((reply.max_age(), fixture.store.renewals()), (secs(15 * DAY), 1));
    assert_eq!(reply.set_cookies().len(), 1);
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&reply))).body, "name-1");
}

#[post("/paused-confirm")]
#[require_user]
async fn paused_confirm(locals: Locals, gate: web::Data<Gate>) -> Result<&'static str, Error> {
    gate.pass().await;
    locals.reauthenticate().await?;
    Ok("")
}

#[post("/confirm-paused")]
#[require_user]
async fn confirm_paused(locals: Locals, gate: web::Data<Gate>) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    gate.pass().await;
    Ok("")
}

#[actix_web::test]
async fn a_logout_wins_over_a_reauthentication_in_progress() {
    let fixture = Fixture::new().await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused_confirm, confirm_paused, logout, me);
    for (id, path, age, status) in [
        (1, "/paused-confirm", MINUTE, StatusCode::UNAUTHORIZED),
        (2, "/paused-confirm", 2 * DAY, StatusCode::UNAUTHORIZED),
        (3, "/confirm-paused", MINUTE, StatusCode::OK),
        (4, "/confirm-paused", 2 * DAY, StatusCode::OK),
    ] {
        let session = fixture.session(id).await;
        fixture.clock.advance(age);
        let proof = async { send!(app, support::post(path).insert_header(cookie(&session))) };
        let ending = async {
            fixture.auth.invalidate_session(session.id()).await.unwrap();
        };
        let (reply, ()) = gate.while_paused(proof, ending).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.sets_no_cookie(), "{path}");
        assert_eq!(fixture.rows().await, 0, "{path}");
    }
}

#[post("/paused-logout-others")]
#[require_user]
async fn paused_logout_others(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
    locals.get_session().await?;
    gate.pass().await;
    Ok(locals.log_out_other_sessions().await?.to_string())
}

#[actix_web::test]
async fn two_simultaneous_logouts_elsewhere_keep_the_cookie_of_the_faster_one() {
    let fixture = Fixture::new().await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused_logout_others, logout_others, me);
    let session = fixture.session(1).await;
    let path = "/paused-logout-others";
    let slow = async { send!(app, support::post(path).insert_header(cookie(&session))) };
    let fast =
        async { send!(app, support::post("/logout-others").insert_header(cookie(&session))) };
    let (slow, fast) = gate.while_paused(slow, fast).await;
    assert_eq!(slow.status, StatusCode::OK);
    assert!(slow.sets_no_cookie(), "{slow:?}");
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&fast))).body, "name-1");
}

#[actix_web::test]
async fn a_fault_after_the_token_was_replaced_does_not_log_the_user_out() {
    #[post("/confirm-then-fault")]
    #[require_user]
    async fn confirm_then_fault(locals: Locals, spy: web::Data<Spy>) -> Result<String, Error> {
        locals.reauthenticate().await?;
        spy.fail(true);
        Ok(String::new())
    }
    let fixture = Fixture::new().await;
    let spy = web::Data::new(fixture.store.clone());
    let app = app!(fixture; spy, confirm_then_fault, me);
    for (id, age) in [(1, MINUTE), (2, 2 * DAY)] {
        let session = fixture.session(id).await;
        fixture.clock.advance(age);
        let reply =
            send!(app, support::post("/confirm-then-fault").insert_header(cookie(&session)));
        fixture.store.fail(false);
        let read = send!(app, support::get("/me").insert_header(as_set(&reply)));
        assert_eq!(read.body, format!("name-{id}"));
    }
}

#[actix_web::test]
async fn reauthenticating_without_a_session_or_while_the_store_fails_is_an_error() {
    #[post("/prove")]
    #[with_session]
    async fn prove(session: Option<Session>, locals: Locals) -> Result<HttpResponse, Error> {
        drop(session);
        locals.reauthenticate().await?;
        Ok(HttpResponse::Ok().finish())
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, prove, me);
    let reply = send!(app, support::post("/prove"));
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::UNAUTHORIZED, true));
    fixture.store.fail_writes(true);
    let reply = send!(app, support::post("/prove").insert_header(cookie(&session)));
    fixture.store.fail_writes(false);
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::SERVICE_UNAVAILABLE, true));
    assert_eq!(send!(app, support::get("/me").insert_header(cookie(&session))).body, "name-1");
}

#[actix_web::test]
async fn ending_the_other_sessions_replaces_the_token_but_is_no_authentication() {
    let fixture = Fixture::new().await;
    let ada = fixture.account(1).await;
    let [here, there] = [fixture.auth.create_session(&ada), fixture.auth.create_session(&ada)];
    let (here, there) = (here.await.unwrap(), there.await.unwrap());
    fixture.clock.advance(11 * MINUTE);
    let app = app!(fixture, logout_others, change_password, me);
    let reply = send!(app, support::post("/logout-others").insert_header(cookie(&here)));
    assert_eq!(reply.body, "1");
    assert_ne!(reply.session_cookie(), here.token().expose_secret());
    for dead in [cookie(&here), cookie(&there)] {
        let reply = send!(app, support::get("/me").insert_header(dead));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&reply))).body, "name-1");
    let refused = send!(app, support::post("/password").insert_header(as_set(&reply)));
    assert_eq!(refused.body, problem(401, "reauthenticate", "Logged in too long ago"));
}

// Where to go then.

#[actix_web::test]
async fn a_login_redirects_into_the_app_and_nowhere_else() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login, login_by_form);
    for (next, expected) in [
        ("", None),
        ("/inbox?page=2", Some("/inbox?page=2")),
        ("https://evil.example", None),
        ("//evil.example", None),
        ("/\\evil.example", None),
        ("/%2Fevil.example/..//x", None),
        ("javascript:alert(1)", None),
        ("/a\r\nLocation: //evil.example", None),
        ("\u{ff0f}/evil.example", None),
    ] {
        let mut path = "/login/1?next=".to_owned();
        for byte in next.bytes() {
            write!(path, "%{byte:02X}").unwrap();
        }
        let reply = send!(app, support::post(&path));
        assert_eq!(reply.status, StatusCode::SEE_OTHER);
        assert_eq!(reply.header("Location"), Some(expected.unwrap_or("/")), "{next:?}");
        assert_eq!(reply.session_cookie().len(), 64);

        let form = [("password", "right"), ("next", next)];
        let reply = send!(app, support::post("/form").set_form(form));
        assert_eq!(reply.status, StatusCode::SEE_OTHER);
        assert_eq!(reply.header("Location"), Some(expected.unwrap_or("/orders")), "{next:?}");
        assert_eq!(reply.session_cookie().len(), 64);
    }
    let reply = send!(app, support::post("/form").set_form([("password", "right")]));
    assert_eq!(reply.header("Location"), Some("/orders"), "a form without it leads somewhere too");
}

#[actix_web::test]
async fn a_navigation_with_a_token_that_was_just_replaced_keeps_the_cookie_of_the_new_one() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, logout_others, confirm);
    for path in ["/confirm", "/logout-others"] {
        send!(app, support::post(path).insert_header(cookie(&session)));
    }
    // Both were under way when the token changed; the browser has the new one by now.
    let navigation = support::get("/me").insert_header(("Sec-Fetch-Dest", "document"));
    let again = support::post("/logout-others");
    for request in [navigation, again] {
        let reply = send!(app, request.insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert!(reply.sets_no_cookie(), "{reply:?}");
    }
}

#[actix_web::test]
async fn logging_out_of_an_unreadable_session_is_not_reported_as_done() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, logout);
    let spoil = sqlx::query("UPDATE user_sessions SET created_at = 'x'");
    spoil.execute(fixture.pool()).await.unwrap();
    let reply = send!(app, support::post("/logout").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.sets_no_cookie());
    assert_eq!(fixture.rows().await, 1);
}
