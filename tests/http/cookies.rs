//! The cookie on the wire: from where a token is taken, and how it is written.

use actix_web::http::{StatusCode, header::HeaderValue};

use crate::{
    app,
    routes::{login, me},
    send,
    support::{self, DAY, Fixture},
};

#[actix_web::test]
async fn the_cookie_has_exactly_these_attributes_and_expires_with_its_row() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let reply = send!(app, support::post("/login/1"));
    let cookies = reply.set_cookies();
    assert_eq!(cookies.len(), 1);
    let mut attributes: Vec<_> = cookies[0].split("; ").skip(1).collect();
    attributes.sort_unstable();
    let max_age = format!("Max-Age={}", (15 * DAY).as_secs());
    assert_eq!(attributes, ["HttpOnly", &max_age, "Path=/", "SameSite=Lax", "Secure"]);
    assert_eq!(reply.session_cookie().len(), 64);
    let row = &fixture.auth.user_sessions(1).await.unwrap()[0];
    assert_eq!(row.idle_expires_at, fixture.now() + 15 * DAY);
}

#[actix_web::test]
async fn a_token_counts_only_in_the_cookie() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let token = session.token().expose_secret();
    let app = app!(fixture, me);
    for request in [
        support::get(&format!("/me?__Host-session={token}&session={token}")),
        support::get("/me").insert_header(("Authorization", format!("Bearer {token}"))),
        support::get("/me").insert_header(("X-Session", token)),
        support::get("/me").insert_header(("Cookie2", format!("__Host-session={token}"))),
        support::get("/me").set_payload(format!("__Host-session={token}")),
    ] {
        assert_eq!(send!(app, request).status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(fixture.store.calls(), 0);
}

#[actix_web::test]
async fn names_are_compared_byte_for_byte_and_values_are_never_decoded() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let token = session.token().expose_secret();
    let app = app!(fixture, me);
    let encoded = format!("%{:02X}{}", token.as_bytes()[0], &token[1..]);
    for header in [
        format!("__%48ost-session={token}"),
        format!("__Host-session\u{a0}={token}"),
        format!("\u{2003}__Host-session={token}"),
        format!("__host-session={token}"),
        format!("=__Host-session={token}"),
        format!("session={token}"),
        format!("__Host-session={encoded}"),
        format!("__Host-session={token}%20"),
        format!("a=\"; __Host-session={token}\"; b=\""),
    ] {
        let value = HeaderValue::from_bytes(header.as_bytes()).unwrap();
        let reply = send!(app, support::get("/me").insert_header(("Cookie", value)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{header}");
    }
    assert_eq!(fixture.store.calls(), 0);
}

#[actix_web::test]
async fn another_cookie_cannot_hide_the_session_cookie() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me);
    let mut header = b"x=\xFF\xFE; y; =; ;; __Host-session=".to_vec();
    header.extend_from_slice(session.token().expose_secret().as_bytes());
    let value = HeaderValue::from_bytes(&header).unwrap();
    let reply = send!(app, support::get("/me").insert_header(("Cookie", value)));
    assert_eq!(reply.body, "name-1");
}

#[actix_web::test]
async fn several_cookie_headers_are_read_together_and_two_different_tokens_count_as_none() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.session(1).await, fixture.session(2).await);
    let pair =
        |session: &locals::Session| format!("__Host-session={}", session.token().expose_secret());
    let app = app!(fixture, me);
    let split = support::get("/me")
        .append_header(("Cookie", "a=1"))
        .append_header(("Cookie", pair(&one)))
        .append_header(("Cookie", "b=2"));
    assert_eq!(send!(app, split).body, "name-1");

    let equal =
        support::get("/me").insert_header(("Cookie", format!("{}; {}", pair(&one), pair(&one))));
    assert_eq!(send!(app, equal).body, "name-1");

    fixture.store.forget();
    for request in [
        support::get("/me").insert_header(("Cookie", format!("{}; {}", pair(&one), pair(&other)))),
        support::get("/me")
            .append_header(("Cookie", pair(&one)))
            .append_header(("Cookie", pair(&other))),
    ] {
        let reply = send!(app, request);
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert!(reply.sets_no_cookie());
    }
    assert_eq!(fixture.store.calls(), 0);
}
