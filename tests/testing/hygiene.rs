//! The examination: what it says of good apps, and of each fault.

use actix_web::{App, Responder, get, post, test::init_service, web};
use locals::{
    Auth, AuthBuilder, AuthUser, CookieConfig, Error, Locals, SafeRedirect, User, require_user,
    store::MemoryStore, testing::*, with_session,
};
use serde::Deserialize;

use crate::broken::{Wrong, broken};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[derive(Deserialize)]
struct Credentials {
    id: i64,
    next: SafeRedirect,
}

#[get("/login")]
#[with_session(guest_only = "/")]
async fn login_page() -> &'static str {
    "<form method=post>"
}

#[post("/login")]
#[with_session(guest_only = "/")]
async fn login(form: web::Form<Credentials>, locals: Locals) -> Result<SafeRedirect, Error> {
    locals.log_in(&Account { id: form.id }).await?;
    Ok(form.into_inner().next)
}

#[post("/api/login")]
#[with_session]
async fn api_login(data: web::Json<Credentials>, locals: Locals) -> Result<impl Responder, Error> {
    locals.log_in(&Account { id: data.id }).await?;
    Ok(locals.return_to())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.id.to_string()
}

#[post("/orders")]
#[require_user]
async fn order(user: User<Account>, _items: web::Json<Vec<u32>>) -> String {
    user.id.to_string()
}

fn auth(configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>) -> Auth<Account> {
    let store = MemoryStore::new();
    store.insert_user(Account { id: 7 });
    configure(Auth::builder(store)).build().unwrap()
}

macro_rules! app {
    ($auth:expr) => {
        init_service(
            App::new()
                .configure($auth.configure())
                .service(login_page)
                .service(login)
                .service(api_login)
                .service(logout)
                .service(me)
                .service(order),
        )
        .await
    };
}

fn by_form(auth: &Auth<Account>) -> Hygiene {
    Hygiene {
        log_in: Probe::post("/login").form([("id", "7")]),
        login_page: Some("/login".to_owned()),
        ..Hygiene::of(auth)
    }
}

#[actix_web::test]
async fn an_app_with_locals_has_no_fault() {
    for auth in [
        auth(|builder| builder),
        auth(|builder| builder.strict_origins(true).login_page("/login")),
        auth(|builder| builder.cookie(CookieConfig::default().secure(false))),
        auth(|builder| builder.cookie(CookieConfig::default().name("__Secure-id").path("/"))),
    ] {
        let app = app!(auth);
        assert_hygiene(&app, by_form(&auth)).await;
    }
}

#[actix_web::test]
async fn an_api_with_locals_has_no_fault() {
    let auth = auth(|builder| builder.strict_origins(true));
    let app = app!(auth);
    let data = serde_json::json!({ "id": 7 });
    let hygiene = Hygiene {
        log_in: Probe::post("/api/login").json(data),
        protected: Probe::post("/orders").json([1, 2]),
        login_page: Some("/login".to_owned()),
        ..Hygiene::of(&auth)
    };
    assert_hygiene(&app, hygiene).await;
}

async fn report_of(wrong: Wrong) -> Report {
    let app = init_service(App::new().configure(broken(wrong))).await;
    let hygiene = Hygiene {
        log_in: Probe::post("/login").form([("name", "ada")]),
        login_page: Some("/login".to_owned()),
        ..Hygiene::default()
    };
    check_hygiene(&app, hygiene).await
}

#[actix_web::test]
async fn an_app_by_hand_may_have_no_fault_either() {
    let report = report_of(Wrong::Nothing).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.to_string(), "no fault in the hygiene of sessions");
}

