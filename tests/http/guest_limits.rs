//! The limits of guests: how much is kept, for how long, and what remains after a logout.

use std::time::Duration;

use actix_web::{get, http::StatusCode, post, web};
use futures_util::future::join_all;
use locals::{Auth, AuthBuilder, Error, Locals, with_session};
use serde::{Deserialize, Serialize};

use crate::{
    app, routes, send,
    support::{
        self, Account, Cart, DAY, FAULT, Fixture, Gate, Reply, as_set, cookie, just_before, problem,
    },
};

/// `{"text":""}`
const EMPTY_JSON_LENGTH: usize = 11;

#[derive(Default, Serialize, Deserialize)]
struct Note {
    text: String,
}

/// Keeps a note that is so many bytes of JSON; says the limit if that is too much.
#[post("/note/{bytes}")]
#[with_session]
async fn keep_note(bytes: web::Path<usize>, locals: Locals) -> Result<String, Error> {
    let text = "x".repeat(*bytes - EMPTY_JSON_LENGTH);
    match locals.update_guest(|note: &mut Note| note.text.clone_from(&text)).await {
        Err(Error::TooMuchData { most, .. }) => Ok(format!("at most {most}")),
        written => written.map(|()| "kept".to_owned()),
    }
}

/// As [`keep_note`], but answers the error.
#[post("/try/{bytes}")]
#[with_session]
async fn attempt(bytes: web::Path<usize>, locals: Locals) -> Result<&'static str, Error> {
    let text = "x".repeat(*bytes - EMPTY_JSON_LENGTH);
    locals.update_guest(|note: &mut Note| note.text.clone_from(&text)).await?;
    Ok("kept")
}

/// How many bytes of JSON are kept.
#[get("/note")]
#[with_session]
async fn read(locals: Locals) -> Result<String, Error> {
    Ok((EMPTY_JSON_LENGTH + locals.guest::<Note>().await?.text.len()).to_string())
}

#[post("/forget")]
#[with_session]
async fn forget(locals: Locals) -> Result<&'static str, Error> {
    locals.forget_guest().await?;
    Ok("")
}

async fn guests(fixture: &Fixture) -> i64 {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM guest_sessions");
    count.fetch_one(fixture.pool()).await.unwrap()
}

/// `name=value` of the guest that an answer has set.
fn guest_of(reply: &Reply) -> String {
    reply.guest_cookie().unwrap().split_once(';').unwrap().0.to_owned()
}

fn as_guest(pair: &str) -> (&'static str, String) {
    ("Cookie", pair.to_owned())
}

fn removes_the_guest(reply: &Reply) -> bool {
    reply.guest_cookie().is_some_and(|cookie| {
        cookie.starts_with("__Host-session-guest=;") && cookie.contains("Max-Age=0")
    })
}

/// Another process on the same store.
fn another(
    fixture: &Fixture,
    configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>,
) -> Auth<Account> {
    let builder = Auth::builder(fixture.store.clone()).clock(fixture.clock.clone());
    configure(builder).build().unwrap()
}

// How much of each.

#[actix_web::test]
async fn a_guest_holds_8_kib_and_no_more() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, keep_note, attempt, read);
    let first = send!(app, support::post("/note/8192"));
    assert_eq!(first.body, "kept");
    let guest = guest_of(&first);
    for bytes in [8_193, 9_000, 65_536, 65_537, 200_000] {
        for path in ["note", "try"] {
            let request = support::post(&format!("/{path}/{bytes}"));
            let refused = send!(app, request.insert_header(as_guest(&guest)));
            let of_a_stranger = send!(app, support::post(&format!("/{path}/{bytes}")));
            for reply in [refused, of_a_stranger] {
                assert!(reply.sets_no_cookie(), "{path} {bytes}");
                if path == "note" {
                    assert_eq!(reply.body, "at most 8192");
                } else {
                    let expected = problem(413, "too_much_data", "More data than can be kept");
                    assert_eq!(reply.body, expected);
                }
            }
        }
    }
    assert_eq!(send!(app, support::get("/note").insert_header(as_guest(&guest))).body, "8192");
    assert_eq!(guests(&fixture).await, 1);
}

