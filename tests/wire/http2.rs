//! HTTP/2, where a client may cut the `Cookie` header into crumbs (RFC 9113, section 8.2.3).

use actix_web::{http::StatusCode, rt, web::Bytes};
use futures_util::future::join_all;
use h2::client::SendRequest;
use http::Request;

use crate::{
    cases::{CASES, Expected, fill},
    cookie_header::outcome,
    server::Server,
    support::{Reply, as_set, cookie},
};

/// A connection of HTTP/2, without TLS and without asking first.
struct Connection<'a> {
    requests: SendRequest<Bytes>,
    server: &'a Server,
}

impl<'a> Connection<'a> {
    async fn to(server: &'a Server) -> Self {
        let (requests, connection) = h2::client::handshake(server.stream().await).await.unwrap();
        rt::spawn(connection);
        Self { requests, server }
    }

    /// Sends one request, with as many fields of a name as are given.
    async fn ask(&self, line: &str, fields: &[(&str, &[u8])]) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request =
            Request::builder().method(method).uri(format!("http://app.example{path}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (answer, _) = requests.send_request(request.body(()).unwrap(), true).unwrap();
        let (head, mut chunks) = answer.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(chunk) = chunks.data().await {
            body.extend_from_slice(&chunk.unwrap());
        }
        let body = String::from_utf8(body).unwrap();
        let reply = Reply { status: head.status, headers: head.headers.into(), body };
        self.server.check(&reply);
        reply
    }
}

#[actix_web::test]
async fn every_form_of_the_cookie_header_means_the_same_over_http2() {
    let server = Server::start().await;
    let (session, other) = (server.session(1).await, server.session(2).await);
    let connection = Connection::to(&server).await;
    let mut wrong = Vec::new();
    // What no parser lets through does not reach a client's library either.
    for (expected, case) in CASES.iter().filter(|(expected, _)| *expected != Expected::Refused) {
        server.fixture.store.forget();
        let filled = fill(case, &session, &other);
        let lines = filled.split(|byte| *byte == b'\n').map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            (std::str::from_utf8(&line[..colon]).unwrap(), line[colon + 1..].trim_ascii())
        });
        let reply = connection.ask("GET /me", &lines.collect::<Vec<_>>()).await;
        let seen = outcome(&reply, &server.fixture);
        if seen != Some(*expected) {
            wrong.push(format!("{:?}: {seen:?}", String::from_utf8_lossy(case)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.stop().await;
}

#[actix_web::test]
async fn a_session_is_found_in_any_of_the_crumbs_of_a_cookie_header() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let (_, ours) = cookie(&session);
    let foreign: Vec<_> = (0..200).map(|number| format!("crumb-{number}={number}")).collect();
    let connection = Connection::to(&server).await;
    for place in [0, 1, 100, 199, 200] {
        let mut crumbs: Vec<_> = foreign.iter().map(|crumb| ("cookie", crumb.as_bytes())).collect();
        crumbs.insert(place, ("cookie", ours.as_bytes()));
        assert_eq!(connection.ask("GET /me", &crumbs).await.body, "name-1", "at {place}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_streams_of_one_connection_keep_their_users_apart() {
    let server = Server::start().await;
    let sessions = [server.session(1).await, server.session(2).await];
    let pairs = sessions.map(|session| cookie(&session).1);
    let connection = Connection::to(&server).await;
    let answers = (0..90).map(async |turn| {
        let (crumbs, expected) = match pairs.get(turn % 3) {
            Some(pair) => (vec![("cookie", pair.as_bytes())], format!("GET name-{}", turn % 3 + 1)),
            None => (vec![], "GET nobody".to_owned()),
        };
        assert_eq!(connection.ask("GET /public", &crumbs).await.body, expected);
    });
    join_all(answers).await;
    server.stop().await;
}

#[actix_web::test]
async fn the_authority_of_http2_is_the_host_that_an_origin_must_name() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let (_, ours) = cookie(&session);
    let connection = Connection::to(&server).await;
    let ask = async |line: &str, fields: &[(&str, &str)]| {
        server.fixture.store.forget();
        let mut all = vec![("cookie", ours.as_bytes())];
        all.extend(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
        let reply = connection.ask(line, &all).await;
        (reply.status.as_u16(), server.fixture.store.reads())
    };
    for (fields, expected) in [
        (&[("origin", "https://app.example")][..], (200, 1)),
        (&[("origin", "https://evil.example")], (403, 0)),
        (&[("origin", "https://evil.example"), ("host", "evil.example")], (403, 0)),
        (&[("sec-fetch-site", "cross-site")], (403, 0)),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], (403, 0)),
    ] {
        for line in ["POST /any", "TRACE /any", "get /any", "FOO /any"] {
            assert_eq!(ask(line, fields).await, expected, "{line} {fields:?}");
        }
        assert_eq!(ask("GET /any", fields).await, (200, 1));
    }
    server.stop().await;
}

#[actix_web::test]
async fn signing_in_and_out_goes_over_http2_as_well() {
    let server = Server::start().await;
    server.fixture.account(1).await;
    let connection = Connection::to(&server).await;
    let reply = connection.ask("POST /login/1", &[]).await;
    let (_, cookie) = as_set(&reply);
    let crumbs = [("cookie", &b"a=1"[..]), ("cookie", cookie.as_bytes())];
    assert_eq!(connection.ask("GET /me", &crumbs).await.body, "name-1");
    let head = connection.ask("HEAD /me", &crumbs).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    assert!(connection.ask("POST /logout", &crumbs).await.removes_the_cookie());
    assert_eq!(connection.ask("GET /me", &crumbs).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.fixture.rows().await, 0);
    server.stop().await;
}

#[actix_web::test]
async fn over_http2_a_user_is_found_behind_128_kib_of_foreign_cookies() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let (_, ours) = cookie(&session);
    let connection = Connection::to(&server).await;
    for (count, length) in [(1, 128 * 1024), (128, 1024), (2048, 64)] {
        let foreign = format!("x={}", "a".repeat(length - 2));
        let mut crumbs = vec![("cookie", foreign.as_bytes()); count];
        crumbs.push(("cookie", ours.as_bytes()));
        assert_eq!(connection.ask("GET /me", &crumbs).await.body, "name-1", "{count} crumbs");
    }
    server.stop().await;
}
