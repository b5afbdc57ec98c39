//! Where a request says that it comes from, in every form, and what is opened from there.

use actix_web::http::StatusCode;

use crate::server::{Server, cookie_line, request};

/// Lines of a request that changes something, and whether it may.
const ORIGINS: &[(bool, &[u8])] = &[
    (true, b"X: neither"),
    (true, b"Sec-Fetch-Site: same-origin"),
    (true, b"Sec-Fetch-Site: none"),
    (true, b"SEC-FETCH-SITE:   same-origin\t "),
    (true, b"Sec-Fetch-Site: same-origin\r\nOrigin: https://app.example"),
    // The browser says it itself: an app behind a proxy may have another name.
    (true, b"Sec-Fetch-Site: same-origin\r\nOrigin: https://public.example"),
    (true, b"Sec-Fetch-Site: cross-site\r\nOrigin: https://sso.example"),
    (false, b"Sec-Fetch-Site: cross-site"),
    (false, b"Sec-Fetch-Site: same-site"),
    (false, b"Sec-Fetch-Site:"),
    (false, b"Sec-Fetch-Site: Same-Origin"),
    (false, b"Sec-Fetch-Site: SAME-ORIGIN"),
    (false, b"Sec-Fetch-Site: same-origi"),
    (false, b"Sec-Fetch-Site: same-origin;x"),
    (false, b"Sec-Fetch-Site: \"same-origin\""),
    (false, b"Sec-Fetch-Site: ?1"),
    (false, b"Sec-Fetch-Site: same-origin, cross-site"),
    (false, b"Sec-Fetch-Site: cross-site, same-origin"),
    (false, b"Sec-Fetch-Site: same-origin none"),
    (false, b"Sec-Fetch-Site: same-origin\xFF"),
    (false, b"Sec-Fetch-Site: \xC2\xA0same-origin"),
    (false, b"Sec-Fetch-Site: same-origin\xE2\x80\x80"),
    (false, b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site"),
    (false, b"Sec-Fetch-Site: cross-site\r\nsec-fetch-site: same-origin"),
    (false, b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: same-origin"),
    (false, b"Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example"),
    (false, b"Sec-Fetch-Site: cross-site\r\nOrigin: https://sso.example, https://evil.example"),
    (false, b"Sec-Fetch-Site: same-origin\r\nOrigin: https://app.example\r\nOrigin: https://evil.example"),
    (false, b"Sec-Fetch-Site: same-origin\r\nOrigin: \xFF"),
    (true, b"Origin: https://app.example"),
    (true, b"ORIGIN: \t https://app.example \t"),
    (true, b"Origin: https://APP.EXAMPLE"),
    (true, b"Origin: https://sso.example"),
    (false, b"Origin:"),
    (false, b"Origin: null"),
    (false, b"Origin: *"),
    (false, b"Origin: app.example"),
    (false, b"Origin: //app.example"),
    (false, b"Origin: https:app.example"),
    (false, b"Origin: https://evil.example"),
    (false, b"Origin: https://app.example.evil.example"),
    (false, b"Origin: https://evil.example/https://app.example"),
    (false, b"Origin: https://evil.example#app.example"),
    (false, b"Origin: https://app.example@evil.example"),
    (false, b"Origin: https://evil.example@app.example"),
    (false, b"Origin: https://app.example:444"),
    (false, b"Origin: https://app.example/"),
    (false, b"Origin: https://app.example."),
    (false, b"Origin: https://xapp.example"),
    (false, b"Origin: https://app.example, https://evil.example"),
    (false, b"Origin: https://app.example https://evil.example"),
    (false, b"Origin: https://app.example\xFF"),
    (false, b"Origin: https://\xC2\xA0app.example"),
    (false, b"Origin: https://app%2Eexample"),
    (false, b"Origin: https://app\xE3\x80\x82example"),
    (false, b"Origin: HTTPS://SSO.EXAMPLE"),
    (false, b"Origin: https://app.example\r\nOrigin: https://evil.example"),
    (false, b"Origin: https://evil.example\r\norigin: https://app.example"),
    (false, b"Origin: https://app.example\r\nOrigin: https://app.example"),
    // What anybody may write counts for nothing.
    (false, b"Origin: https://evil.example\r\nX-Forwarded-Host: evil.example"),
    (false, b"Origin: https://evil.example\r\nForwarded: host=evil.example;proto=https"),
    (false, b"Origin: https://evil.example\r\nReferer: https://app.example/"),
];

#[actix_web::test]
async fn every_form_of_an_origin_is_allowed_or_refused_before_the_store_is_read() {
    let server = Server::configured(|builder| builder.trusted_origin("https://sso.example")).await;
    let session = server.session(1).await;
    let cookie = cookie_line(&session).into_bytes();
    let mut wrong = Vec::new();
    for (passes, lines) in ORIGINS {
        for (method, anonymous) in [("POST", "/public"), ("DELETE", "/any"), ("TRACE", "/any")] {
            server.fixture.store.forget();
            let headers = [lines, &b"\r\n"[..], &cookie].concat();
            let reply = server.ask(request(&format!("{method} {anonymous}"), headers)).await;
            let seen = (reply.status, server.fixture.store.calls());
            let expected = if *passes { (StatusCode::OK, 1) } else { (StatusCode::FORBIDDEN, 0) };
            if seen != expected || !reply.sets_no_cookie() {
                wrong.push(format!("{method} {}: {seen:?}", String::from_utf8_lossy(lines)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.stop().await;
}

#[actix_web::test]
async fn logging_in_or_out_from_another_origin_is_refused() {
    let server = Server::start().await;
    let session = server.session(1).await;
    for line in ["POST /login/1", "POST /logout", "post /login/1", "LOGIN /login/1"] {
        for cookie in [cookie_line(&session), "X: none".to_owned()] {
            let headers = format!("Origin: https://evil.example\r\n{cookie}");
            let reply = server.ask(request(line, headers)).await;
            // Actix has no route for the last two.
            let expected = if line.starts_with("POST") { [403, 403] } else { [404, 405] };
            assert!(expected.contains(&reply.status.as_u16()), "{line}: {reply:?}");
            assert!(reply.sets_no_cookie());
        }
    }
    assert_eq!(server.fixture.rows().await, 1);
    assert_eq!(server.fixture.store.calls(), 0);
    server.stop().await;
}

#[actix_web::test]
async fn a_websocket_from_another_origin_is_never_opened() {
    /// Whether `actix-ws` takes it for a request to open one.
    const UPGRADES: &[(bool, &str)] = &[
        (true, "Upgrade: websocket"),
        (true, "UPGRADE:\twebsocket "),
        (true, "Upgrade: WebSocket"),
        (true, "Upgrade: WEBSOCKET"),
        (true, "Upgrade: websocket, h2c"),
        (true, "Upgrade: h2c,websocket"),
        (true, "Upgrade: , websocket ,"),
        (true, "Upgrade: websocket/13"),
        (true, "Upgrade: websocket;q=1"),
        (true, "Upgrade: \"websocket\""),
        (true, "Upgrade: xwebsockets"),
        (true, "Upgrade: websocket\r\nUpgrade: h2c"),
        (false, "Upgrade: h2c\r\nUpgrade: websocket"),
        (false, "Upgrade: web-socket"),
        (false, "Upgrade:"),
        (false, "X: no upgrade"),
    ];
    const ORIGINS: &[(bool, &str)] = &[
        (true, "Origin: https://app.example"),
        (true, "Sec-Fetch-Site: same-origin\r\nOrigin: https://app.example"),
        // A program, not a browser.
        (true, "X: no origin"),
        (false, "Origin: https://evil.example"),
        (false, "Origin: null"),
        (false, "Origin:"),
        (false, "Origin: https://app.example\r\nOrigin: https://evil.example"),
        (false, "Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example"),
        (false, "Sec-Fetch-Site: same-site"),
    ];
    let server = Server::start().await;
    let session = server.session(1).await;
    for (opens, upgrade) in UPGRADES {
        for (own, origin) in ORIGINS {
            server.fixture.store.forget();
            let headers = format!(
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{upgrade}\r\n{origin}\r\n{}",
                cookie_line(&session),
            );
            let mut connection = server.connect().await;
            connection.send(request("GET /ws", headers)).await;
            let status = connection.head().await.status.as_u16();
            let what = format!("{upgrade}, {origin}");
            match (opens, own) {
                (true, true) => assert_eq!(status, 101, "{what}"),
                (true, false) => {
                    assert_eq!((status, server.fixture.store.calls()), (403, 0), "{what}");
                }
                // A plain GET, or something that only we are careful about.
                (false, _) => assert!([400, 403].contains(&status), "{what}: {status}"),
            }
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_strict_app_requires_the_origin_of_a_websocket_too() {
    let server = Server::configured(|builder| builder.strict_origins(true)).await;
    let session = server.session(1).await;
    for (line, upgrade) in [("GET /ws", "Upgrade: websocket"), ("POST /any", "X: none")] {
        let headers = format!("{upgrade}\r\n{}", cookie_line(&session));
        assert_eq!(server.ask(request(line, headers)).await.status, StatusCode::FORBIDDEN);
    }
    server.stop().await;
}