#[actix_web::test]
async fn the_limit_of_guest_data_is_configurable() {
    for most in [EMPTY_JSON_LENGTH + 1, 100, 65_536] {
        let fixture = Fixture::configured(|builder| builder.guest_data_limit(most)).await;
        let app = app!(fixture, keep_note);
        assert_eq!(send!(app, support::post(&format!("/note/{most}"))).body, "kept");
        let more = send!(app, support::post(&format!("/note/{}", most + 1)));
        assert_eq!(more.body, format!("at most {most}"));
    }
}

#[actix_web::test]
async fn guest_data_over_a_lowered_limit_may_shrink_and_not_grow() {
    let mut fixture = Fixture::configured(|builder| builder.guest_data_limit(1_000)).await;
    let guest = {
        let app = app!(fixture, keep_note);
        guest_of(&send!(app, support::post("/note/1000")))
    };
    fixture.auth = another(&fixture, |builder| builder.guest_data_limit(100));
    let app = app!(fixture, keep_note, read);
    assert_eq!(send!(app, support::get("/note").insert_header(as_guest(&guest))).body, "1000");
    for (bytes, expected) in [
        (1_001, "at most 100"),
        (1_000, "kept"),
        (500, "kept"),
        (501, "at most 100"),
        (500, "kept"),
        (101, "kept"),
        (100, "kept"),
        (101, "at most 100"),
        (50, "kept"),
        (100, "kept"),
    ] {
        let request = support::post(&format!("/note/{bytes}")).insert_header(as_guest(&guest));
        assert_eq!(send!(app, request).body, expected, "{bytes}");
    }
}

#[actix_web::test]
async fn a_guest_expires_a_week_after_the_last_write() {
    let week = 7 * DAY;
    let fixture = Fixture::new().await;
    let app = app!(fixture, keep_note, read);
    let first = send!(app, support::post("/note/20"));
    assert!(first.guest_cookie().unwrap().contains("Max-Age=604800"));
    let guest = guest_of(&first);
    for (moves, kept) in [(just_before(week), "20"), (Duration::from_millis(1), "11")] {
        fixture.clock.advance(moves);
        let reply = send!(app, support::get("/note").insert_header(as_guest(&guest)));
        assert_eq!(reply.body, kept);
    }
}

// How many of them.

#[actix_web::test]
async fn a_store_at_its_guest_limit_takes_no_new_guest_and_keeps_the_others() {
    let fixture = Fixture::configured(|builder| builder.max_guests(2)).await;
    fixture.account(1).await;
    let app = app!(fixture, attempt, read, routes::login);
    let first = guest_of(&send!(app, support::post("/try/20")));
    let second = guest_of(&send!(app, support::post("/try/20")));

    let refused = send!(app, support::post("/try/20"));

    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.body, problem(503, "too_many_guests", "Too many visitors"));
    assert_eq!(refused.header("Retry-After"), Some("60"));
    assert!(refused.sets_no_cookie());
    assert_eq!(guests(&fixture).await, 2);
    for guest in [&first, &second] {
        let reply = send!(app, support::post("/try/30").insert_header(as_guest(guest)));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "kept"));
    }
    assert_eq!(send!(app, support::get("/note")).body, "11", "strangers read");
    let logged_in = send!(app, support::post("/login/1"));
    assert_eq!(logged_in.status, StatusCode::OK, "users log in");
    let note = support::post("/try/20").insert_header(as_set(&logged_in));
    assert_eq!(send!(app, note).status, StatusCode::SERVICE_UNAVAILABLE);
    let too_much = send!(app, support::post("/try/9000"));
    assert_eq!(too_much.status, StatusCode::PAYLOAD_TOO_LARGE, "who is at fault is told so");
}

