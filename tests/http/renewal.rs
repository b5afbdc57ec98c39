//! What each use of an active, idle and expired session does, to the millisecond.

use std::time::Duration;

use actix_web::{HttpResponse, get, http::StatusCode};
use locals::{Lifetime, Session, SessionState, require_user, with_session};

use crate::{
    app, send,
    support::{self, DAY, Fixture, cookie},
};

#[get("/session")]
#[with_session]
async fn show_session(session: Option<Session>) -> String {
    session.map_or("none".to_owned(), |session| {
        let state = match session.state() {
            SessionState::Active => "active",
            SessionState::Idle => "idle",
            other => panic!("a state that is not known here: {other:?}"),
        };
        format!("{state} {}", if session.is_fresh() { "fresh" } else { "as it was" })
    })
}

#[get("/me")]
#[require_user]
async fn me(session: Session) -> String {
    session.idle_expires_at().as_millis().to_string()
}

#[get("/fails")]
#[require_user]
async fn fails() -> HttpResponse {
    HttpResponse::InternalServerError().finish()
}

/// The milliseconds of a day.
const MILLIS: u64 = 24 * 60 * 60 * 1_000;

#[actix_web::test]
async fn an_idle_session_is_renewed_by_one_read_and_one_write_and_keeps_its_token() {
    let fixture = Fixture::new().await;
    let idle = fixture.session(1).await;
    fixture.clock.advance(3 * DAY);
    let app = app!(fixture, show_session);
    let reply = send!(app, support::get("/session").insert_header(cookie(&idle)));
    assert_eq!(reply.body, "idle fresh");
    assert_eq!(reply.session_cookie(), idle.token().expose_secret());
    assert_eq!(reply.max_age(), i64::try_from((15 * DAY).as_secs()).unwrap());
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 1));

    let row = fixture.row(&idle).await.unwrap();
    assert_eq!(row.active_expires_at, fixture.now() + DAY);
    assert_eq!(row.idle_expires_at, fixture.now() + 15 * DAY);
    assert_eq!(row.absolute_expires_at, idle.absolute_expires_at());

    // From now on it is active again.
    let reply = send!(app, support::get("/session").insert_header(cookie(&idle)));
    assert_eq!(reply.body, "active as it was");
    assert!(reply.sets_no_cookie());
}

#[actix_web::test]
async fn the_active_period_and_the_idle_timeout_end_at_the_exact_millisecond() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, show_session);
    for (id, (age, body)) in [
        (MILLIS - 1, "active as it was"),
        (MILLIS, "idle fresh"),
        (15 * MILLIS - 1, "idle fresh"),
        (15 * MILLIS, "none"),
    ]
    .into_iter()
    .enumerate()
    {
        let aged = fixture.session(i64::try_from(id).unwrap()).await;
        fixture.clock.advance(Duration::from_millis(age));
        let reply = send!(app, support::get("/session").insert_header(cookie(&aged)));
        assert_eq!(reply.body, body, "after {age} ms");
    }
}

#[actix_web::test]
async fn renewals_never_move_the_absolute_timeout() {
    let fixture = Fixture::new().await;
    let used = fixture.session(1).await;
    let end = used.created_at() + 30 * DAY;
    let app = app!(fixture, me);
    let mut answered = 0;
    loop {
        let reply = send!(app, support::get("/me").insert_header(cookie(&used)));
        if reply.status == StatusCode::UNAUTHORIZED {
            break;
        }
        answered += 1;
        if let Some(row) = fixture.row(&used).await {
            assert_eq!(row.absolute_expires_at, end);
            assert!(row.idle_expires_at <= end);
        }
        if !reply.sets_no_cookie() {
            let left = end.since(fixture.now()).as_secs();
            assert!(u64::try_from(reply.max_age()).unwrap() <= left);
        }
        fixture.clock.advance(DAY / 2);
    }
    assert_eq!((answered, fixture.now()), (60, end));
}

#[actix_web::test]
async fn a_session_is_renewed_once_per_active_period() {
    let fixture = Fixture::new().await;
    let used = fixture.session(1).await;
    let app = app!(fixture, me);
    for _ in 0..24 * 7 {
        fixture.clock.advance(Duration::from_hours(1));
        let reply = send!(app, support::get("/me").insert_header(cookie(&used)));
        assert_eq!(reply.status, StatusCode::OK);
    }
    assert_eq!(fixture.store.writes(), 7);
}

#[actix_web::test]
async fn a_session_past_its_idle_timeout_is_expired_although_its_row_remains() {
    let fixture = Fixture::new().await;
    let unused = fixture.session(1).await;
    fixture.clock.advance(15 * DAY);
    let app = app!(fixture, show_session, me);
    let reply = send!(app, support::get("/me").insert_header(cookie(&unused)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(reply.sets_no_cookie());
    assert_eq!((fixture.rows().await, fixture.store.writes()), (1, 0));
}

#[actix_web::test]
async fn a_read_never_removes_a_cookie_that_opens_nothing() {
    let fixture = Fixture::new().await;
    let dead = cookie(&fixture.session(1).await);
    let ended = fixture.session(2).await;
    fixture.auth.invalidate_session(ended.id()).await.unwrap();
    fixture.clock.advance(15 * DAY);
    let never_issued = ("Cookie", format!("__Host-session={}", "A".repeat(64)));
    let app = app!(fixture, show_session, me);
    for useless in [dead, cookie(&ended), never_issued] {
        for destination in ["", "document", "empty", "image"] {
            for (path, status) in [("/session", StatusCode::OK), ("/me", StatusCode::UNAUTHORIZED)]
            {
                let mut request = support::get(path).insert_header(useless.clone());
                if !destination.is_empty() {
                    request = request.insert_header(("Sec-Fetch-Dest", destination));
                }
                let reply = send!(app, request);
                assert_eq!(reply.status, status);
                assert!(reply.sets_no_cookie(), "{useless:?} {destination:?}: {reply:?}");
            }
        }
    }
}

#[actix_web::test]
async fn a_renewal_is_sent_with_an_error_of_the_handler_too() {
    let fixture = Fixture::new().await;
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, fails);
    let reply = send!(app, support::get("/fails").insert_header(cookie(&idle)));
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.session_cookie(), idle.token().expose_secret());
}

#[actix_web::test]
async fn a_clock_set_back_ends_no_session_and_shortens_none() {
    let fixture = Fixture::new().await;
    let used = fixture.session(1).await;
    let before = fixture.row(&used).await.unwrap();
    fixture.clock.set(locals::Timestamp::from_millis(fixture.now().as_millis() - 3_600_000));
    let app = app!(fixture, me);
    let reply = send!(app, support::get("/me").insert_header(cookie(&used)));
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(fixture.row(&used).await.unwrap(), before);
}

#[actix_web::test]
async fn the_timeouts_are_configurable() {
    let lifetime = Lifetime::default()
        .active(Duration::from_millis(10))
        .idle(Duration::from_millis(20))
        .max(Duration::from_millis(35));
    let fixture = Fixture::configured(|builder| builder.lifetime(lifetime)).await;
    let short = fixture.session(1).await;
    let app = app!(fixture, show_session);
    for (step, body) in
        [(9, "active as it was"), (1, "idle fresh"), (24, "idle fresh"), (1, "none")]
    {
        fixture.clock.advance(Duration::from_millis(step));
        let reply = send!(app, support::get("/session").insert_header(cookie(&short)));
        assert_eq!(reply.body, body);
    }
}
