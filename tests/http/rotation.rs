//! Tokens that are rotated by the clock, for apps that want it.

use std::time::Duration;

use actix_web::{get, http::StatusCode, post, test::TestRequest, web};
use futures_util::future::join_all;
use locals::{
    Auth, AuthBuilder, Error, Locals, LogInOptions, User, require_user, store::MemoryStore,
    with_session,
};
use tokio::sync::Barrier;

use crate::{
    app,
    routes::{confirm, logout, me},
    send,
    support::{self, Account, DAY, Fixture, Gate, TICK, as_set, cookie, just_before},
};

const ROTATION_PERIOD: Duration = Duration::from_mins(10);
const OVERLAP: Duration = Duration::from_mins(1);

fn rotating(builder: AuthBuilder<Account>) -> AuthBuilder<Account> {
    builder.rotate_every(ROTATION_PERIOD)
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in_with(&Account::of(1), LogInOptions::new().remember(false)).await?;
    Ok("")
}

#[actix_web::test]
async fn no_token_is_rotated_by_default() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(just_before(DAY));
    let app = app!(fixture, me);
    let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::OK, true));
    assert_eq!(fixture.store.writes(), 0);
}

#[actix_web::test]
async fn the_first_request_after_the_rotation_period_gets_a_new_token_and_the_old_one_overlaps() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me);
    let with_old = || support::get("/me").insert_header(cookie(&session));
    fixture.clock.advance(just_before(ROTATION_PERIOD));
    assert!(send!(app, with_old()).sets_no_cookie());

    fixture.clock.advance(TICK);
    fixture.store.forget();
    let rotated = send!(app, with_old());
    assert_ne!(rotated.session_cookie(), session.token().expose_secret());
    assert_eq!(rotated.max_age(), 15 * 24 * 60 * 60 - 10 * 60);
    assert_eq!(rotated.header("Cache-Control"), Some("no-store"));
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 1));
    let new = as_set(&rotated);
    let with_new = || support::get("/me").insert_header(new.clone());
    assert!(send!(app, with_new()).sets_no_cookie());

    for wait in [Duration::ZERO, just_before(OVERLAP)] {
        fixture.clock.advance(wait);
        let reply = send!(app, with_old());
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.session_cookie(), rotated.session_cookie());
    }
    fixture.clock.advance(TICK);
    let reply = send!(app, with_new());
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::OK, true));
    let list = fixture.auth.user_sessions(1).await.unwrap();
    assert_eq!(list.iter().map(|info| info.id).collect::<Vec<_>>(), [session.id()]);
    assert_eq!(list[0].authenticated_at, session.authenticated_at(), "nothing was proved");

    fixture.clock.advance(Duration::from_mins(9));
    let again = send!(app, with_new());
    assert_ne!(again.session_cookie(), rotated.session_cookie());
    fixture.clock.advance(OVERLAP);
    assert_eq!(send!(app, with_new()).status, StatusCode::UNAUTHORIZED);
}

/// Goes on when all have come.
#[get("/together")]
#[require_user]
async fn together(_user: User<Account>, all: web::Data<Barrier>) -> &'static str {
    all.wait().await;
    ""
}

#[actix_web::test]
async fn fifty_requests_with_the_old_token_all_succeed_and_get_one_new_token() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(ROTATION_PERIOD);
    let all = web::Data::new(Barrier::new(50));
    let app = app!(fixture; all, together);
    let requests = (0..50)
        .map(|_| async { send!(app, support::get("/together").insert_header(cookie(&session))) });
    let replies = join_all(requests).await;
    let new = replies[0].session_cookie();
    for reply in &replies {
        assert_eq!((reply.status, reply.session_cookie()), (StatusCode::OK, new));
    }
    let row = fixture.row(&session).await.unwrap();
    let new: locals::SessionToken = new.parse().unwrap();
    let old = session.token().secret_hash::<Account>();
    assert_eq!(row.secret_hash, new.secret_hash::<Account>());
    assert_eq!(row.rotation.unwrap().previous, old, "one change");
    assert_eq!(fixture.store.writes(), 50, "all tried");
}

#[get("/paused")]
#[require_user]
async fn paused(_user: User<Account>, gate: web::Data<Gate>) -> &'static str {
    gate.pass().await;
    ""
}

