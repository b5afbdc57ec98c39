//! Who is let in, and how the others are answered: people, programs, and by the app itself.

use std::time::Duration;

use actix_web::{HttpResponse, get, http::StatusCode, post, web};
use locals::{
    AuthBuilder, Check, Error, Locals, LogInOptions, Recent, SafeRedirect, Session, Timestamp,
    User, Verified, require_user, with_session,
};

use crate::{
    app, send,
    support::{self, Account, Fixture, Reply, as_set, cookie},
};

impl Account {
    /// The one of the tests with the id 1.
    fn is_first(&self) -> bool {
        self.id == 1
    }
}

#[get("/inbox")]
#[require_user(redirect = "/login")]
async fn inbox(user: User<Account>) -> String {
    user.name.clone()
}

#[post("/inbox")]
#[require_user(redirect = "/login")]
async fn write(user: User<Account>) -> String {
    user.name.clone()
}

#[get("/reports")]
#[require_user(check = Account::is_first)]
async fn reports(user: User<Account>) -> String {
    user.name.clone()
}

#[get("/reports-without-user")]
#[require_user(check = Account::is_first)]
async fn reports_without_user() -> &'static str {
    "reports"
}

#[get("/reports-by-closure")]
#[require_user(check = |account| account.id < 2)]
async fn reports_by_closure(user: User<Account>) -> String {
    user.name.clone()
}

#[post("/password")]
#[require_user(recent = "10m")]
async fn password(_user: User<Account>) -> &'static str {
    "changed"
}

#[get("/settings")]
#[require_user(recent = "10m", check = Account::is_first)]
async fn settings() -> &'static str {
    "settings"
}

#[get("/login")]
#[with_session(guest_only = "/home")]
async fn login_page(next: SafeRedirect) -> String {
    next.to_string()
}

// Pages that lead back to themselves.

#[get("/login")]
#[require_user(redirect = "/login?lang=en")]
async fn guarded_login() -> &'static str {
    "in"
}

#[get("/prove")]
#[require_user(recent = "10m", redirect = "/prove")]
async fn guarded_proof() -> &'static str {
    "in"
}

#[get("/welcome")]
#[with_session(guest_only = "/welcome")]
async fn for_guests_of_itself() -> &'static str {
    "welcome"
}

#[post("/welcome")]
#[with_session(guest_only = "/welcome")]
async fn sent_by_guests() -> &'static str {
    "welcome"
}

struct IsFirst;

impl Check<Account> for IsFirst {
    fn check(account: &Account, _: &Session) -> bool {
        account.is_first()
    }
}

#[get("/vault")]
#[require_user]
async fn vault(first: Verified<Account, IsFirst>) -> String {
    open_vault(&first)
}

/// Can be called by nobody who has not been verified.
fn open_vault(first: &Verified<Account, IsFirst>) -> String {
    format!("opened by {}", first.name)
}

#[get("/vault-recently")]
#[require_user]
async fn vault_recently(_first: Verified<Account, (IsFirst, Recent<10>)>) -> &'static str {
    "opened"
}

#[get("/is-first")]
#[with_session]
async fn shows_whether_first(first: Option<Verified<Account, IsFirst>>) -> String {
    first.is_some().to_string()
}

const NAVIGATION: [(&str, &str); 2] =
    [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];

fn in_browser(mut request: actix_web::test::TestRequest) -> actix_web::test::TestRequest {
    for header in NAVIGATION {
        request = request.insert_header(header);
    }
    request
}

fn is_problem(reply: &Reply, status: u16, code: &str) -> bool {
    reply.status == status
        && reply.header("Content-Type") == Some("application/problem+json")
        && reply.body.contains(&format!("\"code\":\"{code}\""))
}

#[actix_web::test]
async fn a_page_that_would_redirect_to_itself_is_answered_without_a_redirect() {
    let fixture = Fixture::configured(|builder| builder.login_page("/me-too")).await;
    let session = fixture.session(1).await;
    let inside = actix_web::web::scope("/me-too")
        .wrap(fixture.auth.require_user())
        .route("", web::get().to(HttpResponse::Ok));
    let app = app!(
        fixture,
        inside,
        guarded_login,
        guarded_proof,
        for_guests_of_itself,
        sent_by_guests,
        inbox
    );
    for path in ["/login", "/login?lang=en&next=%2F", "/me-too", "/me-too?next=%2F", "/prove"] {
        let reply = send!(app, in_browser(support::get(path)));
        assert_eq!(
            (reply.status, reply.header("Location")),
            (StatusCode::UNAUTHORIZED, None),
            "{path}"
        );
        assert!(reply.body.contains("<!doctype html>") && !reply.body.contains("href"), "{path}");
    }
    // Too long ago, and logged in already.
    fixture.clock.advance(Duration::from_hours(1));
    for (path, status) in
        [("/prove", StatusCode::UNAUTHORIZED), ("/welcome", StatusCode::FORBIDDEN)]
    {
        let reply = send!(app, in_browser(support::get(path)).insert_header(cookie(&session)));
        assert_eq!((reply.status, reply.header("Location")), (status, None), "{path}");
    }
    assert_eq!(send!(app, support::get("/welcome")).body, "welcome");
    // A redirect that leads on is one.
    let reply = send!(app, in_browser(support::get("/inbox")));
    assert_eq!(reply.header("Location"), Some("/login?next=%2Finbox"));
    let reply = send!(app, support::post("/welcome").insert_header(cookie(&session)));
    assert_eq!(reply.header("Location"), Some("/welcome"));
}

