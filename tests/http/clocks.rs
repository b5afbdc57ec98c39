//! Every comparison with the clock, where it was ahead and is set right, or is set back: what was
//! noted ahead counts as old, never as new. The table stands in `docs/sessions.md`.

use std::{pin::pin, time::Duration};

use actix_web::{get, http::StatusCode, post};
use futures_util::FutureExt;
use locals::{
    Auth, AuthBuilder, Error, Locals, LogInOptions, ManualClock, Recent, Session, Timestamp,
    Verified, require_user,
    store::{MemoryStore, SessionStore},
    with_session,
};

use crate::{
    app,
    routes::{confirm, me},
    send,
    support::{self, Account, Cart, DAY, Fixture, HOUR, MINUTE, TICK, as_set, cookie},
};

/// How far the clock is ahead before it is set right.
const CLOCK_LEADS: [Duration; 4] =
    [Duration::from_millis(60_001), HOUR, DAY, Duration::from_hours(720)];

#[get("/recent")]
#[require_user(recent = "10m")]
async fn recent() -> &'static str {
    "recent"
}

#[get("/vault")]
#[require_user]
async fn vault(_user: Verified<Account, Recent<10>>) -> &'static str {
    "open"
}

#[get("/cart")]
#[with_session]
async fn cart(locals: Locals) -> Result<String, Error> {
    Ok(locals.guest::<Cart>().await?.items.len().to_string())
}

#[post("/add")]
#[with_session]
async fn add(locals: Locals) -> Result<String, Error> {
    locals.update_guest(|kept: &mut Cart| kept.items.push(1)).await?;
    Ok(String::new())
}

fn rotating(builder: AuthBuilder<Account>) -> AuthBuilder<Account> {
    builder.rotate_every(Duration::from_mins(10))
}

fn set_back(clock: &ManualClock, by: Duration) {
    use locals::Clock;
    clock.set(earlier(clock.now(), by));
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - i64::try_from(by.as_millis()).unwrap())
}

#[actix_web::test]
async fn an_authentication_in_the_future_is_never_recent() {
    for ahead in CLOCK_LEADS {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let app = app!(fixture, me, recent, vault, confirm);
        assert_eq!(
            send!(app, support::get("/recent").insert_header(cookie(&session))).body,
            "recent"
        );
        set_back(&fixture.clock, ahead);
        for path in ["/recent", "/vault"] {
            let reply = send!(app, support::get(path).insert_header(cookie(&session)));
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {ahead:?}");
            assert!(reply.body.contains("reauthenticate"), "{}", reply.body);
        }
        let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
        assert_eq!(reply.body, "name-1", "{ahead:?}: the token stays valid");
        let found = fixture.auth.validate_session(session.token().expose_secret()).await;
        assert!(!found.unwrap().unwrap().is_recent(Duration::MAX));

        // One by the right clock counts.
        let proved = send!(app, support::post("/confirm").insert_header(cookie(&session)));
        for path in ["/recent", "/vault"] {
            let reply = send!(app, support::get(path).insert_header(as_set(&proved)));
            assert_eq!(reply.status, StatusCode::OK, "{path} {ahead:?}");
        }
    }
}

#[actix_web::test]
async fn an_authentication_30_days_ahead_never_becomes_recent() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    set_back(&fixture.clock, 30 * DAY);
    let app = app!(fixture, me, recent);
    let mut lived = 0;
    for _ in 0..80 {
        let reply = send!(app, support::get("/recent").insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{lived}");
        let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
        if reply.status != StatusCode::OK {
            break;
        }
        lived += 1;
        fixture.clock.advance(DAY);
    }
    assert_eq!(lived, 30, "as long as any session");
}

