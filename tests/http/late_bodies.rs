//! What was found of a session counts for a second while the request is still being received: a
//! session that ends while a body trickles in runs no handler.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_web::{
    App, FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    error::PayloadError,
    http::StatusCode,
    post,
    test::{call_service, init_service},
    web,
};
use futures_util::{
    StreamExt,
    future::LocalBoxFuture,
    stream::{iter, once},
};
use locals::{Session, User, Verified, require_user, with_session};

use crate::{
    support::{self, Account, Fixture, Reply, cookie, just_before},
    verbs_of_impersonation::admin_acting_as_1,
};

/// Longer than what was found of the session counts.
const LATE: Duration = Duration::from_millis(1_001);
const IN_TIME: Duration = Duration::from_secs(1);

#[post("/save")]
#[require_user]
async fn save(user: User<Account>, body: String) -> String {
    format!("{} saved {body}", user.name)
}

#[post("/by-name")]
#[require_user(check = is_called_name_1)]
async fn by_name(body: String) -> String {
    body
}

fn is_called_name_1(account: &Account) -> bool {
    account.name == "name-1"
}

struct IsFirst;

impl locals::Check<Account> for IsFirst {
    fn check(account: &Account, _: &Session) -> bool {
        is_called_name_1(account)
    }
}

#[post("/proved")]
#[require_user]
async fn proved(_first: Verified<Account, IsFirst>, body: String) -> String {
    body
}

#[post("/recent")]
#[require_user(recent = "10m")]
async fn recent(body: String) -> String {
    body
}

#[post("/anybody")]
#[with_session]
async fn anybody(session: Option<Session>, user: Option<User<Account>>, body: String) -> String {
    assert_eq!(session.is_some(), user.is_some());
    format!("{body} by {}", user.map_or("nobody".to_owned(), |user| user.name.clone()))
}

/// An extractor that takes its time, with or without a body.
struct Slow;

impl FromRequest for Slow {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Bytes::from_request(request, payload);
        Box::pin(async { body.await.map(|_| Self) })
    }
}

#[post("/slow")]
#[require_user]
async fn slow(_slow: Slow) -> &'static str {
    "saved"
}

/// A handler without an attribute, which only a guard around protects.
async fn plain(body: String) -> String {
    body
}

/// One that takes what it gets of the body.
async fn streaming(mut body: web::Payload) -> HttpResponse {
    let mut length = 0;
    while let Some(Ok(chunk)) = body.next().await {
        length += chunk.len();
    }
    HttpResponse::Ok().body(length.to_string())
}

/// One that takes its body as it comes, also if it does not come whole.
async fn tolerant(body: Result<String, actix_web::Error>) -> String {
    body.unwrap_or_else(|_| "nothing".to_owned())
}

#[post("/tolerant")]
#[require_user]
async fn tolerant_user(_user: User<Account>, body: Result<String, actix_web::Error>) -> String {
    body.unwrap_or_else(|_| "nothing".to_owned())
}

macro_rules! app {
    ($fixture:expr) => {
        init_service(
            App::new()
                .configure($fixture.auth.configure())
                .service((save, by_name, proved, recent, anybody, slow))
                .service(
                    web::scope("/guarded")
                        .wrap($fixture.auth.require_user().check(is_called_name_1))
                        .service((save, anybody, tolerant_user))
                        .route("/tolerant-plain", web::post().to(tolerant))
                        .route("/plain", web::post().to(plain))
                        .route("/streaming", web::post().to(streaming)),
                )
                .service(
                    web::scope("/inside")
                        .wrap($fixture.auth.require_user())
                        .service((save, by_name, proved, recent)),
                ),
        )
        .await
    };
}

/// Sends a request of whose body the last byte comes when `meanwhile` is done.
macro_rules! trickle {
    ($app:expr, $path:expr, $session:expr, $meanwhile:expr) => {
        send_late!($app, support::post($path).insert_header(cookie($session)), $meanwhile)
    };
}

macro_rules! send_late {
    ($app:expr, $request:expr, $meanwhile:expr) => {{
        let (request, _) = $request.to_request().replace_payload(trickling($meanwhile));
        Reply::read(call_service(&$app, request).await).await
    }};
}