#[actix_web::test]
async fn the_guests_are_counted_once_a_minute_and_not_for_each_write() {
    let fixture = Fixture::configured(|builder| builder.max_guests(10)).await;
    let app = app!(fixture, attempt, read);
    for (counts, expected) in [(1, 10), (2, 10)] {
        for _ in 0..15 {
            let guest = send!(app, support::post("/try/20"));
            if guest.status == StatusCode::OK {
                send!(app, support::post("/try/21").insert_header(as_guest(&guest_of(&guest))));
            }
            send!(app, support::get("/note"));
        }
        assert_eq!((fixture.store.counted_guests(), guests(&fixture).await), (counts, expected));
        fixture.clock.advance(Duration::from_mins(1));
    }
}

#[actix_web::test]
async fn simultaneous_new_guests_never_exceed_the_limit() {
    for most in [1, 7, 29, 30, 31] {
        let fixture = Fixture::configured(|builder| builder.max_guests(most)).await;
        let app = app!(fixture, attempt);
        let requests = (0..30).map(|_| async { send!(app, support::post("/try/20")) });
        let replies = join_all(requests).await;
        let kept = replies.iter().filter(|reply| reply.status == StatusCode::OK).count();
        assert_eq!(guests(&fixture).await, i64::try_from(kept).unwrap());
        let most = usize::try_from(most).unwrap();
        assert!(kept <= most, "{kept} of {most}");
        // Who was counted while it was written may have been counted twice; not for long.
        fixture.clock.advance(Duration::from_mins(1));
        for _ in kept..most.min(30) {
            assert_eq!(send!(app, support::post("/try/20")).status, StatusCode::OK);
        }
        let full = send!(app, support::post("/try/20"));
        assert_eq!(full.status == StatusCode::OK, most > 30);
    }
}

#[actix_web::test]
async fn a_guest_that_ends_in_any_way_makes_room_for_another() {
    let configured = |builder: AuthBuilder<Account>| {
        builder.max_guests(1).merge_guest(|_: Note, _: &mut support::Cart| {})
    };
    let fixture = Fixture::configured(configured).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, attempt, forget, routes::login, routes::logout);
    for way in ["/forget", "/login/1", "/logout"] {
        let guest = guest_of(&send!(app, support::post("/try/20")));
        assert_eq!(send!(app, support::post("/try/20")).status.as_u16(), 503, "{way}");
        let both = format!("{guest}; {}", cookie(&session).1);
        let leaves = support::post(way).insert_header(("Cookie", both));
        assert_eq!(send!(app, leaves).status, StatusCode::OK, "{way}");
        if way == "/login/1" {
            // For a minute their row says who follows, and counts.
            fixture.clock.advance(just_before(Duration::from_mins(1)));
            assert_eq!(send!(app, support::post("/try/20")).status.as_u16(), 503);
            fixture.clock.advance(Duration::from_millis(1));
            assert_eq!(fixture.auth.delete_expired_sessions().await.unwrap(), 1);
        }
        assert_eq!(guests(&fixture).await, 0, "{way}");
    }
    let last = send!(app, support::post("/try/20"));
    assert_eq!(last.status, StatusCode::OK);
    fixture.clock.advance(just_before(7 * DAY));
    assert_eq!(send!(app, support::post("/try/20")).status.as_u16(), 503);
    fixture.clock.advance(Duration::from_mins(1));
    assert_eq!(send!(app, support::post("/try/20")).status, StatusCode::OK, "it has ended by time");
}