#[actix_web::test]
async fn an_authentication_by_a_clock_that_was_ahead_is_not_recent_later_after_the_token_was_replaced()
 {
    let fixture = Fixture::configured(rotating).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, recent, confirm);
    let now = fixture.now();
    fixture.clock.set(now + 10 * DAY);
    let proved = send!(app, support::post("/confirm").insert_header(cookie(&session)));
    fixture.clock.set(now);
    let right = send!(app, support::get("/me").insert_header(as_set(&proved)));
    assert!(!right.sets_no_cookie(), "the token is due");
    fixture.clock.set(now + 10 * DAY);
    let reply = send!(app, support::get("/recent").insert_header(as_set(&right)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let row = fixture.row(&session).await.unwrap();
    assert_eq!(row.authenticated_at, Timestamp::from_millis(0));
}

#[actix_web::test]
async fn an_authentication_just_before_a_login_that_was_ahead_is_not_recent_later() {
    for before in [Duration::ZERO, TICK, Duration::from_secs(1), MINUTE] {
        let fixture = Fixture::new().await;
        fixture.account(1).await;
        let right = fixture.now();
        fixture.clock.advance(10 * DAY);
        let ahead = fixture.now();
        let session = LoggedIn::at(&fixture, earlier(ahead, before)).await;
        fixture.clock.set(right);
        let app = app!(fixture, me, recent);
        let used = || support::get("/me").insert_header(cookie(&session));
        assert_eq!(send!(app, used()).body, "name-1");
        // It stays in use until then.
        fixture.clock.set(ahead);
        assert_eq!(send!(app, used()).body, "name-1");
        let reply = send!(app, support::get("/recent").insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{before:?}");
    }
}

#[actix_web::test]
async fn simultaneous_requests_correct_a_session_from_the_future_once() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    set_back(&fixture.clock, 30 * DAY);
    let app = app!(fixture, me);
    let requests =
        (0..20).map(|_| async { send!(app, support::get("/me").insert_header(cookie(&session))) });
    for reply in futures_util::future::join_all(requests).await {
        assert_eq!(reply.body, "name-1");
    }
    assert_eq!(fixture.store.renewals(), 1);
}

#[actix_web::test]
async fn an_authentication_may_be_a_minute_ahead_for_clock_skew() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, recent);
    set_back(&fixture.clock, MINUTE);
    let reply = send!(app, support::get("/recent").insert_header(cookie(&session)));
    assert_eq!(reply.body, "recent");
    set_back(&fixture.clock, TICK);
    let reply = send!(app, support::get("/recent").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn an_explicit_authentication_time_in_the_future_counts_as_old() {
    use locals::Clock;
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let now = fixture.clock.now();
    for (time, is_recent) in [
        (earlier(now, MINUTE), true),
        (earlier(now, HOUR), false),
        (now + MINUTE, true),
        (now + MINUTE + TICK, false),
        (now + 30 * DAY, false),
    ] {
        let login = LoggedIn::at(&fixture, time).await;
        assert_eq!(login.is_recent(10 * MINUTE), is_recent, "{time:?}");
        assert!(login.authenticated_at() <= now);
    }
}

/// A login over HTTP with an authentication at this time.
struct LoggedIn;

impl LoggedIn {
    async fn at(fixture: &Fixture, time: Timestamp) -> Session {
        #[post("/login")]
        #[with_session]
        async fn login(
            locals: Locals,
            time: actix_web::web::Data<Timestamp>,
        ) -> Result<&'static str, Error> {
            let options = LogInOptions::new().authenticated_at(**time);
            locals.log_in_with(&Account::of(1), options).await?;
            Ok("")
        }
        let time = actix_web::web::Data::new(time);
        let app = app!(fixture; time, login);
        let reply = send!(app, support::post("/login"));
        fixture.auth.validate_session(reply.session_cookie()).await.unwrap().unwrap()
    }
}

#[actix_web::test]
async fn a_rotation_in_the_future_is_over_and_its_old_token_opens_nothing() {
    for ahead in CLOCK_LEADS {
        let fixture = Fixture::configured(rotating).await;
        let session = fixture.session(1).await;
        let app = app!(fixture, me);
        fixture.clock.advance(10 * MINUTE);
        let exchanged = send!(app, support::get("/me").insert_header(cookie(&session)));
        let new = as_set(&exchanged);
        set_back(&fixture.clock, ahead);
        let old = send!(app, support::get("/me").insert_header(cookie(&session)));
        assert_eq!(old.status, StatusCode::UNAUTHORIZED, "{ahead:?}");

        // The set-back is no theft: who has the new token goes on. That counts as old, too.
        let again = send!(app, support::get("/me").insert_header(new));
        assert_eq!(again.body, "name-1", "{ahead:?}");
        assert_ne!(again.session_cookie(), exchanged.session_cookie(), "{ahead:?}");
        let third = send!(app, support::get("/me").insert_header(as_set(&again)));
        assert_eq!((third.body.as_str(), third.sets_no_cookie()), ("name-1", true));
    }
}