#[actix_web::test]
async fn a_rotation_never_restores_a_session_that_was_ended_meanwhile() {
    let fixture = Fixture::configured(rotating).await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused, me, logout);
    for (id, age, is_rotated) in
        [(1, ROTATION_PERIOD, false), (2, 2 * DAY, false), (3, ROTATION_PERIOD, true)]
    {
        let session = fixture.session(id).await;
        fixture.clock.advance(age);
        if is_rotated {
            send!(app, support::get("/me").insert_header(cookie(&session)));
        }
        let slow = async { send!(app, support::get("/paused").insert_header(cookie(&session))) };
        let ending = async {
            send!(app, support::post("/logout").insert_header(cookie(&session)));
        };
        let (reply, ()) = gate.while_paused(slow, ending).await;
        assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::OK, true), "{id}");
        assert_eq!(fixture.rows().await, 0);
    }
}

#[actix_web::test]
async fn one_request_renews_the_session_and_rotates_the_token() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, me);
    let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_eq!(reply.set_cookies().len(), 1);
    assert_ne!(reply.session_cookie(), session.token().expose_secret());
    assert_eq!(reply.max_age(), i64::try_from((15 * DAY).as_secs()).unwrap());
    assert_eq!(fixture.row(&session).await.unwrap().idle_expires_at, fixture.now() + 15 * DAY);
    for token in [as_set(&reply), cookie(&session)] {
        let reply = send!(app, support::get("/me").insert_header(token));
        assert_eq!(reply.body, "name-1");
    }
}

#[actix_web::test]
async fn a_cookie_that_is_not_persistent_stays_so_after_a_rotation() {
    let fixture = Fixture::configured(rotating).await;
    fixture.account(1).await;
    let app = app!(fixture, login, me);
    let logged_in = send!(app, support::post("/login"));
    fixture.clock.advance(ROTATION_PERIOD);
    let reply = send!(app, support::get("/me").insert_header(as_set(&logged_in)));
    assert_ne!(reply.session_cookie(), logged_in.session_cookie());
    assert!(!reply.set_cookies()[0].contains("Max-Age"));
}

#[actix_web::test]
async fn the_old_token_can_log_out_and_log_in_during_the_overlap() {
    let fixture = Fixture::configured(rotating).await;
    let app = app!(fixture, me, login, logout);
    for (id, path) in [(1, "/logout"), (2, "/login")] {
        let session = fixture.session(id).await;
        fixture.clock.advance(ROTATION_PERIOD);
        let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
        let reply = send!(app, support::post(path).insert_header(cookie(&session)));
        assert_eq!(reply.set_cookies().len(), 1);
        assert_ne!(reply.session_cookie(), rotated.session_cookie());
        let dead = send!(app, support::get("/me").insert_header(as_set(&rotated)));
        assert_eq!(dead.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(fixture.row(&session).await.is_none());
    }
}

#[actix_web::test]
async fn reauthenticating_ends_the_overlap() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(ROTATION_PERIOD);
    let app = app!(fixture, me, confirm);
    let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
    let proved = send!(app, support::post("/confirm").insert_header(cookie(&session)));
    for dead in [cookie(&session), as_set(&rotated)] {
        let reply = send!(app, support::get("/me").insert_header(dead));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let reply = send!(app, support::get("/me").insert_header(as_set(&proved)));
    assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("name-1", true));
}

#[actix_web::test]
async fn a_fault_postpones_the_rotation() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(ROTATION_PERIOD);
    let app = app!(fixture, me);
    fixture.store.fail_writes(true);
    let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("name-1", true));
    fixture.store.fail_writes(false);
    let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_ne!(reply.session_cookie(), session.token().expose_secret());
}

#[actix_web::test]
async fn the_server_api_rotates_no_token_and_accepts_both_during_the_overlap() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me);
    fixture.clock.advance(ROTATION_PERIOD);
    let token = session.token().expose_secret();
    let found = fixture.auth.validate_session(token).await.unwrap().unwrap();
    assert_eq!((found.token().expose_secret(), fixture.store.writes()), (token, 0));
    let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
    let found = fixture.auth.validate_session(token).await.unwrap().unwrap();
    assert_eq!(found.token().expose_secret(), rotated.session_cookie());
    fixture.clock.advance(OVERLAP);
    assert!(fixture.auth.validate_session(token).await.unwrap().is_none());
}

