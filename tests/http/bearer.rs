//! Native clients, which have no cookies: `Authorization: Bearer`, for apps that want it.

use std::time::Duration;

use actix_web::{http::StatusCode, post, test::TestRequest};
use locals::{AuthBuilder, Error, Locals, User, require_user, with_session};

use crate::{
    app,
    routes::{logout, me},
    send,
    support::{self, Account, DAY, Fixture, Reply, cookie, problem},
};

fn accepting(builder: AuthBuilder<Account>) -> AuthBuilder<Account> {
    builder.bearer(true)
}

#[post("/write")]
#[require_user]
async fn write(user: User<Account>) -> String {
    user.name.clone()
}

/// Gives the client its token, as an app does for its own native client.
#[post("/native/login/{id}")]
#[with_session]
async fn login(id: actix_web::web::Path<i64>, locals: Locals) -> Result<String, Error> {
    let session = locals.log_in(&Account::of(*id)).await?;
    Ok(session.token().expose_secret().to_owned())
}

/// The same, for a client beside the browser.
#[post("/native/token")]
#[with_session]
async fn issue_token(locals: Locals) -> Result<String, Error> {
    let session = locals.create_session(&Account::of(1)).await?;
    Ok(session.token().expose_secret().to_owned())
}

#[post("/native/confirm")]
#[with_session]
async fn confirm(locals: Locals) -> Result<String, Error> {
    Ok(locals.reauthenticate().await?.token().expose_secret().to_owned())
}

#[post("/clear")]
#[with_session]
async fn clear(locals: Locals) -> &'static str {
    locals.clear_session();
    ""
}

fn bearer(token: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {token}"))
}

fn challenges(reply: &Reply) -> Vec<&str> {
    reply.headers.get_all("WWW-Authenticate").map(|value| value.to_str().unwrap()).collect()
}

#[actix_web::test]
async fn bearer_tokens_are_ignored_by_default() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, write);
    let token = session.token().expose_secret();
    for request in [
        support::get("/me").insert_header(bearer(token)),
        support::get("/me").insert_header(("X-Session", token)),
        support::get(&format!("/me?__Host-session={token}&access_token={token}")),
        support::post("/write").set_form([("__Host-session", token)]),
    ] {
        let reply = send!(app, request);
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(challenges(&reply), ["Session"]);
    }
    assert_eq!(fixture.store.calls(), 0);
}

#[actix_web::test]
async fn a_bearer_token_opens_its_session_from_any_origin_and_sets_no_cookie() {
    let fixture = Fixture::configured(accepting).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, write);
    let token = session.token().expose_secret();
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR    "] {
        let authorization = ("Authorization", format!("{scheme}{token}"));
        let cross_site = TestRequest::post()
            .uri("/write")
            .insert_header(("Sec-Fetch-Site", "cross-site"))
            .insert_header(("Origin", "https://evil.example"));
        for request in [support::get("/me"), cross_site] {
            let reply = send!(app, request.insert_header(authorization.clone()));
            assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "name-1"));
            assert!(reply.sets_no_cookie());
            assert_eq!(reply.header("Vary"), Some("Cookie, Authorization"));
            assert_eq!(reply.header("Cache-Control"), Some("private, no-store"));
        }
    }
}

#[actix_web::test]
async fn an_idle_session_is_renewed_without_a_cookie() {
    let fixture = Fixture::configured(accepting).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, me);
    let request = support::get("/me").insert_header(bearer(session.token().expose_secret()));
    let reply = send!(app, request);
    assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("name-1", true));
    assert_eq!(fixture.store.renewals(), 1);
    assert_eq!(fixture.row(&session).await.unwrap().idle_expires_at, fixture.now() + 15 * DAY);
}

#[actix_web::test]
async fn all_verbs_work_and_none_sets_or_removes_a_cookie() {
    let fixture = Fixture::configured(accepting).await;
    fixture.account(1).await;
    fixture.account(2).await;
    let app = app!(fixture, me, login, logout, confirm, clear);
    let first = send!(app, support::post("/native/login/1")).body;
    let second = send!(app, support::post("/native/login/2").insert_header(bearer(&first)));
    let third = send!(app, support::post("/native/confirm").insert_header(bearer(&second.body)));
    let cleared = send!(app, support::post("/clear").insert_header(bearer(&third.body)));
    assert_eq!(fixture.rows().await, 1, "each login has ended the one before");
    for (token, expected) in
        [(&first, 401), (&second.body, 401), (&third.body, 200), (&"a".repeat(64), 401)]
    {
        let request = support::get("/me").insert_header(("Sec-Fetch-Dest", "document"));
        let reply = send!(app, request.insert_header(bearer(token)));
        assert_eq!(reply.status.as_u16(), expected);
        assert!(reply.sets_no_cookie(), "also of a token that opens nothing");
    }
    let out = send!(app, support::post("/logout").insert_header(bearer(&third.body)));
    assert_eq!((out.status, fixture.rows().await), (StatusCode::OK, 0));
    for reply in [second, third, cleared, out] {
        assert!(reply.sets_no_cookie());
        assert_eq!(reply.header("Clear-Site-Data"), None);
    }
}

#[actix_web::test]
async fn a_session_created_for_another_client_leaves_the_cookie_and_records_its_device() {
    let fixture = Fixture::configured(accepting).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, issue_token);
    let request = support::post("/native/token").insert_header(cookie(&session));
    let request = request.insert_header(("User-Agent", "Phone app 1.0"));
    let reply = send!(app, request.peer_addr("192.0.2.7:4000".parse().unwrap()));
    assert!(reply.sets_no_cookie());
    for request in [
        support::get("/me").insert_header(cookie(&session)),
        support::get("/me").insert_header(bearer(&reply.body)),
    ] {
        assert_eq!(send!(app, request).status, StatusCode::OK);
    }
    let sessions = fixture.auth.user_sessions(1).await.unwrap();
    let devices = sessions.iter().map(|info| (info.user_agent.as_deref(), info.address.as_deref()));
    let devices = devices.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(devices, [(None, None), (Some("Phone app 1.0"), Some("192.0.2.7"))].into());
}