#[actix_web::test]
async fn a_token_issued_in_the_future_is_rotated_immediately() {
    for ahead in CLOCK_LEADS {
        let fixture = Fixture::configured(rotating).await;
        let session = fixture.session(1).await;
        let app = app!(fixture, me);
        set_back(&fixture.clock, ahead);
        let reply = send!(app, support::get("/me").insert_header(cookie(&session)));
        assert_ne!(reply.session_cookie(), session.token().expose_secret(), "{ahead:?}");
        let again = send!(app, support::get("/me").insert_header(as_set(&reply)));
        assert!(again.sets_no_cookie(), "{ahead:?}: once");
    }
}

#[actix_web::test]
async fn a_session_from_the_future_expires_one_lifetime_after_its_next_use() {
    for (ahead, is_moved) in [(HOUR, false), (DAY, false), (DAY + TICK, true), (30 * DAY, true)] {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let before = fixture.row(&session).await.unwrap();
        set_back(&fixture.clock, ahead);
        let right = fixture.now();
        let app = app!(fixture, me);
        let used = || support::get("/me").insert_header(cookie(&session));
        assert_eq!(send!(app, used()).body, "name-1", "{ahead:?}");
        let row = fixture.row(&session).await.unwrap();
        if !is_moved {
            assert_eq!(row, before, "{ahead:?}: nothing is shortened");
            continue;
        }
        assert_eq!(row.active_expires_at, right + DAY);
        assert_eq!(row.idle_expires_at, right + 15 * DAY);
        let listed = fixture.auth.user_sessions(1).await.unwrap();
        assert_eq!(listed[0].absolute_expires_at, right + 30 * DAY);
        fixture.store.forget();
        assert!(send!(app, used()).sets_no_cookie());
        assert_eq!(fixture.store.writes(), 0, "once");
        for _ in 0..29 {
            fixture.clock.advance(DAY);
            assert_eq!(send!(app, used()).body, "name-1");
        }
        fixture.clock.advance(DAY.checked_sub(TICK).unwrap());
        assert_eq!(send!(app, used()).body, "name-1");
        fixture.clock.advance(TICK);
        assert_eq!(send!(app, used()).status, StatusCode::UNAUTHORIZED);
        fixture.auth.delete_expired_sessions().await.unwrap();
        assert_eq!(fixture.rows().await, 0);
    }
}

#[actix_web::test]
async fn a_waiting_task_asks_again_within_a_minute_when_the_clock_is_set_back() {
    for ahead in CLOCK_LEADS {
        let (store, clock) =
            (MemoryStore::new(), ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        store.insert_user(Account::of(1));
        let auth = Auth::builder(store.clone()).clock(clock.clone()).build().unwrap();
        let session = auth.create_session(&Account::of(1)).await.unwrap();
        let mut wait = pin!(session.ended());
        assert!(wait.as_mut().now_or_never().is_none());
        set_back(&clock, ahead);
        assert!(wait.as_mut().now_or_never().is_none(), "{ahead:?}");
        // By other hands, of which nobody here hears.
        store.delete(session.id()).await.unwrap();
        clock.advance(MINUTE);
        assert!(wait.as_mut().now_or_never().is_some(), "{ahead:?}");
    }
}

#[actix_web::test]
async fn a_guest_from_the_future_is_kept_and_the_next_write_corrects_its_expiry() {
    for ahead in CLOCK_LEADS {
        let fixture = Fixture::new().await;
        let app = app!(fixture, cart, add);
        let written = send!(app, support::post("/add"));
        let guest = written.guest_cookie().unwrap().split(';').next().unwrap().to_owned();
        let by_guest = |request: actix_web::test::TestRequest| {
            request.insert_header(("Cookie", guest.clone()))
        };
        let life = written.max_age();
        set_back(&fixture.clock, ahead);
        assert_eq!(send!(app, by_guest(support::get("/cart"))).body, "1", "{ahead:?}");
        let again = send!(app, by_guest(support::post("/add")));
        assert_eq!(again.max_age(), life, "{ahead:?}");
        fixture.clock.advance(Duration::from_secs(life.unsigned_abs()));
        assert_eq!(send!(app, by_guest(support::get("/cart"))).body, "0", "{ahead:?}");
    }
}
