//! HTTP/2, where a client may cut the `Cookie` header into crumbs (RFC 9113, section 8.2.3).

use actix_web::{http::StatusCode, rt, web::Bytes};
use futures_util::future::join_all;
use h2::client::SendRequest;
use http::Request;
use tokio::io::AsyncReadExt;

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
async fn a_session_is_found_in_any_part_of_a_split_cookie_header() {
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
async fn logging_in_and_out_works_over_http2() {
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
async fn over_http2_the_session_cookie_is_found_after_128_kib_of_other_cookies() {
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

/// A login over HTTP/2, byte by byte: the client's preface, its settings, and one request.
fn log_in_frames() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(0x04, "/login/1"), (0x01, "app.example")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    let length = u8::try_from(block.len()).unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let head = [0, 0, length, 1, 0x05, 0, 0, 0, 1];
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings, &head, &block].concat()
}

/// How a field stands in a block (RFC 7541 §6), and the number of its name in the static table.
#[derive(Debug, PartialEq)]
enum Field {
    Indexed,
    KeptInTable(usize),
    NotIndexed(usize),
    NeverIndexed(usize),
}

/// An integer with a prefix of so many bits (RFC 7541 §5.1).
fn integer(block: &mut &[u8], bits: u32) -> usize {
    let mut next = || {
        let (first, rest) = block.split_first().unwrap();
        *block = rest;
        usize::from(*first)
    };
    let most = (1 << bits) - 1;
    let mut value = next() & most;
    if value < most {
        return value;
    }
    for shift in (0..).step_by(7) {
        let byte = next();
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut block: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some(first) = block.first().copied() {
        let (bits, field): (u32, fn(usize) -> Field) = match first {
            0x80.. => (7, |_| Field::Indexed),
            0x40.. => (6, Field::KeptInTable),
            // A new size of the table.
            0x20.. => {
                integer(&mut block, 5);
                continue;
            }
            0x10.. => (4, Field::NeverIndexed),
            _ => (4, Field::NotIndexed),
        };
        let name = integer(&mut block, bits);
        fields.push(field(name));
        let texts = match (first, name) {
            (0x80.., _) => 0,
            (_, 0) => 2,
            _ => 1,
        };
        for _ in 0..texts {
            let length = integer(&mut block, 7);
            block = &block[length..];
        }
    }
    fields
}

#[actix_web::test]
async fn http2_never_indexes_the_session_cookie() {
    const SET_COOKIE: usize = 55;
    const CACHE_CONTROL: usize = 24;
    let server = Server::start().await;
    server.fixture.account(1).await;
    let mut connection = server.connect().await;
    connection.send(log_in_frames()).await;
    let fields = loop {
        let mut head = [0; 9];
        connection.stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        connection.stream.read_exact(&mut payload).await.unwrap();
        if head[3] == 1 {
            break fields(&payload);
        }
    };
    assert!(fields.contains(&Field::NeverIndexed(SET_COOKIE)), "{fields:?}");
    assert!(!fields.contains(&Field::KeptInTable(SET_COOKIE)), "{fields:?}");
    assert!(fields.contains(&Field::KeptInTable(CACHE_CONTROL)), "as others are: {fields:?}");
    server.stop().await;
}