fn trickling(meanwhile: impl Future<Output = ()> + 'static) -> Payload {
    let bytes =
        |text: &'static str| Ok::<_, PayloadError>(web::Bytes::from_static(text.as_bytes()));
    let late = once(async move {
        meanwhile.await;
        bytes("ll")
    });
    Payload::Stream { payload: Box::pin(iter([bytes("a")]).chain(late)) }
}

/// The paths at which only logged-in users are served, by an attribute, a guard, or both.
const FOR_USERS: [&str; 11] = [
    "/inside/save",
    "/guarded/tolerant",
    "/guarded/tolerant-plain",
    "/save",
    "/by-name",
    "/proved",
    "/recent",
    "/slow",
    "/guarded/save",
    "/guarded/plain",
    "/guarded/streaming",
];

#[actix_web::test]
async fn a_session_that_ends_while_the_body_arrives_runs_no_handler() {
    for path in FOR_USERS {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let app = app!(fixture);
        let (auth, clock, id) = (fixture.auth.clone(), fixture.clock.clone(), session.id());
        let reply = trickle!(app, path, &session, async move {
            auth.invalidate_session(id).await.unwrap();
            clock.advance(LATE);
        });
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}: {reply:?}");
        assert!(reply.body.contains("not_logged_in"), "{path}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_token_replaced_or_expired_while_the_body_arrives_runs_no_handler() {
    for path in FOR_USERS {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let app = app!(fixture);
        let (auth, clock, presented) =
            (fixture.auth.clone(), fixture.clock.clone(), session.clone());
        let reply = trickle!(app, path, &session, async move {
            auth.reauthenticate(&presented).await.unwrap();
            clock.advance(LATE);
        });
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}: {reply:?}");

        let session = fixture.session(2).await;
        let clock = fixture.clock.clone();
        let end = session.absolute_expires_at();
        let reply = trickle!(app, path, &session, async move { clock.set(end) });
        assert!(!reply.status.is_success(), "{path}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_user_who_loses_a_permission_while_the_body_arrives_is_refused() {
    for path in [
        "/by-name",
        "/proved",
        "/guarded/save",
        "/guarded/plain",
        "/guarded/anybody",
        "/guarded/tolerant",
        // The guard around asks less than the attribute inside.
        "/inside/by-name",
        "/inside/proved",
    ] {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let app = app!(fixture);
        let (pool, clock) = (fixture.pool().clone(), fixture.clock.clone());
        let reply = trickle!(app, path, &session, async move {
            let rename = sqlx::query("UPDATE accounts SET name = 'another'");
            rename.execute(&pool).await.unwrap();
            clock.advance(LATE);
        });
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_login_that_ages_while_the_body_arrives_is_not_recent() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let clock = fixture.clock.clone();
    for path in ["/recent", "/inside/recent"] {
        fixture.clock.set(session.created_at());
        let clock = clock.clone();
        let reply = trickle!(app!(fixture), path, &session, async move {
            clock.advance(Duration::from_mins(11));
        });
        assert!(reply.body.contains("reauthenticate"), "{path}: {reply:?}");
    }
}

#[actix_web::test]
async fn an_upgrade_request_with_a_body_is_checked_again_after_it() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture);
    let (auth, clock, id) = (fixture.auth.clone(), fixture.clock.clone(), session.id());
    let request = support::post("/guarded/plain").insert_header(cookie(&session));
    let request = request.insert_header(("Connection", "upgrade"));
    let reply = send_late!(app, request.insert_header(("Content-Length", "3")), async move {
        auth.invalidate_session(id).await.unwrap();
        clock.advance(LATE);
    });
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn no_part_of_a_late_body_reaches_the_handler() {
    /// Counts what it is given, although the body does not come to its end.
    async fn count(mut body: web::Payload, seen: web::Data<AtomicUsize>) -> HttpResponse {
        while let Some(Ok(chunk)) = body.next().await {
            seen.fetch_add(chunk.len(), Ordering::SeqCst);
        }
        HttpResponse::Ok().finish()
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let seen = web::Data::new(AtomicUsize::new(0));
    let app = init_service(
        App::new().app_data(seen.clone()).configure(fixture.auth.configure()).service(
            web::scope("/guarded")
                .wrap(fixture.auth.require_user())
                .route("/count", web::post().to(count)),
        ),
    )
    .await;
    let (auth, clock, id) = (fixture.auth.clone(), fixture.clock.clone(), session.id());
    let reply = trickle!(app, "/guarded/count", &session, async move {
        auth.invalidate_session(id).await.unwrap();
        clock.advance(LATE);
    });
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(seen.load(Ordering::SeqCst), 1, "what came in time");
}

#[actix_web::test]
async fn an_optional_user_is_none_after_a_late_body() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let (auth, clock, id) = (fixture.auth.clone(), fixture.clock.clone(), session.id());
    let reply = trickle!(app!(fixture), "/anybody", &session, async move {
        auth.invalidate_session(id).await.unwrap();
        clock.advance(LATE);
    });
    assert_eq!(reply.body, "all by nobody");
}

#[actix_web::test]
async fn a_fast_body_costs_no_second_read_and_a_late_one_costs_one() {
    for (path, body) in [
        ("/save", "name-1 saved all"),
        ("/anybody", "all by name-1"),
        ("/guarded/save", "name-1 saved all"),
        ("/guarded/plain", "all"),
    ] {
        for (time, reads) in [(Duration::ZERO, 1), (IN_TIME, 1), (LATE, 2)] {
            let fixture = Fixture::new().await;
            let session = fixture.session(1).await;
            let app = app!(fixture);
            let clock = fixture.clock.clone();
            let reply = trickle!(app, path, &session, async move { clock.advance(time) });
            assert_eq!((reply.status, &*reply.body), (StatusCode::OK, body), "{path} {time:?}");
            assert_eq!(fixture.store.calls(), reads, "{path} {time:?}");
        }
    }
}

#[actix_web::test]
async fn a_late_body_is_detected_even_if_the_clock_was_set_back() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let (auth, clock, id) = (fixture.auth.clone(), fixture.clock.clone(), session.id());
    let before = session.created_at();
    let reply = trickle!(app!(fixture), "/save", &session, async move {
        auth.invalidate_session(id).await.unwrap();
        clock.set(locals::Timestamp::from_millis(before.as_millis() - 60_000));
    });
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_fault_in_the_second_read_is_no_logout() {
    for path in ["/save", "/guarded/save", "/guarded/plain"] {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let app = app!(fixture);
        let (store, clock) = (fixture.store.clone(), fixture.clock.clone());
        let reply = trickle!(app, path, &session, async move {
            store.fail(true);
            clock.advance(LATE);
        });
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {reply:?}");
        assert!(reply.sets_no_cookie());
    }
}

#[actix_web::test]
async fn a_token_rotated_while_the_body_arrives_stays_valid() {
    let every = Duration::from_mins(10);
    for late in [LATE, Duration::from_mins(5)] {
        let fixture = Fixture::configured(|builder| builder.rotate_every(every)).await;
        let session = fixture.session(1).await;
        let app = app!(fixture);
        fixture.clock.advance(just_before(every));
        let (auth, clock, token) = (fixture.auth.clone(), fixture.clock.clone(), cookie(&session));
        let exchanging = init_service(App::new().configure(auth.configure()).service(save)).await;
        let reply = trickle!(app, "/save", &session, async move {
            clock.advance(Duration::from_millis(1));
            let request = support::post("/save").insert_header(token).to_request();
            assert!(call_service(&exchanging, request).await.status().is_success());
            clock.advance(late);
        });
        assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "name-1 saved all"), "{late:?}");
        // Whichever answer the browser hears last, it has the token that opens the session.
        let given = reply.session_cookie();
        assert!(fixture.auth.validate_session(given).await.unwrap().is_some());
    }
}

#[actix_web::test]
async fn an_impersonation_that_ends_while_the_body_arrives_runs_no_handler() {
    let (fixture, admin, acting) = admin_acting_as_1().await;
    let (auth, clock) = (fixture.auth.clone(), fixture.clock.clone());
    let request = support::post("/save").insert_header(acting);
    let reply = send_late!(app!(fixture), request, async move {
        auth.invalidate_session(admin.id()).await.unwrap();
        clock.advance(LATE);
    });
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}
