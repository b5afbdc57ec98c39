//! Requests of logged-in users, and of a browser that keeps its cookies.

use std::time::Duration;

use actix_web::{
    App, HttpRequest, Responder,
    cookie::Cookie,
    get,
    http::StatusCode,
    post,
    test::{TestRequest, call_and_read_body, call_service, init_service},
};
use locals::{
    Auth, AuthBuilder, AuthUser, CookieConfig, Error, Locals, User, require_user,
    store::{MemoryStore, SqlStore},
    testing::*,
    with_session,
};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.id.to_string()
}

#[post("/orders")]
#[require_user]
async fn order(user: User<Account>) -> String {
    user.id.to_string()
}

#[get("/cookies")]
async fn cookies(request: HttpRequest) -> impl Responder {
    let cookies = request.cookies().unwrap();
    let mut names: Vec<_> = cookies.iter().map(|cookie| cookie.name().to_owned()).collect();
    names.sort();
    names.join(" ")
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account { id: 7 }).await?;
    Ok("")
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("")
}

fn auth(configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>) -> Auth<Account> {
    let store = MemoryStore::new();
    for id in [7, 8] {
        store.insert_user(Account { id });
    }
    configure(Auth::builder(store)).build().unwrap()
}

macro_rules! app {
    ($auth:expr) => {
        init_service(
            App::new()
                .configure($auth.configure())
                .service(me)
                .service(order)
                .service(cookies)
                .service(login)
                .service(logout),
        )
        .await
    };
}

#[actix_web::test]
async fn a_test_as_a_logged_in_user_takes_three_lines() {
    let auth = auth(|builder| builder);
    let (app, account) = (app!(auth), Account { id: 7 });

    let session = auth.test_session(&account).await;
    let request = TestRequest::get().uri("/me").logged_in(&session).to_request();
    let response = call_service(&app, request).await;

    assert_eq!(response.status(), StatusCode::OK);
    let stranger = TestRequest::get().uri("/me").to_request();
    assert_eq!(call_service(&app, stranger).await.status(), StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn the_cookie_has_the_name_that_the_app_has_given_it() {
    for (cookie, name) in [
        (CookieConfig::default(), "__Host-session"),
        (CookieConfig::default().name("__Secure-id").domain("app.example"), "__Secure-id"),
        (CookieConfig::default().secure(false), "session"),
    ] {
        let auth = auth(|builder| builder.cookie(cookie));
        let app = app!(auth);
        let session = auth.test_session(&Account { id: 7 }).await;
        assert_eq!(session.cookie_name(), name);
        let request = TestRequest::get().uri("/me").logged_in(&session).to_request();
        assert_eq!(call_and_read_body(&app, request).await, "7");
    }
}

#[actix_web::test]
async fn unsafe_methods_pass_the_strict_check_of_the_origin() {
    let auth = auth(|builder| builder.strict_origins(true));
    let app = app!(auth);
    let session = auth.test_session(&Account { id: 7 }).await;
    let request = || TestRequest::post().uri("/orders").logged_in(&session);
    assert_eq!(call_and_read_body(&app, request().to_request()).await, "7");

    let other_site = request().insert_header(("Sec-Fetch-Site", "cross-site")).to_request();
    assert_eq!(call_service(&app, other_site).await.status(), StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn other_cookies_of_the_request_stay() {
    let auth = auth(|builder| builder);
    let app = app!(auth);
    let session = auth.test_session(&Account { id: 7 }).await;
    for path in ["/cookies", "/me"] {
        let request = TestRequest::get()
            .uri(path)
            .cookie(Cookie::new("before", "1"))
            .logged_in(&session)
            .cookie(Cookie::new("after", "1"))
            .to_request();
        let expected = if path == "/me" { "7" } else { "__Host-session after before" };
        assert_eq!(call_and_read_body(&app, request).await, expected);
    }
}

#[actix_web::test]
async fn the_last_of_two_sessions_applies_to_the_request() {
    let auth = auth(|builder| builder);
    let app = app!(auth);
    let first = auth.test_session(&Account { id: 7 }).await;
    let second = auth.test_session(&Account { id: 8 }).await;
    let request = TestRequest::get().uri("/me").logged_in(&first).logged_in(&second).to_request();
    assert_eq!(call_and_read_body(&app, request).await, "8");
}

#[actix_web::test]
async fn an_expired_session_opens_nothing() {
    let clock = ManualClock::at(Timestamp::from_millis(0));
    let auth = auth(|builder| builder.clock(clock.clone()));
    let app = app!(auth);
    let session = auth.test_session(&Account { id: 7 }).await;
    let request = || TestRequest::get().uri("/me").logged_in(&session).to_request();
    assert_eq!(call_service(&app, request()).await.status(), StatusCode::OK);
    clock.advance(Duration::from_hours(15 * 24));
    assert_eq!(call_service(&app, request()).await.status(), StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
#[should_panic = "the store has no user 9; add the user first"]
async fn a_session_of_a_missing_user_fails_the_test() {
    auth(|builder| builder).test_session(&Account { id: 9 }).await;
}

#[derive(Clone, AuthUser)]
#[auth_user(table = "admins")]
struct Admin {
    id: i64,
}

#[actix_web::test]
#[should_panic = "no `test_session` at tests/testing/sessions.rs:"]
async fn a_session_of_another_table_fails_the_test_and_names_the_line() {
    auth(|builder| builder).test_session(&Admin { id: 7 }).await;
}

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Row {
    id: i64,
}

#[actix_web::test]
#[should_panic = "the store failed"]
async fn a_store_that_fails_fails_the_test() {
    let without_tables = SqlStore::sqlite("sqlite::memory:").await.unwrap();
    let auth = Auth::<Row>::builder(without_tables).build().unwrap();
    auth.test_session(&Row { id: 7 }).await;
}

#[actix_web::test]
async fn a_jar_logs_in_and_out_as_a_browser_does() {
    let auth = auth(|builder| builder.strict_origins(true));
    let app = app!(auth);
    let mut jar = Jar::new();
    for (path, status) in [
        ("/login", StatusCode::OK),
        ("/logout", StatusCode::UNAUTHORIZED),
        ("/login", StatusCode::OK),
    ] {
        let request = TestRequest::post().uri(path).cookies_of(&jar).to_request();
        jar.keep(&call_service(&app, request).await);
        let request = TestRequest::get().uri("/me").cookies_of(&jar).to_request();
        assert_eq!(call_service(&app, request).await.status(), status, "{path}");
    }
}
