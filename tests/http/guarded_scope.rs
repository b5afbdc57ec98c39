//! The guard around a whole scope: the answers of the attribute, and one read for all.

use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, get, http::StatusCode, test::init_service, web};
use locals::{Error, Locals, Session, User, require_user};

use crate::{
    routes::logout,
    send,
    support::{self, Account, DAY, Fixture, cookie},
};

/// A service without any attribute, as a folder of files is.
async fn plain(request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().body(request.match_info().query("file").to_owned())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, session: Session, locals: Locals) -> Result<String, Error> {
    assert_eq!(locals.get_session().await?.map(|again| again.id()), Some(session.id()));
    Ok(user.name.clone())
}

/// An app with a guarded scope.
macro_rules! guarded {
    ($fixture:expr, $guard:expr) => {
        init_service(
            App::new().configure($fixture.auth.configure()).service(
                web::scope("/admin")
                    .wrap($guard)
                    .service((me, logout))
                    .route("/files/{file}", web::get().to(plain)),
            ),
        )
        .await
    };
}

#[actix_web::test]
async fn a_guarded_scope_requires_a_login_with_or_without_an_attribute() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = guarded!(fixture, fixture.auth.require_user().redirect("/login"));
    for (path, body) in [("/admin/me", "name-1"), ("/admin/files/a.txt", "a.txt")] {
        let reply = send!(app, support::get(path));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(reply.header("Vary"), Some("Cookie"));
        let page = send!(app, support::get(path).insert_header(("Sec-Fetch-Mode", "navigate")));
        let next = path.replace('/', "%2F");
        assert_eq!(page.header("Location"), Some(&*format!("/login?next={next}")));

        fixture.store.forget();
        let reply = send!(app, support::get(path).insert_header(cookie(&session)));
        assert_eq!((reply.status, &*reply.body), (StatusCode::OK, body));
        assert_eq!(fixture.store.calls(), 1, "{path}: guard and handler share one read");
        assert_eq!(reply.header("Vary"), Some("Cookie"));
        assert_eq!(reply.header("Cache-Control"), Some("private, no-store"));
    }
    assert_eq!(send!(app, support::get("/admin/nothing")).status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn an_idle_session_is_renewed_once_whether_guard_or_handler_responds() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = guarded!(fixture, fixture.auth.require_user());
    for path in ["/admin/me", "/admin/files/a.txt"] {
        fixture.clock.advance(2 * DAY);
        fixture.store.forget();
        let reply = send!(app, support::get(path).insert_header(cookie(&session)));
        assert_eq!(reply.session_cookie(), session.token().expose_secret(), "{path}");
        assert_eq!((fixture.store.renewals(), fixture.store.calls()), (1, 2), "{path}");
    }
}

#[actix_web::test]
async fn a_handler_inside_decides_about_the_cookie() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = guarded!(fixture, fixture.auth.require_user());
    let reply = send!(app, support::post("/admin/logout").insert_header(cookie(&session)));
    assert!(reply.removes_the_cookie());
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn the_guard_checks_the_user_and_the_age_of_the_login() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.session(1).await, fixture.session(2).await);
    let guard = fixture.auth.require_user().recent(Duration::from_mins(10));
    let app = guarded!(fixture, guard.check(|account: &Account| account.id == 1));
    let ask = |session| support::get("/admin/files/a.txt").insert_header(cookie(session));
    assert_eq!(send!(app, ask(&first)).status, StatusCode::OK);
    assert_eq!(send!(app, ask(&second)).status, StatusCode::FORBIDDEN);
    fixture.clock.advance(Duration::from_mins(11));
    let reply = send!(app, ask(&first));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(reply.body.contains("reauthenticate"));
}

#[actix_web::test]
async fn a_cross_origin_request_and_a_fault_of_the_store_stop_at_the_guard() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = guarded!(fixture, fixture.auth.require_user());
    let request = actix_web::test::TestRequest::post().uri("/admin/logout");
    let request = request.insert_header(("Sec-Fetch-Site", "cross-site"));
    let reply = send!(app, request.insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(fixture.rows().await, 1);

    fixture.store.fail(true);
    let reply = send!(app, support::get("/admin/files/a.txt").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.header("Retry-After"), Some("1"));
    assert!(reply.sets_no_cookie());
}

#[actix_web::test]
#[should_panic = "`//evil.example` is not a page of this app"]
async fn a_guard_that_redirects_to_another_site_fails_at_startup() {
    let fixture = Fixture::new().await;
    let _ = fixture.auth.require_user().redirect("//evil.example");
}
