//! Strangers cost nothing.

use actix_web::http::StatusCode;

use crate::server::{Server, request};

#[actix_web::test]
async fn ten_thousand_anonymous_requests_leave_no_row_and_no_cookie() {
    const LINES: [&str; 2] = ["GET /public", "POST /logout"];
    const COOKIES: [&str; 4] =
        ["", "Cookie: a=1", "Cookie: __Host-session", "Cookie: =__Host-session=junk"];
    let server = Server::start().await;
    let pipeline = LINES.map(|line| COOKIES.map(|cookie| request(line, cookie))).concat().concat();
    let mut connections = [server.connect().await, server.connect().await];
    let mut answers = 0;
    for _ in 0..625 {
        for connection in &mut connections {
            connection.send(&pipeline).await;
        }
        for connection in &mut connections {
            for _ in 0..LINES.len() * COOKIES.len() {
                let reply = connection.answer().await;
                assert_eq!(reply.status, StatusCode::OK);
                assert!(reply.sets_no_cookie(), "{reply:?}");
                answers += 1;
            }
        }
    }
    assert_eq!(answers, 10_000);
    let rows =
        "SELECT (SELECT COUNT(*) FROM user_sessions) + (SELECT COUNT(*) FROM guest_sessions)";
    let rows: i64 = sqlx::query_scalar(rows).fetch_one(server.fixture.pool()).await.unwrap();
    assert_eq!((rows, server.fixture.store.calls()), (0, 0));
    server.stop().await;
}
