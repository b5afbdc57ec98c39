//! Methods that are safe, that are not, and that only say so.

use actix_web::http::{StatusCode, header::DATE};

use crate::{
    server::{Server, cookie_line, request, request_with},
    support::{DAY, Reply},
};

/// All that an answer says before its body, but for the time and the token.
fn said(reply: &Reply) -> (StatusCode, Vec<String>) {
    let mut headers: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != DATE)
        .map(|(name, value)| {
            let value = value.to_str().unwrap();
            format!("{name}: {}", value.split_once(';').map_or(value, |(_, rest)| rest))
        })
        .collect();
    headers.sort();
    (reply.status, headers)
}

#[actix_web::test]
async fn a_head_request_has_the_headers_of_a_get_and_no_body() {
    let server = Server::start().await;
    // Two, as the first request with one of them renews it.
    let idle = [server.session(1).await, server.session(2).await].map(|it| cookie_line(&it));
    server.fixture.clock.advance(2 * DAY);
    let active = cookie_line(&server.session(3).await);
    let junk = "Cookie: __Host-session=junk".to_owned();
    let unknown = format!("Cookie: __Host-session={}", "A".repeat(64));
    for ([get, head], status, cookies) in [
        ([String::new(), String::new()], 401, 0),
        ([junk.clone(), junk], 401, 0),
        ([unknown.clone(), unknown], 401, 0),
        ([active.clone(), active], 200, 0),
        (idle, 200, 1),
    ] {
        let mut connection = server.connect().await;
        connection.send(request("GET /me", get)).await;
        let get = connection.answer().await;
        // Not before the answer: in a pipeline, Actix forgets which of the requests was a HEAD.
        connection.send(request("HEAD /me", head)).await;
        let head = connection.head().await;
        assert_eq!((get.status.as_u16(), get.set_cookies().len()), (status, cookies));
        assert_eq!(said(&get), said(&head));
        // Right behind its head comes the next answer.
        connection.send(request("GET /nowhere", "")).await;
        assert_eq!(connection.answer().await.status, StatusCode::NOT_FOUND);
    }
    server.stop().await;
}

#[actix_web::test]
async fn only_get_head_and_options_are_safe_whatever_else_a_request_says() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let mut methods = Vec::new();
    for (safe, names) in [
        (true, "GET OPTIONS"),
        (false, "POST PUT PATCH DELETE TRACE TRACK PROPFIND QUERY PURGE FOO"),
        (false, "get Get gET head options post GETS XGET G E-T ! GET|POST"),
    ] {
        methods.extend(names.split(' ').map(|name| (safe, name)));
    }
    for (safe, method) in methods {
        for path in ["/any", "/any?_method=GET", "/any?_method=POST&method=DELETE"] {
            for says in
                ["X-HTTP-Method-Override: GET", "X-HTTP-Method: POST", "X-Method-Override: TRACE"]
            {
                server.fixture.store.forget();
                let line = format!("{method} {path}");
                let headers =
                    format!("Sec-Fetch-Site: cross-site\r\n{says}\r\n{}", cookie_line(&session));
                let reply = server.ask(request(&line, headers)).await;
                let seen = (reply.status, reply.body.as_str(), server.fixture.store.calls());
                if safe {
                    assert_eq!(seen, (StatusCode::OK, &*format!("{method} name-1"), 1), "{line}");
                } else {
                    assert_eq!((seen.0, seen.2), (StatusCode::FORBIDDEN, 0), "{line}");
                }
            }
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_method_named_in_a_body_is_ignored() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let cookie = cookie_line(&session);
    for (line, site, status, body) in [
        ("POST /any", "cross-site", 403, None),
        ("POST /any", "same-origin", 200, Some("POST name-1")),
        ("GET /any", "cross-site", 200, Some("GET name-1")),
    ] {
        for method in ["GET", "DELETE"] {
            let headers = format!("Sec-Fetch-Site: {site}\r\n{form}\r\n{cookie}");
            let body_sent = format!("_method={method}");
            let reply = server.ask(request_with(line, &headers, &body_sent)).await;
            assert_eq!(reply.status.as_u16(), status, "{line} {site}");
            assert!(body.is_none_or(|body| reply.body == body), "{reply:?}");
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_trace_handler_of_the_app_shows_no_cookie() {
    let server = Server::start().await;
    let session = server.session(1).await;
    // That the token is in no answer, the connection checks.
    let headers = format!("Sec-Fetch-Site: same-origin\r\n{}", cookie_line(&session));
    let reply = server.ask(request("TRACE /any", headers)).await;
    assert_eq!(reply.body, "TRACE name-1");
    server.stop().await;
}
