//! Clients that go away before they are answered.

use actix_web::http::StatusCode;
use locals::Session;
use tokio::{io::AsyncWriteExt, task::yield_now};

use crate::{
    server::{Connection, Server, cookie_line, request},
    support::{Account, as_set},
};

/// An orderly end, after which the client still listens.
async fn finish(connection: &mut Connection) {
    connection.stream.shutdown().await.unwrap();
}

/// A connection that ends without a message, as when the process is killed.
fn reset(connection: Connection) {
    connection.stream.set_zero_linger().unwrap();
    drop(connection);
}

async fn opens(server: &Server, session: &Session) -> bool {
    server.ask(request("GET /me", cookie_line(session))).await.status == StatusCode::OK
}

/// A login that stands still: before it is done, or after.
async fn log_in_held(server: &Server, presented: &Session, after: bool) -> Connection {
    let mut connection = server.connect().await;
    connection.send(request("POST /slow-login", cookie_line(presented))).await;
    let watched = &server.watched;
    watched.before.reached().await;
    if after {
        watched.before.open();
        watched.after.reached().await;
    }
    connection
}

#[actix_web::test]
async fn a_login_whose_client_closes_its_side_is_completed_and_answered() {
    for after in [false, true] {
        let server = Server::start().await;
        let old = server.session(1).await;
        let mut connection = log_in_held(&server, &old, after).await;
        finish(&mut connection).await;
        let watched = &server.watched;
        watched.before.open();
        watched.after.open();
        let (name, value) = as_set(&connection.answer().await);
        watched.ended.notified().await;
        let reply = server.ask(request("GET /me", format!("{name}: {value}"))).await;
        assert_eq!((reply.body.as_str(), server.fixture.rows().await), ("name-1", 1));
        assert!(!opens(&server, &old).await);
        server.stop().await;
    }
}

#[actix_web::test]
async fn a_login_whose_client_resets_is_done_fully_or_not_at_all() {
    for after in [false, true] {
        let server = Server::start().await;
        let old = server.session(1).await;
        let connection = log_in_held(&server, &old, after).await;
        reset(connection);
        // The gate stays shut: only by being dropped can the handler be gone.
        server.watched.gone.notified().await;
        assert_eq!((opens(&server, &old).await, server.fixture.rows().await), (!after, 1));
        server.stop().await;
    }
}

#[actix_web::test]
async fn a_reset_at_any_point_of_a_login_leaves_one_session() {
    let server = Server::start().await;
    server.fixture.account(1).await;
    let auth = &server.fixture.auth;
    for round in 0..150 {
        auth.invalidate_user_sessions(1).await.unwrap();
        let old = auth.create_session(&Account::of(1)).await.unwrap();
        let mut connection = server.connect().await;
        connection.send(request("POST /slow-login", cookie_line(&old))).await;
        server.watched.before.reached().await;
        server.watched.before.open();
        for _ in 0..round {
            yield_now().await;
        }
        reset(connection);
        server.watched.gone.notified().await;
        // The old one or the new one: never both, and never neither.
        assert_eq!(server.fixture.rows().await, 1, "round {round}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_body_that_never_arrives_changes_nothing_and_blocks_nobody() {
    const BODIES: [&str; 4] = [
        "Content-Length: 10\r\n\r\n",
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    let server = Server::start().await;
    let session = server.session(1).await;
    let cookie = cookie_line(&session);
    let mut waiting = Vec::new();
    for body in BODIES.into_iter().cycle().take(16) {
        let mut connection = server.connect().await;
        let head = format!("POST /upload-and-leave HTTP/1.1\r\nHost: app.example\r\n{cookie}\r\n");
        connection.send(head + body).await;
        waiting.push(connection);
    }
    // More of them than there are workers, and each is still served.
    for _ in 0..16 {
        assert!(opens(&server, &session).await);
    }
    for (turn, mut connection) in waiting.into_iter().enumerate() {
        if turn % 2 == 0 {
            finish(&mut connection).await;
            assert_eq!(connection.answer().await.status, StatusCode::BAD_REQUEST);
        } else {
            reset(connection);
        }
    }
    assert!(opens(&server, &session).await);
    // With its body, the same request logs out.
    let whole = request("POST /upload-and-leave", format!("{cookie}\r\nContent-Length: 4"));
    let reply = server.ask([whole, b"body".to_vec()].concat()).await;
    assert_eq!((reply.body.as_str(), opens(&server, &session).await), ("4", false));
    server.stop().await;
}

#[actix_web::test]
async fn a_request_without_a_session_is_refused_without_waiting_for_the_body() {
    let server = Server::start().await;
    for body in [
        "Content-Length: 100000",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue\r\nContent-Length: 9",
    ] {
        // It is never sent: an answer shows that nobody waited for it.
        let mut connection = server.connect().await;
        connection.send(request("POST /upload", body)).await;
        let mut reply = connection.head().await;
        if reply.status == StatusCode::CONTINUE {
            reply = connection.answer().await;
        }
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{body}");
    }
    assert_eq!(server.fixture.store.calls(), 0);
    server.stop().await;
}

#[actix_web::test]
async fn an_incomplete_request_head_is_no_request() {
    let server = Server::start().await;
    let session = server.session(1).await;
    let whole = request("POST /logout", cookie_line(&session));
    // Cut inside of the method, the name, the token, and before the last byte.
    for cut in [3, 60, whole.len() - 20, whole.len() - 1] {
        for orderly in [true, false] {
            let mut connection = server.connect().await;
            connection.send(&whole[..cut]).await;
            if orderly {
                finish(&mut connection).await;
                assert!(connection.is_at_its_end().await, "cut at {cut}");
            } else {
                reset(connection);
            }
        }
    }
    assert_eq!(server.fixture.store.calls(), 0);
    assert!(opens(&server, &session).await);
    server.stop().await;
}
