//! More cookies than anybody needs.

use std::time::Duration;

use actix_web::{
    get,
    http::{
        StatusCode,
        header::{COOKIE, HeaderValue},
    },
    test::{TestRequest, call_service},
};
use locals::{Session, with_session};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    server::{Server, cookie_line, request},
    support::Fixture,
};

const KIB: usize = 1024;

/// Lines of foreign cookies, of so many bytes together, and then ours.
fn lines(count: usize, bytes: usize, ours: &str) -> String {
    let line = format!("Cookie: x={}\r\n", "a".repeat(bytes / count - "Cookie: x=\r\n".len()));
    line.repeat(count) + ours
}

#[actix_web::test]
async fn the_session_cookie_is_found_after_as_many_cookies_as_actix_reads() {
    let server = Server::start().await;
    let session = server.session(1).await;
    for count in [1, 2, 90] {
        let lines = lines(count, 120 * KIB, &cookie_line(&session));
        assert_eq!(server.ask(request("GET /me", lines)).await.body, "name-1", "{count} headers");
    }
    server.stop().await;
}

#[actix_web::test]
async fn headers_that_actix_does_not_read_open_no_session() {
    // It reads a head of 128 KiB, and beyond that what has come in the same moment; and 96 headers.
    let server = Server::start().await;
    let session = server.session(1).await;
    let ours = cookie_line(&session);
    let reply = server.ask(request("GET /me", lines(1, 128 * KIB, &ours))).await;
    let seen = (reply.status, server.fixture.store.calls());
    let refused = (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, 0);
    assert!([(StatusCode::OK, 1), refused].contains(&seen), "{seen:?}");

    server.fixture.store.forget();
    let reply = server.ask(request("GET /me", lines(96, 64 * KIB, &ours))).await;
    assert_eq!((reply.status, server.fixture.store.calls()), refused);

    let mut connection = server.connect().await;
    // The server hangs up in the middle, so that neither all is sent nor all is heard.
    connection.stream.write_all(&request("GET /me", lines(1, 2048 * KIB, &ours))).await.ok();
    let mut heard = Vec::new();
    connection.stream.read_to_end(&mut heard).await.ok();
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 431 "));
    assert_eq!(server.fixture.store.calls(), 0);
    server.stop().await;
}

#[get("/")]
#[with_session]
async fn nobody(session: Option<Session>) -> &'static str {
    if session.is_some() { "somebody" } else { "nobody" }
}

/// What the processor has worked for this thread: waiting, and the work of others, do not count.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

#[actix_web::test]
async fn the_work_grows_linearly_with_the_cookies() {
    /// Makes a header of about so many bytes.
    type Form = fn(usize) -> String;
    // The forms that a parser might read more than once.
    const FORMS: [(&str, Form); 7] = [
        ("many pairs", |bytes| "a=b; ".repeat(bytes / 5)),
        ("many empty pairs", |bytes| ";".repeat(bytes)),
        ("one name", |bytes| "a".repeat(bytes)),
        ("one value", |bytes| format!("__Host-session={}", "a".repeat(bytes))),
        ("white space all around", |bytes| {
            let space = " \t".repeat(bytes / 8);
            format!("{space}a{space}={space}b{space}")
        }),
        ("many equals signs", |bytes| "=".repeat(bytes)),
        ("one value many times", |bytes| {
            format!("__Host-session={}; ", "a".repeat(63)).repeat(bytes / 80)
        }),
    ];
    let fixture = Fixture::new().await;
    let app = crate::app!(fixture, nobody);
    let least_work = async |header: HeaderValue| {
        let mut least = Duration::MAX;
        for _ in 0..7 {
            let request = TestRequest::get().insert_header((COOKIE, header.clone())).to_request();
            let before = worked();
            let response = call_service(&app, request).await;
            least = least.min(worked().saturating_sub(before));
            assert_eq!(response.status(), StatusCode::OK);
        }
        least
    };
    for (form, header) in FORMS {
        let [little, much] = [16 * KIB, 256 * KIB].map(|bytes| header(bytes).parse().unwrap());
        let (little, much) = (least_work(little).await, least_work(much).await);
        // Linear work grows 16 times, or less where what each request costs outweighs it; quadratic
        // work grows 256 times. 64 is far from both, and the least of some runs is an undisturbed one.
        assert!(much < 64 * little, "{form}: {little:?}, and {much:?} for 16 times as much");
    }
    assert_eq!(fixture.store.calls(), 0);
}