/// Each fault, the rule that it breaks, and a sentence that says so.
const FAULTS: &[(Wrong, Rule, &str)] = &[
    (Wrong::RefusesAll, Rule::SetUp, "Got: 401 Unauthorized, and no cookie `__Host-session`."),
    (Wrong::RefusesUsers, Rule::SetUp, "Sent: `GET /me` with the session of a login."),
    (Wrong::Throttles, Rule::SetUp, "Got: 429 Too Many Requests."),
    (Wrong::FollowsNothing, Rule::SetUp, "Got: no redirect to it."),
    (Wrong::NoHttpOnly, Rule::Cookie, "Got: the cookie `__Host-session`, without `HttpOnly`."),
    (Wrong::NoSecure, Rule::Cookie, "Got: the cookie `__Host-session`, without `Secure`."),
    (Wrong::NoSameSite, Rule::Cookie, "Got: the cookie `__Host-session`, without `SameSite`."),
    (Wrong::NoPath, Rule::Cookie, "Got: the cookie `__Host-session`, without `Path`."),
    (Wrong::PathOfPrefix, Rule::Cookie, "contradicts its name: `__Host-` requires `Path=/`."),
    (Wrong::Twice, Rule::Cookie, "Got: the cookie `__Host-session`, more than once."),
    (Wrong::SameToken, Rule::NewToken, "Got: the token of another login."),
    (Wrong::AdoptsToken, Rule::NewToken, "Got: the same token again."),
    (Wrong::StaleCookie, Rule::NewToken, "Got: 401 Unauthorized, and no new token."),
    (Wrong::KeepsToken, Rule::NewToken, "Got: 303 See Other, and no new token."),
    (
        Wrong::KeepsPresented,
        Rule::LogInEndsSession,
        "Sent: `GET /me` with a session that a login has replaced.\n   Got: 200 OK.",
    ),
    (
        Wrong::KeepsSession,
        Rule::LogOutEndsSession,
        "Sent: `GET /me` with a session that has been logged out.\n   Got: 200 OK.",
    ),
    (
        Wrong::KeepsCookie,
        Rule::LogOutRemovesCookie,
        "Got: 303 See Other, and no removal of `__Host-session`.",
    ),
    (
        Wrong::EmptiesCookie,
        Rule::LogOutRemovesCookie,
        "Got: the cookie `__Host-session`, without `Max-Age=0`.",
    ),
    (Wrong::RemovesElsewhere, Rule::LogOutRemovesCookie, "with another `Path` or `Domain`"),
    (Wrong::LogInByGet, Rule::SafeMethods, "Got: 303 See Other, and a session."),
    (Wrong::LogOutByGet, Rule::SafeMethods, "Got: 303 See Other, and the user is logged out."),
    (Wrong::LogInAcrossSites, Rule::CrossSite, "Sent: `POST /login` from a page of another site."),
    (
        Wrong::LogOutAcrossSites,
        Rule::CrossSite,
        "Sent: `POST /logout` with a session from a page of another site.",
    ),
    (Wrong::LetsStrangersIn, Rule::Strangers, "Sent: `GET /me` without a cookie.\n   Got: 200 OK."),
    (Wrong::ReadsFirst, Rule::Strangers, "Got: 401 Unauthorized, after the body was read."),
    (Wrong::FollowsQuery, Rule::Next, "as `next` in the query of `POST /login`."),
    (Wrong::FollowsForm, Rule::Next, "as `next` in the body of `POST /login`."),
    (Wrong::FollowsOnPage, Rule::Next, "as `next` in the query of `GET /login` with a session."),
    (
        Wrong::CachedCookie,
        Rule::Caching,
        "Got: the cookie `__Host-session` with `Cache-Control: max-age=60`.",
    ),
    (Wrong::CachedPage, Rule::Caching, "Got: no `Cache-Control`."),
    (Wrong::PublicPage, Rule::Caching, "Got: `Cache-Control: public, max-age=60`."),
    (Wrong::NoVary, Rule::Caching, "Got: no `Vary`."),
    (Wrong::TokenInBody, Rule::Secrecy, "Got: the token in the body."),
    (Wrong::TokenInLocation, Rule::Secrecy, "Got: the token in the header `location`."),
];

#[actix_web::test]
async fn each_fault_is_reported_and_nothing_else() {
    for (wrong, rule, sentence) in FAULTS {
        let report = report_of(*wrong).await;
        let rules: Vec<_> = report.faults().iter().map(|fault| fault.rule).collect();
        assert!(!rules.is_empty() && rules.iter().all(|it| it == rule), "{wrong:?}: {report}");
        assert!(report.to_string().contains(sentence), "{wrong:?}: {report}");
    }
}

#[actix_web::test]
#[should_panic = "at tests/testing/hygiene.rs:"]
async fn a_fault_fails_the_test_and_names_its_line() {
    let app = init_service(App::new().configure(broken(Wrong::NoVary))).await;
    assert_hygiene(&app, Hygiene::default()).await;
}

#[actix_web::test]
async fn all_faults_are_reported_together_and_without_a_token() {
    let auth = auth(|builder| builder);
    let app = init_service(
        App::new()
            .configure(auth.configure())
            .service(web::resource("/login").to(careless_login))
            .service(web::resource("/logout").to(careless_logout))
            .service(me),
    )
    .await;
    let report = check_hygiene(&app, Hygiene::of(&auth)).await;
    assert_eq!(
        report.to_string(),
        "3 faults in the hygiene of sessions:

1. Broken rule: GET logs nobody in or out.
   Sent: `GET /login`.
   Got: 200 OK, and a session.
   Fix: route the login by POST only: any link or image on any page sends a GET.

2. Broken rule: GET logs nobody in or out.
   Sent: `GET /logout` with a session.
   Got: 200 OK, and the user is logged out.
   Fix: route the logout by POST only: any link or image on any page sends a GET.

3. Broken rule: logout ends the session on the server.
   Sent: `GET /me` with a session that has been logged out.
   Got: 200 OK.
   Fix: end the session in the store before responding to the logout, as `locals.log_out()` does; \
         the browser's cookie may not be the only copy."
    );
}

#[with_session]
async fn careless_login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account { id: 7 }).await?;
    Ok("Welcome")
}

#[with_session]
async fn careless_logout(locals: Locals) -> &'static str {
    locals.clear_session();
    "Goodbye"
}
