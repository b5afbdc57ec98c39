//! A token counts in the session's cookie, and nowhere else.

use actix_web::http::StatusCode;

use crate::server::{Server, request, request_with};

/// Requests that carry a token in any other place.
const REQUESTS: &[(&str, &str)] = &[
    ("GET /me?__Host-session=TOKEN", ""),
    ("GET /me?session=TOKEN&token=TOKEN&access_token=TOKEN", ""),
    ("GET /me?Cookie=__Host-session%3DTOKEN", ""),
    ("GET /me;__Host-session=TOKEN", ""),
    ("GET /me;jsessionid=TOKEN", ""),
    ("GET http://app.example/me?__Host-session=TOKEN", ""),
    ("GET http://__Host-session:TOKEN@app.example/me", ""),
    ("GET /me", "__Host-session: TOKEN"),
    ("GET /me", "Session: TOKEN"),
    ("GET /me", "X-Session: TOKEN"),
    ("GET /me", "X-Session-Token: TOKEN"),
    ("GET /me", "X-Auth-Token: TOKEN"),
    ("GET /me", "X-Forwarded-Cookie: __Host-session=TOKEN"),
    ("GET /me", "Authorization: TOKEN"),
    ("GET /me", "Authorization: Bearer TOKEN"),
    ("GET /me", "Authorization: Session TOKEN"),
    ("GET /me", "Authorization: Basic TOKEN"),
    ("GET /me", "Authorization: Cookie __Host-session=TOKEN"),
    ("GET /me", "Proxy-Authorization: Bearer TOKEN"),
    ("GET /me", "Cookie2: __Host-session=TOKEN"),
    ("GET /me", "Set-Cookie: __Host-session=TOKEN; Path=/; Secure"),
    ("GET /me", "Referer: https://app.example/?__Host-session=TOKEN"),
    ("GET /me", "Origin: https://TOKEN"),
    ("GET /me", "User-Agent: __Host-session=TOKEN"),
    ("GET /me", "If-None-Match: \"TOKEN\""),
    ("GET /me", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: TOKEN"),
];

/// Bodies that do, by their type.
const BODIES: &[(&str, &str)] = &[
    ("application/x-www-form-urlencoded", "__Host-session=TOKEN&token=TOKEN"),
    ("application/json", "{\"__Host-session\":\"TOKEN\",\"token\":\"TOKEN\"}"),
    ("text/plain", "Cookie: __Host-session=TOKEN"),
    (
        "multipart/form-data; boundary=x",
        "--x\r\nContent-Disposition: form-data; name=\"__Host-session\"\r\n\
         Cookie: __Host-session=TOKEN\r\n\r\nTOKEN\r\n--x--\r\n",
    ),
    (
        "message/http",
        "GET /me HTTP/1.1\r\nHost: app.example\r\nCookie: __Host-session=TOKEN\r\n\r\n",
    ),
];

#[actix_web::test]
async fn a_token_outside_its_cookie_is_ignored() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let fill = |text: &str| text.replace("TOKEN", session.token().expose_secret());
    let lines = REQUESTS.iter().map(|(line, headers)| request(&fill(line), fill(headers)));
    let bodies = BODIES.iter().map(|(content_type, body)| {
        request_with("POST /upload", &format!("Content-Type: {content_type}"), &fill(body))
    });
    // Actix forgets the fields behind a body, as RFC 9110, section 6.5.1 allows.
    let trailer = request("POST /upload", "Trailer: Cookie\r\nTransfer-Encoding: chunked");
    let trailer =
        [trailer, fill("0\r\nCookie: __Host-session=TOKEN\r\n\r\n").into_bytes()].concat();
    for request in lines.chain(bodies).chain([trailer]) {
        let text = String::from_utf8_lossy(&request).into_owned();
        let reply = server.ask(request).await;
        // Where the token is a part of the path, there is nothing at all.
        let expected = if text.starts_with("GET /me;") { 404 } else { 401 };
        assert_eq!(reply.status.as_u16(), expected, "{text}");
        assert!(reply.sets_no_cookie(), "{text}");
    }
    assert_eq!((server.fixture.store.calls(), server.fixture.rows().await), (0, 1));
    server.stop().await;
}

#[actix_web::test]
async fn a_bearer_token_counts_only_if_enabled_and_without_a_cookie() {
    let server = Server::configured(|builder| builder.bearer(true)).await;
    let session = server.session(1).await;
    for (headers, expected, reads) in [
        ("Authorization: Bearer TOKEN", StatusCode::OK, 1),
        ("AUTHORIZATION: bEaReR   TOKEN", StatusCode::OK, 1),
        ("Authorization: Bearer TOKEN\r\nCookie: a=1", StatusCode::OK, 1),
        ("Authorization: Bearer TOKEN\r\nCookie: __Host-session=junk", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer TOKEN\r\nCookie: __Host-session=TOKEN", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer", StatusCode::UNAUTHORIZED, 0),
        ("Authorization: BearerTOKEN", StatusCode::UNAUTHORIZED, 0),
        ("Authorization: Bearer\tTOKEN", StatusCode::UNAUTHORIZED, 0),
        ("Authorization: Bearer TOKEN,TOKEN", StatusCode::UNAUTHORIZED, 0),
        ("Authorization: Bearer \"TOKEN\"", StatusCode::UNAUTHORIZED, 0),
    ] {
        server.fixture.store.forget();
        let filled = headers.replace("TOKEN", session.token().expose_secret());
        let reply = server.ask(request("GET /me", filled)).await;
        assert_eq!((reply.status, server.fixture.store.reads()), (expected, reads), "{headers}");
        assert!(reply.sets_no_cookie());
    }
    server.stop().await;
}

#[actix_web::test]
async fn two_authorization_headers_count_as_one_if_equal_and_are_refused_otherwise() {
    let server = Server::configured(|builder| builder.bearer(true)).await;
    let (session, other) = (server.session(1).await, server.session(2).await);
    for (headers, expected, reads) in [
        ("Authorization: Bearer ONE\r\nAuthorization: Bearer ONE", StatusCode::OK, 1),
        ("Authorization: Bearer ONE\r\nA: b\r\nauthorization:bearer  ONE", StatusCode::OK, 1),
        ("Authorization: Bearer ONE\r\nAuthorization: Bearer TWO", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer TWO\r\nauthorization: Bearer ONE", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer ONE\r\nAuthorization: Bearer x", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer ONE\r\nAuthorization:", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Basic YTpi\r\nAuthorization: Bearer ONE", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer ONE\r\nAuthorization: Basic YTpi", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Bearer ONE, Bearer TWO", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Basic YTpi, Bearer ONE", StatusCode::BAD_REQUEST, 0),
        ("Authorization: Basic YTpi\r\nAuthorization: Token x", StatusCode::UNAUTHORIZED, 0),
    ] {
        server.fixture.store.forget();
        let filled = headers
            .replace("ONE", session.token().expose_secret())
            .replace("TWO", other.token().expose_secret());
        let reply = server.ask(request("GET /me", filled)).await;
        assert_eq!((reply.status, server.fixture.store.reads()), (expected, reads), "{headers}");
        assert!(reply.sets_no_cookie());
    }
    server.stop().await;
}
