//! What a list of sessions says of each device, and what it keeps to itself.

use std::collections::BTreeSet;

use actix_web::{
    http::{StatusCode, header::HeaderValue},
    post,
    test::TestRequest,
};
use locals::{Error, Locals, SessionId, SessionInfo, with_session};
use serde_json::Value;

use crate::{
    app,
    routes::{end_session, sessions},
    send,
    support::{self, Account, DAY, Fixture, as_set, cookie},
};

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<String, Error> {
    locals.log_in(&Account::of(1)).await?;
    Ok(format!("{:?}", locals.client_address()))
}

fn from(peer: &str) -> TestRequest {
    support::post("/login").peer_addr(format!("{peer}:4000").parse().unwrap())
}

/// The newest session of account 1.
async fn newest(fixture: &Fixture) -> SessionInfo {
    fixture.auth.user_sessions(1).await.unwrap().swap_remove(0)
}

#[actix_web::test]
async fn a_user_agent_of_any_bytes_is_kept_as_text_of_255_characters() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let long = [b"\xff".repeat(100), b"\xc3\xa9".repeat(1_000)].concat();
    for (sent, kept) in [
        (Some(b"Browser \xff 1.0".to_vec()), Some("Browser \u{fffd} 1.0".to_owned())),
        (Some(b"a".repeat(255)), Some("a".repeat(255))),
        (Some(b"a".repeat(256)), Some("a".repeat(255))),
        (Some(long), Some(["\u{fffd}".repeat(100), "\u{e9}".repeat(155)].concat())),
        (Some(b"<script>\talert(1)".to_vec()), Some("<script>\talert(1)".to_owned())),
        (Some(Vec::new()), Some(String::new())),
        (None, None),
    ] {
        fixture.clock.advance(DAY / 24);
        let mut request = support::post("/login");
        if let Some(sent) = sent {
            let value = HeaderValue::from_bytes(&sent).unwrap();
            request = request.insert_header(("User-Agent", value));
        }
        assert_eq!(send!(app, request).status, StatusCode::OK);
        assert_eq!(newest(&fixture).await.user_agent, kept);
    }
}

#[actix_web::test]
async fn the_address_is_that_of_the_peer_despite_forwarding_headers() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    for (peer, kept) in [
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[::ffff:192.0.2.7]", "192.0.2.7"),
    ] {
        fixture.clock.advance(DAY / 24);
        let forged = from(peer)
            .insert_header(("X-Forwarded-For", "203.0.113.9"))
            .insert_header(("Forwarded", "for=203.0.113.9"))
            .insert_header(("X-Real-IP", "203.0.113.9"));
        send!(app, forged);
        assert_eq!(newest(&fixture).await.address.as_deref(), Some(kept));
    }
    fixture.clock.advance(DAY / 24);
    send!(app, support::post("/login").insert_header(("X-Forwarded-For", "203.0.113.9")));
    assert_eq!(newest(&fixture).await.address, None, "a peer without an address stays without");
}