/// Presents a token that opens nothing.
async fn present(fixture: &Fixture, how: &str, token: &str) {
    let cookie = ("Cookie", format!("__Host-session={token}"));
    let bearer = ("Authorization", format!("Bearer {token}"));
    let guarded = web::scope("/in").wrap(fixture.auth.require_user()).service(me);
    let app = app!(fixture, guarded, me, login, logout);
    let status = match how {
        "cookie" => send!(app, support::get("/me").insert_header(cookie)).status,
        "bearer" => send!(app, support::get("/me").insert_header(bearer)).status,
        "guard" => send!(app, support::get("/in/me").insert_header(cookie)).status,
        "WebSocket" => {
            let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
            let request = support::get("/me").insert_header(cookie);
            let request = upgrade.into_iter().fold(request, TestRequest::insert_header);
            send!(app, request).status
        }
        "logout" => {
            assert!(
                send!(app, support::post("/logout").insert_header(cookie)).removes_the_cookie()
            );
            return;
        }
        "server" => {
            assert!(fixture.auth.validate_session(token).await.unwrap().is_none());
            return;
        }
        "server with user" => {
            assert!(fixture.auth.validate_session_user(token).await.unwrap().is_none());
            return;
        }
        how => panic!("{how}"),
    };
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{how}");
}

const PRESENTED: [&str; 7] =
    ["cookie", "bearer", "guard", "WebSocket", "logout", "server", "server with user"];

#[actix_web::test]
async fn a_token_presented_after_the_overlap_ends_its_session_however_it_is_sent() {
    for how in PRESENTED {
        let fixture = Fixture::configured(|builder| rotating(builder).bearer(true)).await;
        let session = fixture.session(1).await;
        let other = fixture.session(2).await;
        let app = app!(fixture, me);
        fixture.clock.advance(ROTATION_PERIOD);
        let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
        let new = rotated.session_cookie().to_owned();
        let holder = fixture.auth.validate_session(&new).await.unwrap().unwrap();
        let mut waiting = std::pin::pin!(holder.ended());
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());

        fixture.clock.advance(just_before(OVERLAP));
        assert!(
            fixture.auth.validate_session(session.token().expose_secret()).await.unwrap().is_some()
        );
        assert!(fixture.row(&session).await.is_some(), "within the overlap");
        fixture.clock.advance(TICK);
        present(&fixture, how, session.token().expose_secret()).await;
        assert!(fixture.row(&session).await.is_none(), "{how}");
        assert!(fixture.auth.validate_session(&new).await.unwrap().is_none(), "{how}");
        assert!(fixture.row(&other).await.is_some());
        waiting.await;
    }
}

#[actix_web::test]
async fn token_reuse_can_be_logged_only() {
    for how in PRESENTED {
        let log = |builder| rotating(builder).bearer(true).on_token_reuse(locals::TokenReuse::Log);
        let fixture = Fixture::configured(log).await;
        let session = fixture.session(1).await;
        let app = app!(fixture, me);
        fixture.clock.advance(ROTATION_PERIOD);
        let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
        fixture.clock.advance(OVERLAP);
        present(&fixture, how, session.token().expose_secret()).await;
        let reply = send!(app, support::get("/me").insert_header(as_set(&rotated)));
        assert_eq!(reply.body, "name-1", "{how}");
    }
}

#[actix_web::test]
async fn a_token_that_was_replaced_or_never_issued_ends_nothing() {
    let fixture = Fixture::configured(rotating).await;
    let app = app!(fixture, me, confirm);
    // Replaced by a re-authentication, before and after a rotation.
    let session = fixture.session(1).await;
    let proved = send!(app, support::post("/confirm").insert_header(cookie(&session)));
    fixture.clock.advance(ROTATION_PERIOD + OVERLAP);
    send!(app, support::get("/me").insert_header(cookie(&session)));
    let rotated = send!(app, support::get("/me").insert_header(as_set(&proved)));
    assert_ne!(rotated.session_cookie(), proved.session_cookie());
    let again = send!(app, support::post("/confirm").insert_header(as_set(&rotated)));
    fixture.clock.advance(OVERLAP);
    for dead in [cookie(&session), as_set(&proved), as_set(&rotated)] {
        let reply = send!(app, support::get("/me").insert_header(dead));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&again))).body, "name-1");

    // From before the last rotation but one, and one that is made up with a known id.
    let session = fixture.session(2).await;
    fixture.clock.advance(ROTATION_PERIOD);
    let first = send!(app, support::get("/me").insert_header(cookie(&session)));
    fixture.clock.advance(ROTATION_PERIOD);
    let second = send!(app, support::get("/me").insert_header(as_set(&first)));
    fixture.clock.advance(OVERLAP);
    let made_up = format!("{}{}", &session.token().expose_secret()[..22], "A".repeat(42));
    let made_up = ("Cookie", format!("__Host-session={made_up}"));
    for dead in [cookie(&session), made_up] {
        let reply = send!(app, support::get("/me").insert_header(dead));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&second))).body, "name-2");
}

