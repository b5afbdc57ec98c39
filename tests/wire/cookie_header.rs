//! From which bytes a token is taken, on a socket.

use actix_web::http::StatusCode;

use crate::{
    cases::{CASES, Expected, fill},
    server::{Server, cookie_line, request},
    support::{Fixture, Reply},
};

/// What has come of a request, by its answer and by what the store was asked.
pub fn outcome(reply: &Reply, fixture: &Fixture) -> Option<Expected> {
    let calls = (fixture.store.reads(), fixture.store.writes());
    match (reply.status, calls) {
        (StatusCode::OK, (1, 0)) if reply.body == "name-1" && reply.sets_no_cookie() => {
            Some(Expected::User)
        }
        (StatusCode::UNAUTHORIZED, (0, 0)) if reply.sets_no_cookie() => Some(Expected::Nobody),
        (StatusCode::UNAUTHORIZED, (1, 0)) if reply.sets_no_cookie() => Some(Expected::Unknown),
        (StatusCode::BAD_REQUEST, (0, 0)) if reply.sets_no_cookie() => Some(Expected::Refused),
        _ => None,
    }
}

#[actix_web::test]
async fn every_form_of_the_cookie_header_gives_a_user_or_none_and_never_a_fault() {
    let server = Server::start().await;
    let (session, other) = (server.session(1).await, server.session(2).await);
    let mut wrong = Vec::new();
    for (expected, case) in CASES {
        server.fixture.store.forget();
        let mut connection = server.connect().await;
        connection.send(request("GET /me", fill(case, &session, &other))).await;
        let reply = connection.answer().await;
        let seen = outcome(&reply, &server.fixture);
        if seen != Some(*expected) {
            let case = String::from_utf8_lossy(case);
            wrong.push(format!("{case:?}: {expected:?}, not {seen:?}: {}", reply.status));
        }
        // What is refused by the HTTP layer ends the connection: nothing that follows is read.
        if *expected == Expected::Refused {
            assert!(connection.is_at_its_end().await);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(server.fixture.rows().await, 2);
    server.stop().await;
}

#[actix_web::test]
async fn logging_in_never_adopts_a_token_that_the_client_has_chosen() {
    let server = Server::start().await;
    server.fixture.account(1).await;
    let chosen = "A".repeat(64);
    for cookie in [
        format!("Cookie: __Host-session={chosen}"),
        format!("Cookie: __Host-session={chosen}; __Host-session={chosen}"),
        format!("Cookie: __Host-session={chosen}; __Host-session=junk"),
        format!("Cookie: __%48ost-session={chosen}"),
        format!("Cookie: __Host-session-guest={chosen}"),
        format!("Authorization: Bearer {chosen}"),
    ] {
        let reply = server.ask(request("POST /login/1", &cookie)).await;
        assert_eq!(reply.status, StatusCode::OK, "{cookie}");
        let issued = reply.session_cookie().to_owned();
        assert_eq!(issued.len(), 64);
        assert_ne!(issued, chosen);
        let chosen = format!("Cookie: __Host-session={chosen}");
        assert_eq!(server.ask(request("GET /me", chosen)).await.status, StatusCode::UNAUTHORIZED);
        let issued = format!("Cookie: __Host-session={issued}");
        assert_eq!(server.ask(request("GET /me", issued)).await.body, "name-1");
    }
    assert_eq!(server.fixture.rows().await, 6, "each login made one session of its own");
    server.stop().await;
}

#[actix_web::test]
async fn logging_in_with_a_session_ends_it_and_its_token() {
    let server = Server::start().await;
    let old = server.session(1).await;
    let reply = server.ask(request("POST /login/1", cookie_line(&old))).await;
    let issued = format!("Cookie: __Host-session={}", reply.session_cookie());
    let replies = [cookie_line(&old), issued].map(|line| request("GET /me", line));
    assert_eq!(server.ask(&replies[0]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.ask(&replies[1]).await.body, "name-1");
    assert_eq!(server.fixture.rows().await, 1);
    server.stop().await;
}