#[actix_web::test]
async fn only_a_trusted_proxy_can_name_the_client() {
    let fixture =
        Fixture::configured(|builder| builder.trusted_proxy("10.0.0.0/8").trusted_proxy("::1"))
            .await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    for (peer, header, forwarded, kept) in [
        ("10.0.0.1", "X-Forwarded-For", "203.0.113.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("[::1]", "Forwarded", "for=203.0.113.9, for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
        ("10.0.0.1", "X-Forwarded-For", "unknown", "10.0.0.1"),
        ("10.0.0.1", "X-Real-IP", "203.0.113.9", "10.0.0.1"),
        ("198.51.100.1", "X-Forwarded-For", "203.0.113.9", "198.51.100.1"),
        ("198.51.100.1", "Forwarded", "for=203.0.113.9", "198.51.100.1"),
    ] {
        fixture.clock.advance(DAY / 24);
        let reply = send!(app, from(peer).insert_header((header, forwarded)));
        assert_eq!(reply.body, format!("Some({kept})"), "{peer} {header}: {forwarded}");
        let address = newest(&fixture).await.address;
        assert_eq!(address.as_deref(), Some(kept), "{peer} {header}: {forwarded}");
    }
}

#[actix_web::test]
async fn forwarding_headers_never_set_the_origin_of_a_request() {
    let fixture = Fixture::configured(|builder| builder.trusted_proxy("10.0.0.0/8")).await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let request = TestRequest::post()
        .uri("/login")
        .peer_addr("10.0.0.1:4000".parse().unwrap())
        .insert_header(("Host", "app.example"))
        .insert_header(("Origin", "https://evil.example"))
        .insert_header(("X-Forwarded-Host", "evil.example"))
        .insert_header(("Forwarded", "host=evil.example"));
    assert_eq!(send!(app, request).status, StatusCode::FORBIDDEN);
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn impossible_proxy_addresses_fail_at_startup() {
    for entry in ["0.0.0.0/0", "proxy.example", "10.0.0.1/8", ""] {
        let builder = locals::Auth::<Account>::builder(locals::store::MemoryStore::new());
        let error = builder.trusted_proxy(entry).build().unwrap_err().to_string();
        assert!(error.contains("trusted proxies"), "{entry}: {error}");
    }
}

#[actix_web::test]
async fn a_listed_session_has_these_fields_and_no_token() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login, sessions);
    let request = from("192.0.2.7").insert_header(("User-Agent", "Browser 1.0"));
    let here = as_set(&send!(app, request));
    let there = send!(app, support::post("/login"));
    let reply = send!(app, support::get("/sessions").insert_header(here.clone()));

    let list: Value = serde_json::from_str(&reply.body).unwrap();
    let list = list.as_array().unwrap();
    let current = list.iter().find(|entry| entry["is_current"] == true).unwrap();
    let now = Value::from(fixture.now().as_millis());
    let fields: BTreeSet<_> = current.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "absolute_expires_at",
        "active_expires_at",
        "actor",
        "address",
        "authenticated_at",
        "created_at",
        "id",
        "idle_expires_at",
        "is_current",
        "is_persistent",
        "renewed_at",
        "state",
        "user_agent",
    ];
    assert_eq!(fields, BTreeSet::from(expected));
    assert_eq!((&current["created_at"], &current["renewed_at"]), (&now, &now));
    assert_eq!((&current["actor"], &current["is_persistent"]), (&Value::Null, &true.into()));
    assert_eq!(current["address"], "192.0.2.7");
    assert_eq!(list.iter().filter(|entry| entry["is_current"] == true).count(), 1);

    for session in [here.1.split_once('=').unwrap().1, there.session_cookie()] {
        assert!(!reply.body.contains(&session[22..]), "the secret of a token");
        let token: locals::SessionToken = session.parse().unwrap();
        let hash = format!("{:02x?}", token.secret_hash::<Account>().as_bytes());
        let hex = hash.replace(", ", "");
        assert!(!reply.body.contains(hex.trim_matches(['[', ']'])), "the hash of a secret");
    }
}

#[actix_web::test]
async fn the_list_shows_when_a_session_was_last_renewed() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, sessions);
    let read = || support::get("/sessions").insert_header(cookie(&session));
    fixture.clock.advance(DAY / 2);
    send!(app, read());
    assert_eq!(newest(&fixture).await.renewed_at, session.created_at(), "it was active");
    fixture.clock.advance(DAY);
    send!(app, read());
    let info = newest(&fixture).await;
    assert_eq!((info.renewed_at, info.created_at), (fixture.now(), session.created_at()));
}

#[actix_web::test]
async fn the_session_of_another_user_is_indistinguishable_from_a_missing_one() {
    let fixture = Fixture::new().await;
    let (own, other) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, end_session);
    let mut replies = Vec::new();
    for id in [other.id(), SessionId::from_bytes([7; 16])] {
        let request = TestRequest::delete().uri(&format!("/sessions/{id}"));
        let request = request.insert_header(("Sec-Fetch-Site", "same-origin"));
        replies.push(send!(app, request.insert_header(cookie(&own))));
    }
    assert_eq!(replies[0].status, StatusCode::NOT_FOUND);
    assert_eq!(
        (replies[0].status, &replies[0].body, format!("{:?}", replies[0].headers)),
        (replies[1].status, &replies[1].body, format!("{:?}", replies[1].headers))
    );
    assert!(fixture.row(&other).await.is_some());
    assert_eq!(fixture.store.writes(), 0);
}

#[cfg(feature = "device-names")]
#[actix_web::test]
async fn a_device_has_a_readable_name() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let firefox =
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
    for (user_agent, name) in [(Some(firefox), "Firefox on Windows"), (None, "Unknown device")] {
        fixture.clock.advance(DAY / 24);
        let mut request = support::post("/login");
        if let Some(user_agent) = user_agent {
            request = request.insert_header(("User-Agent", user_agent));
        }
        send!(app, request);
        assert_eq!(newest(&fixture).await.device(), name);
    }
}
