//! What an app does with the session before its handlers holds for the same request.

use actix_web::{
    App, HttpRequest, HttpResponse,
    error::ErrorImATeapot,
    get,
    http::StatusCode,
    post,
    test::{TestRequest, init_service},
    web,
};
use locals::{AuthBuilder, Error, Locals, Session, User, UserId, require_user, with_session};

use crate::{
    routes::logout,
    send,
    support::{self, Account, Cart, DAY, Fixture, as_set, cookie},
};

/// Follows the header `Remote-User`: logs a user in, logs out, or fails.
async fn prepare(request: &HttpRequest, locals: &Locals) -> actix_web::Result<()> {
    let Some(name) = request.headers().get("Remote-User") else { return Ok(()) };
    match name.to_str().unwrap() {
        "nobody" => locals.log_out().await?,
        "teapot" => return Err(ErrorImATeapot("no coffee")),
        "guest" => locals.update_guest(|cart: &mut Cart| cart.items.push(7)).await?,
        id if locals.get_session().await?.is_none() => {
            locals.log_in(&Account::of(id.parse().unwrap())).await?;
            locals.update_session(|cart: &mut Cart| cart.items.push(7)).await?;
        }
        _ => {}
    }
    Ok(())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, session: Session, locals: Locals) -> Result<String, Error> {
    assert_eq!(locals.get_session().await?.map(|again| again.id()), Some(session.id()));
    let (again, _) = locals.get_session_user::<Account>().await?.unwrap();
    assert_eq!(again.id(), session.id());
    Ok(format!("{} {:?}", user.name, session.data::<Cart>().items))
}

#[post("/add")]
#[require_user]
async fn add(locals: Locals) -> Result<String, Error> {
    let count = locals.update_session(|cart: &mut Cart| {
        cart.items.push(8);
        cart.items.len()
    });
    Ok(count.await?.to_string())
}

#[get("/who")]
#[with_session]
async fn who(user: Option<User<Account>>, locals: Locals) -> Result<String, Error> {
    assert_eq!(locals.get_session().await?.is_some(), user.is_some());
    Ok(user.map_or("nobody".to_owned(), |user| user.name.clone()))
}

#[get("/cart")]
#[with_session]
async fn shown(locals: Locals) -> Result<String, Error> {
    Ok(format!("{:?}", locals.guest::<Cart>().await?.items))
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account::of(2)).await?;
    Ok("in")
}

#[post("/hook")]
#[with_session(cross_origin)]
async fn hook(user: Option<User<Account>>) -> String {
    user.is_some().to_string()
}

/// A service without any attribute, as a folder of files is.
async fn plain() -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "max-age=3600")).body("plain")
}

macro_rules! prepared {
    ($fixture:expr) => {
        init_service(
            App::new()
                .configure($fixture.auth.configure())
                .service((me, add, who, shown, logout, login, hook))
                .service(
                    web::scope("/in")
                        .wrap($fixture.auth.require_user())
                        .route("/{name}", web::get().to(plain)),
                )
                .service(
                    web::scope("/out").service(
                        web::scope("/in")
                            .wrap($fixture.auth.before_request(prepare))
                            .wrap($fixture.auth.require_user())
                            .route("/{name}", web::get().to(plain)),
                    ),
                )
                .route("/plain", web::get().to(plain))
                .wrap($fixture.auth.before_request(prepare)),
        )
        .await
    };
}

async fn fixture() -> Fixture {
    configured(|builder| builder).await
}

async fn configured(
    configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>,
) -> Fixture {
    let fixture = Fixture::configured(configure).await;
    fixture.account(1).await;
    fixture.account(2).await;
    fixture
}

/// A request by somebody whom the proxy knows.
fn by(id: &'static str, request: TestRequest) -> TestRequest {
    request.insert_header(("Remote-User", id))
}

