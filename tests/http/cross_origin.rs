//! Requests that change something and come from elsewhere.

use actix_web::{
    HttpResponse, get,
    http::{Method, StatusCode},
    post, route,
    test::TestRequest,
    web,
};
use locals::{Error, Locals, Session, User, require_user, with_session};

use crate::{
    app, send,
    support::{self, Account, Fixture, cookie},
};

#[post("/transfer")]
#[require_user]
async fn transfer(_user: User<Account>) -> &'static str {
    "done"
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account { id: 1, name: String::new() }).await?;
    Ok("in")
}

#[post("/webhook")]
#[with_session(cross_origin)]
async fn webhook(session: Option<Session>, locals: Locals) -> Result<String, Error> {
    let read = locals.get_session().await?;
    Ok(format!("{} {}", session.is_some(), read.is_some()))
}

#[post("/callback")]
#[with_session(cross_origin)]
async fn callback(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account { id: 2, name: String::new() }).await?;
    Ok("in")
}

#[get("/ws")]
#[require_user]
async fn websocket(_session: Session) -> HttpResponse {
    HttpResponse::SwitchingProtocols().finish()
}

#[route(
    "/any",
    method = "GET",
    method = "HEAD",
    method = "OPTIONS",
    method = "TRACE",
    method = "PUT",
    method = "DELETE",
    method = "PATCH"
)]
#[require_user]
async fn any(_session: Session) -> &'static str {
    "any"
}

#[actix_web::test]
async fn a_request_from_another_origin_is_refused_before_the_session_is_read() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, transfer, login);
    for path in ["/transfer", "/login"] {
        for site in ["cross-site", "same-site"] {
            let request = TestRequest::post().uri(path).insert_header(("Sec-Fetch-Site", site));
            let reply = send!(app, request.insert_header(cookie(&session)));
            assert_eq!(reply.status, StatusCode::FORBIDDEN);
            assert_eq!(
                reply.body,
                support::problem(403, "cross_origin", "Request from another site refused")
            );
            assert!(reply.sets_no_cookie());
        }
    }
    assert_eq!((fixture.store.calls(), fixture.rows().await), (0, 1));
}

#[actix_web::test]
async fn logging_in_from_another_origin_is_refused_without_a_cookie_too() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login);
    let request = TestRequest::post().uri("/login").insert_header(("Sec-Fetch-Site", "cross-site"));
    assert_eq!(send!(app, request).status, StatusCode::FORBIDDEN);
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn without_sec_fetch_site_the_origin_must_be_the_host() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, transfer);
    for (origin, status) in [
        ("https://app.example", 200),
        ("https://evil.example", 403),
        ("https://app.example.evil.example", 403),
        ("null", 403),
    ] {
        let request = TestRequest::post()
            .uri("/transfer")
            .insert_header(("Host", "app.example"))
            .insert_header(("X-Forwarded-Host", "evil.example"))
            .insert_header(("Origin", origin))
            .insert_header(cookie(&session));
        assert_eq!(send!(app, request).status.as_u16(), status, "{origin}");
    }
}

#[actix_web::test]
async fn a_trusted_origin_is_allowed() {
    let fixture =
        Fixture::configured(|builder| builder.trusted_origin("https://sso.example")).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, transfer);
    for (origin, status) in [("https://sso.example", 200), ("https://other.example", 403)] {
        let request = TestRequest::post()
            .uri("/transfer")
            .insert_header(("Sec-Fetch-Site", "cross-site"))
            .insert_header(("Origin", origin))
            .insert_header(cookie(&session));
        assert_eq!(send!(app, request).status.as_u16(), status);
    }
}

#[actix_web::test]
async fn only_get_head_and_options_are_safe_and_override_headers_do_not_count() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, any);
    for (method, passes) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("TRACE", false),
        ("PUT", false),
        ("DELETE", false),
        ("PATCH", false),
    ] {
        let request = TestRequest::default()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri("/any")
            .insert_header(("Sec-Fetch-Site", "cross-site"))
            .insert_header(("X-HTTP-Method-Override", "GET"))
            .insert_header(cookie(&session));
        assert_eq!(send!(app, request).status != StatusCode::FORBIDDEN, passes, "{method}");
    }
}

#[actix_web::test]
async fn an_unknown_or_lower_case_method_is_not_safe() {
    #[with_session]
    async fn anything(_session: Option<Session>) -> &'static str {
        "ran"
    }
    let fixture = Fixture::new().await;
    let app = app!(fixture, web::resource("/").to(anything));
    for method in ["get", "FOO", "TRACE", "CONNECT"] {
        let request = TestRequest::default()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri("/")
            .insert_header(("Sec-Fetch-Site", "cross-site"));
        assert_eq!(send!(app, request).status, StatusCode::FORBIDDEN, "{method}");
    }
}

#[actix_web::test]
async fn a_websocket_from_another_origin_is_refused() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, websocket);
    for (origin, status) in [("https://evil.example", 403), ("https://app.example", 101)] {
        let request = support::get("/ws")
            .insert_header(("Host", "app.example"))
            .insert_header(("Connection", "Upgrade"))
            .insert_header(("Upgrade", "websocket"))
            .insert_header(("Origin", origin))
            .insert_header(cookie(&session));
        assert_eq!(send!(app, request).status.as_u16(), status);
    }
}

#[actix_web::test]
async fn cross_origin_allows_a_request_without_its_session() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, webhook);
    for (site, body) in [("cross-site", "false false"), ("same-origin", "true true")] {
        let request = TestRequest::post().uri("/webhook").insert_header(("Sec-Fetch-Site", site));
        let reply = send!(app, request.insert_header(cookie(&session)));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, body));
        assert!(reply.sets_no_cookie());
    }
}

#[actix_web::test]
async fn an_identity_provider_may_answer_with_a_post_that_logs_in() {
    let fixture = Fixture::new().await;
    fixture.session(1).await;
    fixture.account(2).await;
    let app = app!(fixture, callback);
    let request =
        TestRequest::post().uri("/callback").insert_header(("Sec-Fetch-Site", "cross-site"));
    let reply = send!(app, request);
    assert_eq!(reply.session_cookie().len(), 64);
    assert_eq!(fixture.rows().await, 2);
}

#[actix_web::test]
async fn programs_that_send_neither_header_pass_unless_strict() {
    for (strict, status) in [(false, 200), (true, 403)] {
        let fixture = Fixture::configured(|builder| builder.strict_origins(strict)).await;
        let session = fixture.session(1).await;
        let app = app!(fixture, transfer);
        let request = TestRequest::post().uri("/transfer").insert_header(cookie(&session));
        assert_eq!(send!(app, request).status.as_u16(), status);
    }
}
