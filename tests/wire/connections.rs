//! Many requests on one connection, in many segments, and on many simultaneous connections.

use actix_web::http::StatusCode;
use futures_util::future::join_all;

use crate::{
    server::{Server, cookie_line, request, request_with},
    support::{DAY, as_set},
};

#[actix_web::test]
async fn the_cookie_of_a_streamed_response_is_sent_and_accepted() {
    let server = Server::start().await;
    server.fixture.account(1).await;
    let reply = server.ask(request("POST /stream", "Connection: close")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.body.contains("one") && reply.body.contains("two"));
    let (name, value) = as_set(&reply);
    let reply = server.ask(request("GET /me", format!("{name}: {value}"))).await;
    assert_eq!(reply.body, "name-1");
    server.stop().await;
}

#[actix_web::test]
async fn fifty_connections_with_one_idle_cookie_are_all_answered_and_renew_once() {
    let server = Server::start().await;
    let idle = server.session(1).await;
    server.fixture.clock.advance(2 * DAY);
    let request = request("GET /me", cookie_line(&idle));
    let mut set = 0;
    for reply in join_all((0..50).map(|_| server.ask(&request))).await {
        assert_eq!(reply.status, StatusCode::OK);
        set += reply.set_cookies().len();
        assert!(reply.sets_no_cookie() || reply.max_age() > 0);
    }
    assert_eq!((set, server.fixture.store.renewals()), (1, 1));
    server.stop().await;
}

#[actix_web::test]
async fn a_request_sent_byte_by_byte_is_read_as_one() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let mut connection = server.connect().await;
    let cookie = format!("Cookie: x=\u{ff}; {}", &cookie_line(&session)["Cookie: ".len()..]);
    for byte in request_with("POST /upload", &cookie, "body") {
        connection.send([byte]).await;
    }
    let reply = connection.answer().await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "4"));
    server.stop().await;
}

#[actix_web::test]
async fn each_response_of_a_pipeline_belongs_to_its_request() {
    let server = Server::start().await;
    let sessions = [server.session(1).await, server.session(2).await];
    let (lines, expected): (Vec<_>, Vec<_>) = (0..90)
        .map(|turn| match sessions.get(turn % 3) {
            Some(session) => (cookie_line(session), format!("GET name-{}", turn % 3 + 1)),
            None => (String::new(), "GET nobody".to_owned()),
        })
        .unzip();
    let mut connection = server.connect().await;
    connection
        .send(lines.iter().map(|line| request("GET /public", line)).collect::<Vec<_>>().concat())
        .await;
    for expected in expected {
        assert_eq!(connection.answer().await.body, expected);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_logout_in_a_pipeline_applies_to_later_requests() {
    let server = Server::start().await;
    let (leaves, stays) = (server.session(1).await, server.session(2).await);
    let mut connection = server.connect().await;
    let script = [
        ("GET /me", &leaves, StatusCode::OK),
        ("GET /me", &stays, StatusCode::OK),
        ("POST /logout", &leaves, StatusCode::OK),
        ("GET /me", &leaves, StatusCode::UNAUTHORIZED),
        ("GET /me", &stays, StatusCode::OK),
    ];
    let requests = script.map(|(line, session, _)| request(line, cookie_line(session)));
    connection.send(requests.concat()).await;
    for (line, _, expected) in script {
        assert_eq!(connection.answer().await.status, expected, "{line}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_refusal_affects_neither_the_next_request_nor_its_user() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let cookie = cookie_line(&session);
    let mut connection = server.connect().await;
    // What is refused unread may look like a request: it stays a body.
    let body = String::from_utf8(request("GET /me", &cookie)).unwrap();
    let cross = format!("Sec-Fetch-Site: cross-site\r\n{cookie}");
    for (refused, status) in [
        (request("GET /me", ""), StatusCode::UNAUTHORIZED),
        (request("GET /nowhere", &cookie), StatusCode::NOT_FOUND),
        (request_with("POST /upload", "", &body), StatusCode::UNAUTHORIZED),
        (request_with("POST /upload", &cross, &body), StatusCode::FORBIDDEN),
        (request_with("POST /login/1", &cross, &body), StatusCode::FORBIDDEN),
    ] {
        connection.send([refused, request("GET /me", &cookie)].concat()).await;
        assert_eq!(connection.answer().await.status, status);
        assert_eq!(connection.answer().await.body, "name-1");
    }
    assert_eq!(server.fixture.rows().await, 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_kept_connection_remembers_no_user() {
    let server = Server::start().await;
    server.fixture.account(1).await;
    server.fixture.account(2).await;
    let mut connection = server.connect().await;
    let mut cookie = String::new();
    for id in [1, 2, 1] {
        connection.send(request(&format!("POST /login/{id}"), &cookie)).await;
        let (name, value) = as_set(&connection.answer().await);
        cookie = format!("{name}: {value}");
        for (line, expected) in [(&*cookie, &*format!("GET name-{id}")), ("", "GET nobody")] {
            connection.send(request("GET /public", line)).await;
            assert_eq!(connection.answer().await.body, expected);
        }
    }
    connection.send(request("POST /logout", &cookie)).await;
    assert!(connection.answer().await.removes_the_cookie());
    connection.send(request("GET /me", &cookie)).await;
    assert_eq!(connection.answer().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.fixture.rows().await, 0);
    server.stop().await;
}