#[actix_web::test]
async fn a_login_before_the_request_applies_to_the_handler_and_afterwards() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    assert_eq!(send!(app, support::get("/me")).status, StatusCode::UNAUTHORIZED);
    for (request, body) in [(support::get("/me"), "name-1 [7]"), (support::post("/add"), "2")] {
        let reply = send!(app, by("1", request));
        assert_eq!((reply.status, &*reply.body), (StatusCode::OK, body));
        assert_eq!(reply.header("Cache-Control"), Some("no-store"));
        let again = send!(app, support::get("/who").insert_header(as_set(&reply)));
        assert_eq!((&*again.body, again.sets_no_cookie()), ("name-1", true));
    }
    assert_eq!(fixture.rows().await, 2);
}

#[actix_web::test]
async fn the_cookie_is_sent_whatever_produces_the_response() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    for (path, status) in [
        ("/plain", StatusCode::OK),
        ("/in/a.txt", StatusCode::OK),
        ("/nothing", StatusCode::NOT_FOUND),
    ] {
        let reply = send!(app, by("1", support::get(path)));
        assert_eq!((reply.status, reply.header("Cache-Control")), (status, Some("no-store")));
        let again = send!(app, support::get("/me").insert_header(as_set(&reply)));
        assert_eq!(again.body, "name-1 [7]");
    }
}

#[actix_web::test]
async fn a_handler_may_replace_that_login_and_leaves_no_session_behind() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    let reply = send!(app, by("1", support::post("/logout")));
    assert!(reply.removes_the_cookie());
    assert_eq!(fixture.rows().await, 0);

    let reply = send!(app, by("1", support::post("/login")));
    let again = send!(app, support::get("/who").insert_header(as_set(&reply)));
    assert_eq!((&*again.body, fixture.rows().await), ("name-2", 1));
}

#[actix_web::test]
async fn a_logout_before_the_request_leaves_the_handler_no_session() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    let session = send!(app, support::post("/login"));
    let out = by("nobody", support::get("/who").insert_header(as_set(&session)));
    let reply = send!(app, out);
    assert_eq!((&*reply.body, reply.removes_the_cookie()), ("nobody", true));
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn a_logout_before_a_request_without_a_session_changes_no_cookie() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    let forgets = |reply: &support::Reply| reply.header("Clear-Site-Data").is_some();
    for path in ["/who", "/plain", "/nothing"] {
        let reply = send!(app, by("nobody", support::get(path)));
        assert!(!forgets(&reply) && reply.sets_no_cookie(), "{path}");
    }
    assert!(!forgets(&send!(app, by("nobody", support::post("/logout")))));
    // With whatever cookie of a session there is, and with one that this request has set.
    let session = send!(app, support::post("/login"));
    let junk = ("Cookie", "__Host-session=junk".to_owned());
    for presented in [as_set(&session), as_set(&session), junk] {
        let reply = send!(app, by("nobody", support::get("/plain").insert_header(presented)));
        assert!(forgets(&reply) && reply.removes_the_cookie());
    }
    assert!(forgets(&send!(app, by("1", support::post("/logout")))));
}

#[actix_web::test]
async fn guests_are_written_before_as_in_a_handler() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    let reply = send!(app, by("guest", support::get("/cart")));
    assert_eq!((&*reply.body, reply.guest_cookie().is_some()), ("[7]", true));
}

#[actix_web::test]
async fn before_request_does_not_run_for_cross_origin_and_bearer_requests() {
    let fixture = configured(|builder| builder.bearer(true)).await;
    let app = prepared!(fixture);
    let elsewhere =
        |path| by("1", support::post(path).insert_header(("Sec-Fetch-Site", "cross-site")));
    assert_eq!(send!(app, elsewhere("/add")).status, StatusCode::FORBIDDEN);
    let reply = send!(app, elsewhere("/hook"));
    assert_eq!((&*reply.body, reply.sets_no_cookie()), ("false", true));
    let bearer = by("1", support::get("/who").insert_header(("Authorization", "Bearer none")));
    let reply = send!(app, bearer);
    assert_eq!((&*reply.body, reply.sets_no_cookie()), ("nobody", true));
    assert_eq!(fixture.rows().await, 0);
}

