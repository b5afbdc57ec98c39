//! The app's set-up: what is missing or contradictory, and scopes with an `Auth` of their own.

use actix_web::{App, get, http::StatusCode, test::init_service, web};
use locals::{
    Auth, AuthUser, CookieConfig, SameSite, Session, User, require_user, store::MemoryStore,
    with_session,
};

use crate::{
    app,
    routes::me,
    send,
    support::{self, Account, Fixture, cookie},
};

#[get("/public")]
#[with_session]
async fn public(session: Option<Session>) -> String {
    session.is_some().to_string()
}

#[get("/auth")]
async fn auth_as_extractor(auth: Auth<Account>) -> Result<String, locals::Error> {
    Ok(auth.user_sessions(1).await?.len().to_string())
}

#[actix_web::test]
async fn without_configure_every_handler_is_500_with_an_opaque_body() {
    let app = init_service(App::new().service(me).service(public).service(auth_as_extractor)).await;
    for path in ["/me", "/public", "/auth"] {
        let reply = send!(app, support::get(path));
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(reply.body, support::problem(500, "internal", "Internal error"));
        assert!(reply.sets_no_cookie());
    }
}

#[actix_web::test]
async fn auth_is_an_ordinary_extractor() {
    let fixture = Fixture::new().await;
    fixture.session(1).await;
    let app = app!(fixture, auth_as_extractor);
    assert_eq!(send!(app, support::get("/auth")).body, "1");
}

#[derive(Clone, AuthUser)]
#[auth_user(table = "admins")]
struct Admin {
    id: String,
}

#[get("/me")]
#[require_user]
async fn admin(admin: User<Admin>, accounts: Auth<Account>) -> Result<String, locals::Error> {
    let sessions = accounts.user_sessions(1).await?;
    Ok(format!("{} sees {}", admin.id, sessions.len()))
}

#[actix_web::test]
async fn a_scope_may_have_users_and_a_cookie_of_its_own() {
    let fixture = Fixture::new().await;
    let account = fixture.session(1).await;
    let store = MemoryStore::new();
    store.insert_user(Admin { id: "root".to_owned() });
    let admins =
        Auth::builder(store).cookie(CookieConfig::default().name("__Host-admin")).build().unwrap();
    let session = admins.create_session(&Admin { id: "root".to_owned() }).await.unwrap();
    let app = init_service(
        App::new()
            .configure(fixture.auth.configure())
            .service(web::scope("/admin").configure(admins.configure()).service(admin))
            .service(me),
    )
    .await;
    let both = format!(
        "__Host-session={}; __Host-admin={}",
        account.token().expose_secret(),
        session.token().expose_secret()
    );
    let reply = send!(app, support::get("/me").insert_header(("Cookie", both.clone())));
    assert_eq!(reply.body, "name-1");
    let reply = send!(app, support::get("/admin/me").insert_header(("Cookie", both)));
    assert_eq!(reply.body, "root sees 1");
    let reply = send!(app, support::get("/admin/me").insert_header(cookie(&account)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_handler_for_the_users_of_another_auth_is_500() {
    let admins = Auth::<Admin>::builder(MemoryStore::new()).build().unwrap();
    let app = init_service(App::new().configure(admins.configure()).service(me)).await;
    let reply = send!(app, support::get("/me"));
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn contradictory_settings_fail_at_startup() {
    let builder = || Auth::<Admin>::builder(MemoryStore::new());
    let cookie = CookieConfig::default;
    for contradiction in [
        builder().cookie(cookie().domain("example.com")),
        builder().cookie(cookie().path("/app")),
        builder().cookie(cookie().name("a").path("/app?tab=1")),
        builder().cookie(cookie().name("a").domain("example.com:8443")),
        builder().cookie(cookie().name("a").domain("https://example.com")),
        builder().cookie(cookie().name("a").domain("*.example.com")),
        builder().cookie(cookie().name("a").domain("/")),
        builder().cookie(cookie().name("__Secure-id").secure(false)),
        builder().cookie(cookie().same_site(SameSite::None).secure(false)),
        builder().trusted_origin("https://sso.example/"),
        builder().trusted_origin("*"),
        builder().login_page("/login?next=/x"),
        builder().login_page("/login?a=1&next"),
        builder().login_page("/login#top"),
        builder().reauthentication_page("/confirm?n%65xt="),
        builder().origin("null"),
        builder().lifetime(locals::Lifetime::default().idle(std::time::Duration::ZERO)),
    ] {
        let error = contradiction.build().unwrap_err().to_string();
        assert!(!error.is_empty() && !error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn the_login_page_may_have_a_query() {
    let auth = Auth::<Admin>::builder(MemoryStore::new())
        .login_page("/login?lang=en")
        .reauthentication_page("/confirm?next_page=2")
        .build()
        .unwrap();
    let _ = auth.require_user().redirect("/login?lang=en&a=next");
}

#[test]
#[should_panic(expected = "has a `next` in its query")]
fn a_guard_around_a_scope_refuses_a_redirect_with_a_next_parameter() {
    let auth = Auth::<Admin>::builder(MemoryStore::new()).build().unwrap();
    let _ = auth.require_user().redirect("/login?lang=en&next=/");
}

#[actix_web::test]
async fn for_plain_http_the_cookie_has_neither_prefix_nor_secure() {
    let fixture =
        Fixture::configured(|builder| builder.cookie(CookieConfig::default().secure(false))).await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * support::DAY);
    let app = app!(fixture, me);
    let header = ("Cookie", format!("session={}", session.token().expose_secret()));
    let reply = send!(app, support::get("/me").insert_header(header));
    assert_eq!(reply.body, "name-1");
    let cookie = reply.set_cookies()[0];
    assert!(cookie.starts_with("session=") && !cookie.contains("Secure"), "{cookie}");
}