#[actix_web::test]
async fn another_process_may_exceed_the_limit_until_the_guests_are_counted_again() {
    let mut fixture = Fixture::configured(|builder| builder.max_guests(2)).await;
    let app = app!(fixture, attempt);
    send!(app, support::post("/try/20"));
    fixture.auth = another(&fixture, |builder| builder.max_guests(2));
    let other = app!(fixture, attempt);
    for expected in [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] {
        assert_eq!(send!(other, support::post("/try/20")).status, expected);
    }
    assert_eq!(send!(app, support::post("/try/20")).status, StatusCode::OK, "it goes by its count");
    assert_eq!(guests(&fixture).await, 3);
    fixture.clock.advance(Duration::from_mins(1));
    for app in [&app, &other] {
        assert_eq!(send!(*app, support::post("/try/20")).status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[actix_web::test]
async fn a_failed_count_of_the_guests_is_an_outage_and_the_next_write_counts_again() {
    let fixture = Fixture::configured(|builder| builder.max_guests(1)).await;
    let app = app!(fixture, attempt);
    fixture.store.fail_reads(true);
    let failed = send!(app, support::post("/try/20"));
    assert_eq!(failed.body, problem(503, "unavailable", "Temporarily unavailable"));
    assert!(!failed.body.contains(FAULT) && failed.sets_no_cookie());
    fixture.store.fail_reads(false);
    fixture.store.fail_writes(true);
    assert_eq!(send!(app, support::post("/try/20")).header("Retry-After"), Some("1"));
    fixture.store.fail_writes(false);
    assert_eq!(send!(app, support::post("/try/20")).status, StatusCode::OK, "its place is free");
    assert_eq!(guests(&fixture).await, 1);
}

// Logging out.

#[actix_web::test]
async fn logging_out_deletes_the_guest() {
    for verb in ["/logout", "/logout-everywhere", "/sessions/"] {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let app = app!(
            fixture,
            attempt,
            read,
            routes::logout,
            routes::logout_everywhere,
            routes::end_by_post
        );
        let request = support::post("/try/20").insert_header(cookie(&session));
        let guest = guest_of(&send!(app, request));
        let other = guest_of(&send!(app, support::post("/try/20")));
        let path = match verb {
            "/sessions/" => format!("/end/{}", session.id()),
            verb => verb.to_owned(),
        };
        let both = format!("{}; {guest}", cookie(&session).1);

        let reply = send!(app, support::post(&path).insert_header(("Cookie", both)));

        assert_eq!(reply.status, StatusCode::OK, "{verb}");
        assert!(removes_the_guest(&reply), "{verb}: {:?}", reply.set_cookies());
        assert_eq!((guests(&fixture).await, fixture.rows().await), (1, 0), "{verb}");
        let replayed = send!(app, support::get("/note").insert_header(as_guest(&guest)));
        assert_eq!(replayed.body, "11", "{verb}");
        let others = send!(app, support::get("/note").insert_header(as_guest(&other)));
        assert_eq!(others.body, "20", "{verb}: of another browser");
    }
}

#[actix_web::test]
async fn a_write_during_a_logout_creates_no_guest() {
    #[post("/late")]
    #[with_session]
    async fn write_late(locals: Locals, gate: web::Data<Gate>) -> Result<&'static str, Error> {
        locals.guest::<Cart>().await?;
        gate.pass().await;
        locals.update_guest(|cart: &mut Cart| cart.items.push(7)).await?;
        Ok("written")
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, attempt, write_late, routes::logout);
    let request = support::post("/try/20").insert_header(cookie(&session));
    let guest = guest_of(&send!(app, request));
    let both = || ("Cookie", format!("{}; {guest}", cookie(&session).1));
    let late = async { send!(app, support::post("/late").insert_header(both())) };
    let meanwhile = async {
        send!(app, support::post("/logout").insert_header(both()));
    };
    let (reply, ()) = gate.while_paused(late, meanwhile).await;
    assert_eq!(reply.body, support::problem(409, "guest_gone", "This visit has ended"));
    assert!(reply.guest_cookie().is_none());
    assert_eq!(guests(&fixture).await, 0);
}

#[actix_web::test]
async fn logging_out_of_an_expired_session_deletes_its_guest() {
    let fixture = Fixture::configured(|builder| builder.guest_lifetime(90 * DAY)).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, attempt, routes::logout, routes::logout_everywhere);
    for verb in ["/logout", "/logout-everywhere"] {
        let guest = guest_of(&send!(app, support::post("/try/20")));
        fixture.clock.advance(31 * DAY);
        let both = format!("{}; {guest}", cookie(&session).1);
        let reply = send!(app, support::post(verb).insert_header(("Cookie", both)));
        assert!(removes_the_guest(&reply), "{verb}");
        assert_eq!(guests(&fixture).await, 0, "{verb}");
    }
}

#[actix_web::test]
async fn logging_out_elsewhere_or_without_a_session_keeps_the_guest() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let elsewhere = fixture.auth.create_session(&Account::of(1)).await.unwrap();
    let app = app!(
        fixture,
        attempt,
        routes::logout,
        routes::logout_everywhere,
        routes::logout_others,
        routes::end_by_post
    );
    let guest = guest_of(&send!(app, support::post("/try/20")));
    let both = format!("{}; {guest}", cookie(&session).1);
    for (path, cookies) in [
        ("/logout".to_owned(), &guest),
        ("/logout-everywhere".to_owned(), &guest),
        (format!("/end/{}", elsewhere.id()), &both),
        ("/logout-others".to_owned(), &both),
    ] {
        let request = support::post(&path).insert_header(("Cookie", cookies.clone()));
        let reply = send!(app, request);
        assert_eq!((reply.status, reply.guest_cookie()), (StatusCode::OK, None), "{path}");
        assert_eq!(guests(&fixture).await, 1, "{path}");
    }
}