/// The function that the documentation shows.
async fn by_proxy(request: &HttpRequest, locals: &Locals) -> actix_web::Result<()> {
    let name = request.headers().get("Remote-User").and_then(|name| name.to_str().ok());
    let account = name.map(|name| Account::of(name.parse().unwrap()));
    let session = locals.get_session().await?;
    match account {
        Some(account) if session.is_none_or(|it| *it.user_id() != UserId::from(account.id)) => {
            locals.log_in(&account).await?;
        }
        Some(_) => {}
        None => locals.log_out().await?,
    }
    Ok(())
}

#[actix_web::test]
async fn the_login_can_follow_the_user_that_a_proxy_names_in_each_request() {
    let fixture = fixture().await;
    let app = App::new().configure(fixture.auth.configure()).service(who);
    let app = init_service(app.wrap(fixture.auth.before_request(by_proxy))).await;
    let first = send!(app, by("1", support::get("/who")));
    let again = send!(app, by("1", support::get("/who").insert_header(as_set(&first))));
    assert_eq!((&*again.body, again.sets_no_cookie()), ("name-1", true));
    let other = send!(app, by("2", support::get("/who").insert_header(as_set(&first))));
    assert_eq!((&*other.body, fixture.rows().await), ("name-2", 1), "the first one's has ended");
    let out = send!(app, support::get("/who").insert_header(as_set(&other)));
    assert_eq!((&*out.body, out.removes_the_cookie(), fixture.rows().await), ("nobody", true, 0));
    assert!(send!(app, support::get("/who")).sets_no_cookie(), "a stranger is left alone");
}

#[actix_web::test]
async fn an_error_before_the_request_is_the_response_and_no_handler_runs() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    let reply = send!(app, by("teapot", support::post("/login")));
    assert_eq!((reply.status, &*reply.body), (StatusCode::IM_A_TEAPOT, "no coffee"));

    fixture.store.fail(true);
    let reply = send!(app, by("1", support::get("/plain")));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.sets_no_cookie() && reply.header("Retry-After").is_some());
    fixture.store.fail(false);
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn before_request_reads_the_session_at_most_once_and_only_if_it_asks() {
    let fixture = fixture().await;
    let session = fixture.session(3).await;
    let app = prepared!(fixture);
    let reply = send!(app, support::get("/plain").insert_header(cookie(&session)));
    assert_eq!((fixture.store.calls(), reply.header("Vary")), (0, None));
    assert_eq!(reply.header("Cache-Control"), Some("max-age=3600"));
    let reply = send!(app, by("1", support::get("/me").insert_header(cookie(&session))));
    assert_eq!((&*reply.body, fixture.store.calls()), ("name-3 []", 1));
}

#[actix_web::test]
async fn an_idle_session_is_renewed_as_without_before_request() {
    let fixture = fixture().await;
    let session = fixture.session(3).await;
    let app = prepared!(fixture);
    fixture.clock.advance(2 * DAY);
    let reply = send!(app, by("1", support::get("/plain").insert_header(cookie(&session))));
    assert_eq!(reply.session_cookie(), session.token().expose_secret());
}

#[actix_web::test]
async fn an_outer_guard_decides_first_and_the_cookie_is_written_once() {
    let fixture = fixture().await;
    let app = prepared!(fixture);
    assert_eq!(send!(app, support::get("/out/in/a")).status, StatusCode::UNAUTHORIZED);
    let reply = send!(app, by("1", support::get("/out/in/a")));
    assert_eq!((reply.status, fixture.rows().await), (StatusCode::OK, 1));
    let session = as_set(&reply);

    let out = by("nobody", support::get("/out/in/a").insert_header(session));
    assert_eq!(send!(app, out).status, StatusCode::UNAUTHORIZED, "the outer one has logged out");
    assert_eq!(fixture.rows().await, 0);
}