#[actix_web::test]
async fn a_slow_request_whose_token_was_rotated_meanwhile_ends_nothing() {
    #[post("/slow")]
    #[require_user]
    async fn reauthenticate_late(
        locals: Locals,
        gate: web::Data<Gate>,
    ) -> Result<&'static str, Error> {
        gate.pass().await;
        assert!(locals.reauthenticate().await.is_err(), "its token is another one's by now");
        locals.log_out_other_sessions().await?;
        Ok("")
    }
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, reauthenticate_late, me);
    let slow = async { send!(app, support::post("/slow").insert_header(cookie(&session))) };
    let meanwhile = async {
        fixture.clock.advance(ROTATION_PERIOD);
        let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
        fixture.clock.advance(OVERLAP);
        rotated
    };
    let (reply, rotated) = gate.while_paused(slow, meanwhile).await;
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::OK, true));
    assert!(fixture.auth.renew_session(&session).await.unwrap().is_none());
    assert!(fixture.row(&session).await.is_some());
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&rotated))).body, "name-1");
}

#[actix_web::test]
async fn a_late_first_read_counts_from_the_arrival_of_the_request() {
    #[post("/upload")]
    #[with_session]
    async fn upload(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
        gate.pass().await;
        Ok(locals.get_session().await?.is_some().to_string())
    }
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, upload, me);
    fixture.clock.advance(ROTATION_PERIOD);
    let slow = async { send!(app, support::post("/upload").insert_header(cookie(&session))) };
    let meanwhile = async {
        let rotated = send!(app, support::get("/me").insert_header(cookie(&session)));
        fixture.clock.advance(3 * OVERLAP);
        rotated
    };
    let (reply, rotated) = gate.while_paused(slow, meanwhile).await;
    assert_eq!(reply.body, "true");
    assert_eq!(send!(app, support::get("/me").insert_header(as_set(&rotated))).body, "name-1");
}

#[actix_web::test]
async fn a_session_that_cannot_be_ended_on_reuse_is_refused_and_ended_the_next_time() {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me);
    fixture.clock.advance(ROTATION_PERIOD);
    send!(app, support::get("/me").insert_header(cookie(&session)));
    fixture.clock.advance(OVERLAP);
    for fails in [true, false] {
        fixture.store.fail_writes(fails);
        let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(fixture.row(&session).await.is_some(), fails);
    }
}

#[test]
fn a_rotation_without_an_overlap_fails_at_startup() {
    let builder = || Auth::<Account>::builder(MemoryStore::new());
    for overlap in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(999)] {
        let error =
            builder().rotate_every(ROTATION_PERIOD).rotation_overlap(overlap).build().unwrap_err();
        assert!(error.to_string().contains("rotation_overlap"), "{error}");
        assert!(builder().rotation_overlap(overlap).build().is_err());
    }
    builder().rotate_every(ROTATION_PERIOD).rotation_overlap(TICK).build().unwrap();
}

#[test]
fn a_rotation_period_shorter_than_the_overlap_fails_at_startup() {
    let builder = || Auth::<Account>::builder(MemoryStore::new());
    let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
    for refused in [
        builder().rotate_every(minute),
        builder().rotate_every(Duration::ZERO),
        builder().rotate_every(ROTATION_PERIOD).rotation_overlap(ROTATION_PERIOD),
        builder().rotation_overlap(2 * ROTATION_PERIOD).rotate_every(ROTATION_PERIOD),
    ] {
        let error = refused.build().unwrap_err().to_string();
        assert!(error.contains("rotate_every") && error.contains("longer"), "{error}");
    }
    for accepted in [
        builder().rotate_every(minute + TICK),
        builder().rotate_every(minute).rotation_overlap(second),
        builder().rotation_overlap(second).rotate_every(minute),
    ] {
        accepted.build().unwrap();
    }
}