#[actix_web::test]
async fn a_browser_without_a_session_is_redirected_to_the_login_page_and_back() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, inbox, login_page);
    let reply = send!(app, in_browser(support::get("/inbox?page=2&sort=name%20asc")));
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    let location = reply.header("Location").unwrap();
    assert!(location.starts_with("/login?next=%2Finbox"), "{location}");
    assert_eq!(reply.header("Vary"), Some("Cookie"));
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    assert!(reply.sets_no_cookie());
    let back = send!(app, support::get(location));
    assert_eq!(back.body, "/inbox?page=2&sort=name%20asc");
}

#[actix_web::test]
async fn only_a_navigation_that_reads_is_redirected() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, inbox, write);
    let html = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for (headers, redirected) in [
        (&[("Sec-Fetch-Mode", "navigate")][..], true),
        (&[("Sec-Fetch-Dest", "document")], true),
        (&[html], true),
        (&[("Sec-Fetch-Mode", "cors"), html], false),
        (&[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")], false),
        (&[("Accept", "application/json")], false),
        (&[("Accept", "*/*")], false),
        (&[], false),
    ] {
        let with_headers = |mut request: actix_web::test::TestRequest| {
            for header in headers {
                request = request.insert_header(*header);
            }
            request
        };
        let reply = send!(app, with_headers(support::get("/inbox")));
        assert_eq!(reply.status == StatusCode::SEE_OTHER, redirected, "{headers:?}: {reply:?}");
        assert_eq!(is_problem(&reply, 401, "not_logged_in"), !redirected, "{headers:?}");

        let posted = send!(app, with_headers(support::post("/inbox")));
        assert_eq!(posted.status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
}

#[actix_web::test]
async fn a_form_without_a_session_gets_a_page_that_links_to_the_login() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, write);
    let reply = send!(app, in_browser(support::post("/inbox")));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("WWW-Authenticate"), Some("Session"));
    assert!(reply.body.contains("<a href=\"/login\">"), "{}", reply.body);
}

#[actix_web::test]
async fn the_login_page_is_set_once_and_a_handler_may_override_it() {
    #[get("/me")]
    #[require_user]
    async fn me() -> &'static str {
        ""
    }
    let fixture = Fixture::configured(|builder| builder.login_page("/login")).await;
    let app = app!(fixture, me, inbox);
    for (path, page) in [("/me", "/login?next=%2Fme"), ("/inbox", "/login?next=%2Finbox")] {
        let reply = send!(app, in_browser(support::get(path)));
        assert_eq!(reply.header("Location"), Some(page));
    }
}

#[actix_web::test]
async fn a_user_who_fails_the_check_gets_403_whatever_its_form() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.session(1).await, fixture.session(2).await);
    let app =
        app!(fixture, reports, reports_without_user, reports_by_closure, vault, vault_recently);
    for path in
        ["/reports", "/reports-without-user", "/reports-by-closure", "/vault", "/vault-recently"]
    {
        fixture.store.forget();
        let reply = send!(app, support::get(path).insert_header(cookie(&first)));
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(fixture.store.calls(), 1, "{path}: the user is read along");
        let reply = send!(app, support::get(path).insert_header(cookie(&second)));
        assert!(is_problem(&reply, 403, "forbidden"), "{path}: {reply:?}");
        let page = send!(app, in_browser(support::get(path)).insert_header(cookie(&second)));
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}: a person is not sent to log in");
        assert!(page.body.contains("<h1>Not allowed</h1>"), "{path}");
        let reply = send!(app, support::get(path));
        assert!(is_problem(&reply, 401, "not_logged_in"), "{path}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_failed_check_is_no_refusal_where_it_is_optional() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, shows_whether_first);
    for (session, expected) in [(Some(&first), "true"), (Some(&second), "false"), (None, "false")] {
        let mut request = support::get("/is-first");
        if let Some(session) = session {
            request = request.insert_header(cookie(session));
        }
        assert_eq!(send!(app, request).body, expected);
    }
}