#[actix_web::test]
async fn a_logout_with_a_bearer_token_touches_no_guest() {
    let fixture = Fixture::configured(|builder| builder.bearer(true)).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, attempt, routes::logout);
    let guest = guest_of(&send!(app, support::post("/try/20")));
    let bearer = format!("Bearer {}", session.token().expose_secret());
    let request = support::post("/logout").insert_header(("Authorization", bearer));
    let reply = send!(app, request.insert_header(as_guest(&guest)));
    assert_eq!((reply.status, reply.sets_no_cookie()), (StatusCode::OK, true));
    assert_eq!((guests(&fixture).await, fixture.rows().await), (1, 0));
}

#[actix_web::test]
async fn a_guest_that_cannot_be_deleted_fails_the_logout_and_keeps_the_session() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, attempt, routes::logout);
    let guest = guest_of(&send!(app, support::post("/try/20")));
    let both = ("Cookie", format!("{}; {guest}", cookie(&session).1));
    fixture.store.fail_writes(true);
    let failed = send!(app, support::post("/logout").insert_header(both.clone()));
    assert_eq!((failed.status.as_u16(), failed.sets_no_cookie()), (503, true));
    fixture.store.fail_writes(false);
    assert_eq!((guests(&fixture).await, fixture.rows().await), (1, 1));
    let reply = send!(app, support::post("/logout").insert_header(both));
    assert!(removes_the_guest(&reply));
    assert_eq!((guests(&fixture).await, fixture.rows().await), (0, 0));
}

#[actix_web::test]
async fn an_unreadable_guest_does_not_prevent_a_logout() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, attempt, routes::logout);
    let guest = guest_of(&send!(app, support::post("/try/20")));
    let broken = sqlx::query("UPDATE guest_sessions SET secret_hash = x'00'");
    broken.execute(fixture.pool()).await.unwrap();
    let both = ("Cookie", format!("{}; {guest}", cookie(&session).1));
    let reply = send!(app, support::post("/logout").insert_header(both));
    assert_eq!(reply.status, StatusCode::OK);
    assert!(removes_the_guest(&reply));
    assert_eq!(fixture.rows().await, 0);
}