#[actix_web::test]
async fn a_request_with_cookie_and_bearer_token_is_refused_before_either_is_read() {
    let fixture = Fixture::configured(accepting).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, login);
    let token = session.token().expose_secret();
    let malformed = ("Cookie", "a=1; __Host-session=malformed".to_owned());
    let conflicting = ("Cookie", format!("__Host-session={token}; __Host-session=other"));
    for presented in [cookie(&session), malformed, conflicting] {
        for authorization in [bearer(token), bearer("malformed"), bearer("")] {
            for request in [support::get("/me"), support::post("/native/login/1")] {
                let request = request.insert_header(authorization.clone());
                let reply = send!(app, request.insert_header(presented.clone()));
                let body = problem(400, "two_credentials", "A cookie and a bearer token");
                assert_eq!((reply.status, reply.body), (StatusCode::BAD_REQUEST, body));
            }
        }
    }
    assert_eq!(fixture.store.calls(), 0);
    let guest = ("Cookie", format!("theme=dark; __Host-session-guest={token}"));
    let reply = send!(app, support::get("/me").insert_header(bearer(token)).insert_header(guest));
    assert_eq!(reply.body, "name-1", "other cookies are no credentials");
}

#[actix_web::test]
async fn a_bearer_token_with_another_authorization_is_refused_before_either_is_read() {
    let fixture = Fixture::configured(accepting).await;
    let (one, other) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, me, login);
    let [one, other] = [&one, &other].map(|it| format!("Bearer {}", it.token().expose_secret()));
    let joined = [format!("{one}, {other}"), format!("Basic YTpi,{one}"), format!("{one}, {one}")];
    let mut cases: Vec<Vec<&str>> = joined.iter().map(|header| vec![header.as_str()]).collect();
    for second in
        [other.as_str(), "Basic YTpi", "Bearer", "Bearer malformed", "", "Digest a=\"b, c\""]
    {
        cases.extend([vec![one.as_str(), second], vec![second, one.as_str()]]);
    }
    cases.push(vec![&one, &one, &other]);
    fixture.store.forget();
    for headers in cases {
        for request in [support::get("/me"), support::post("/native/login/1")] {
            let request = headers
                .iter()
                .fold(request, |request, header| request.append_header(("Authorization", *header)));
            let reply = send!(app, request);
            let body = problem(400, "two_credentials", "Several Authorization headers");
            assert!(reply.sets_no_cookie());
            assert_eq!((reply.status, reply.body), (StatusCode::BAD_REQUEST, body), "{headers:?}");
        }
    }
    assert_eq!(fixture.store.calls(), 0);
    let twice = support::get("/me").append_header(("Authorization", one.as_str()));
    let reply = send!(app, twice.append_header(("Authorization", one.replace("Bearer", "bearer"))));
    assert_eq!(reply.body, "name-1", "one credential, said twice");
}

#[actix_web::test]
async fn a_malformed_token_is_refused_without_asking_the_store() {
    let fixture = Fixture::configured(accepting).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, confirm);
    let token = session.token().expose_secret();
    for malformed in
        ["Bearer", "bearer ", "Bearer x", &format!("Bearer {token}a"), &format!("Bearer a {token}")]
    {
        let reply = send!(app, support::get("/me").insert_header(("Authorization", malformed)));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{malformed}");
        assert_eq!(challenges(&reply), ["Session", "Bearer"], "{malformed}");
        let reply = send!(
            app,
            support::post("/native/confirm").insert_header(("Authorization", malformed))
        );
        assert_eq!(challenges(&reply), ["Session", "Bearer"], "by the handler: {malformed}");
    }
    assert_eq!(fixture.store.calls(), 0);
    let unknown = send!(app, support::get("/me").insert_header(bearer(&"a".repeat(64))));
    assert_eq!((unknown.status, fixture.store.calls()), (StatusCode::UNAUTHORIZED, 1));
}

#[actix_web::test]
async fn other_schemes_are_ignored() {
    let fixture = Fixture::configured(accepting).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, me, write);
    let token = session.token().expose_secret();
    for other in [
        "Basic YTpi",
        &format!("Basic {token}"),
        &format!("Bearers {token}"),
        &format!("Token {token}"),
        token,
        "",
    ] {
        let with_other = |request: TestRequest| request.insert_header(("Authorization", other));
        let reply = send!(app, with_other(support::get("/me")));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{other}");
        let reply = send!(app, with_other(support::get("/me").insert_header(cookie(&session))));
        assert_eq!(reply.body, "name-1", "{other}");
        assert_eq!(reply.header("Vary"), Some("Cookie, Authorization"));
        let foreign = support::post("/write").insert_header(("Sec-Fetch-Site", "cross-site"));
        let reply = send!(app, with_other(foreign.insert_header(cookie(&session))));
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{other}: the origin counts");
    }
}

#[actix_web::test]
async fn a_bearer_token_is_not_rotated() {
    let every = Duration::from_mins(10);
    let fixture = Fixture::configured(|builder| accepting(builder).rotate_every(every)).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * every);
    let app = app!(fixture, me);
    for _ in 0..2 {
        let request = support::get("/me").insert_header(bearer(session.token().expose_secret()));
        assert_eq!(send!(app, request).body, "name-1");
    }
    assert_eq!(fixture.store.writes(), 0);
}