#[actix_web::test]
async fn an_old_login_is_asked_to_log_in_again_with_its_own_error_code() {
    let fixture = Fixture::configured(|builder| builder.reauthentication_page("/confirm")).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, password, settings, vault_recently);
    fixture.clock.advance(Duration::from_mins(10));
    let reply = send!(app, support::post("/password").insert_header(cookie(&session)));
    assert_eq!(reply.body, "changed", "ten minutes are recent");

    fixture.clock.advance(Duration::from_millis(1));
    let reply = send!(app, support::post("/password").insert_header(cookie(&session)));
    assert!(is_problem(&reply, 401, "reauthenticate"), "{reply:?}");
    assert!(reply.sets_no_cookie(), "the session lives");
    for path in ["/settings", "/vault-recently"] {
        let reply = send!(app, in_browser(support::get(path)).insert_header(cookie(&session)));
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{path}");
        let next = path.replace('/', "%2F");
        assert_eq!(reply.header("Location"), Some(&*format!("/confirm?next={next}")));
    }
}

#[actix_web::test]
async fn a_login_with_an_earlier_authentication_is_not_recent_and_a_slightly_later_one_counts_as_now()
 {
    #[post("/exchange/{millis}")]
    #[with_session]
    async fn exchange(millis: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
        let options = LogInOptions::new().authenticated_at(Timestamp::from_millis(*millis));
        locals.log_in_with(&Account::of(1), options).await?;
        Ok("in")
    }
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, exchange, password);
    let start = fixture.now();
    let now = start.as_millis();
    for (millis, status) in [
        (0, StatusCode::UNAUTHORIZED),
        (now + 60_000, StatusCode::OK),
        (now + 60_001, StatusCode::UNAUTHORIZED),
        (now + 3_600_000, StatusCode::UNAUTHORIZED),
    ] {
        fixture.clock.set(start);
        let reply = send!(app, support::post(&format!("/exchange/{millis}")));
        let session = as_set(&reply);
        let reply = send!(app, support::post("/password").insert_header(session.clone()));
        assert_eq!(reply.status, status);
        fixture.clock.advance(Duration::from_mins(11));
        let reply = send!(app, support::post("/password").insert_header(session));
        assert!(is_problem(&reply, 401, "reauthenticate"), "{reply:?}");
    }
}

#[actix_web::test]
async fn a_user_who_fails_the_check_is_not_asked_to_log_in_again() {
    let fixture = Fixture::new().await;
    fixture.session(1).await;
    let second = fixture.session(2).await;
    fixture.clock.advance(Duration::from_hours(1));
    let app = app!(fixture, settings, vault_recently);
    for path in ["/settings", "/vault-recently"] {
        let reply = send!(app, support::get(path).insert_header(cookie(&second)));
        assert!(is_problem(&reply, 403, "forbidden"), "{path}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_guest_only_page_redirects_logged_in_users() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, login_page);
    assert_eq!(send!(app, support::get("/login")).status, StatusCode::OK);
    let reply = send!(app, support::get("/login?next=/inbox").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(reply.header("Location"), Some("/home"));
    assert_eq!(reply.header("Vary"), Some("Cookie"));
}

/// Answers what is forbidden by a page of its own.
fn with_own_answers(builder: AuthBuilder<Account>) -> AuthBuilder<Account> {
    builder.error_response(|request, error| match error {
        Error::Forbidden => Some(HttpResponse::Ok().body(format!("not {}", request.path()))),
        Error::Unauthenticated => Some(
            HttpResponse::ImATeapot()
                .append_header(("Link", "</a>"))
                .append_header(("Link", "</b>"))
                .finish(),
        ),
        _ => None,
    })
}

#[actix_web::test]
async fn the_error_responses_are_configurable_in_one_place() {
    #[get("/failing")]
    #[with_session]
    async fn failing() -> Result<&'static str, Error> {
        Err(Error::Forbidden)
    }
    let fixture = Fixture::configured(with_own_answers).await;
    let (first, second) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, reports, failing, password);
    for path in ["/reports", "/failing"] {
        let reply = send!(app, support::get(path).insert_header(cookie(&second)));
        assert_eq!((reply.status.as_u16(), reply.body), (403, format!("not {path}")));
    }
    let reply = send!(app, support::get("/reports"));
    assert_eq!(reply.status, StatusCode::IM_A_TEAPOT, "the status of the answer stands");
    assert_eq!(reply.headers.get_all("Link").count(), 2, "and all that it says");
    assert_eq!(reply.header("Content-Type"), None);
    fixture.clock.advance(Duration::from_hours(1));
    let reply = send!(app, support::post("/password").insert_header(cookie(&first)));
    assert!(is_problem(&reply, 401, "reauthenticate"), "the others stay: {reply:?}");
}

#[actix_web::test]
async fn a_login_page_outside_the_app_fails_at_startup() {
    for page in ["https://evil.example/login", "//evil.example", "login", "/\\evil.example", ""] {
        let builder = locals::Auth::<Account>::builder(locals::store::MemoryStore::new());
        let error = builder.login_page(page).build().unwrap_err();
        assert!(error.to_string().contains("is not a page of this app"), "{page}");
        let builder = locals::Auth::<Account>::builder(locals::store::MemoryStore::new());
        assert!(builder.reauthentication_page(page).build().is_err(), "{page}");
    }
}
