//! `set_session` and `clear_session`: the last call wins, whatever the response.

use actix_web::{HttpResponse, Responder, error::ErrorImATeapot, get, http::StatusCode, post, web};
use locals::{AuthUser, Error, Locals, Session, SessionToken, with_session};

use crate::{
    app, send,
    support::{self, Account, Fixture, cookie as presenting},
};

/// Makes a session of account 1 and sets it, then answers as the path says.
#[get("/set/{how}")]
#[with_session]
async fn set(how: web::Path<String>, locals: Locals) -> Result<HttpResponse, actix_web::Error> {
    set_first(&locals).await?;
    let status = match how.as_str() {
        "error" => return Err(ErrorImATeapot("refused")),
        "stream" => {
            let chunks = ["a", "b", "c"].map(|chunk| Ok::<_, Error>(web::Bytes::from(chunk)));
            return Ok(HttpResponse::Ok().streaming(futures_util::stream::iter(chunks)));
        }
        "cacheable" => {
            let mut response = HttpResponse::Ok();
            return Ok(response.insert_header(("Cache-Control", "public, max-age=60")).finish());
        }
        status => status.parse::<u16>().unwrap(),
    };
    Ok(HttpResponse::build(StatusCode::from_u16(status).unwrap()).body("body"))
}

async fn set_first(locals: &Locals) -> Result<Session, Error> {
    let account = Account { id: 1, name: String::new() };
    let session = locals.auth().create_session(&account).await?;
    locals.set_session(session.clone());
    Ok(session)
}

#[actix_web::test]
async fn the_cookie_is_written_with_every_status_an_error_and_a_stream() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, set);
    for (how, status, body) in [
        ("200", 200, "body"),
        ("303", 303, "body"),
        ("404", 404, "body"),
        ("422", 422, "body"),
        ("500", 500, "body"),
        ("503", 503, "body"),
        ("error", 418, "refused"),
        ("stream", 200, "abc"),
    ] {
        let reply = send!(app, support::get(&format!("/set/{how}")));
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (status, body));
        assert_eq!(reply.session_cookie().len(), 64);
        assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    }
}

#[actix_web::test]
async fn a_response_that_sets_the_cookie_is_never_stored_whatever_the_handler_says() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, set);
    let reply = send!(app, support::get("/set/cacheable"));
    assert_eq!(reply.headers.get_all("Cache-Control").count(), 1);
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
}

#[get("/order/{order}")]
#[with_session]
async fn order(order: web::Path<String>, locals: Locals) -> Result<String, Error> {
    let mut last = None;
    for step in order.chars() {
        match step {
            's' => last = Some(set_first(&locals).await?),
            'c' => {
                locals.clear_session();
                last = None;
            }
            _ => unreachable!(),
        }
        let read = locals.get_session().await?;
        assert_eq!(read.as_ref().map(Session::id), last.as_ref().map(Session::id));
        let with_user = locals.get_session_user::<Account>().await?;
        assert_eq!(with_user.as_ref().map(|(session, _)| session.id()), read.map(|read| read.id()));
        if let Some((_, user)) = with_user {
            assert_eq!(user.name, "name-1");
        }
    }
    Ok(last.map_or(String::new(), |session| session.id().to_string()))
}

#[actix_web::test]
async fn the_last_call_wins_both_ways_is_read_back_and_writes_one_cookie() {
    let fixture = Fixture::new().await;
    let presented = fixture.session(1).await;
    let app = app!(fixture, order);
    for steps in ["s", "ss", "sss", "cs", "scs", "ccs"] {
        let request = support::get(&format!("/order/{steps}"));
        let reply = send!(app, request.insert_header(presenting(&presented)));
        let token: SessionToken = reply.session_cookie().parse().unwrap();
        assert_eq!(token.id().to_string(), reply.body, "{steps}");
        assert_eq!(reply.set_cookies().len(), 1);
    }
    for steps in ["c", "cc", "sc", "csc", "scc"] {
        let request = support::get(&format!("/order/{steps}"));
        let reply = send!(app, request.insert_header(presenting(&presented)));
        assert!(reply.removes_the_cookie(), "{steps}");
        assert_eq!(reply.set_cookies().len(), 1);
    }
    // Without a cookie to begin with.
    let reply = send!(app, support::get("/order/sc"));
    assert!(reply.removes_the_cookie());
    let reply = send!(app, support::get("/order/c"));
    assert!(reply.sets_no_cookie(), "there is no cookie to remove");
}

#[get("/clear")]
#[with_session]
async fn clear(locals: Locals) -> &'static str {
    locals.clear_session();
    ""
}

#[actix_web::test]
async fn clearing_removes_the_cookie_and_ends_nothing() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, clear);
    let reply = send!(app, support::get("/clear").insert_header(presenting(&session)));
    assert!(reply.removes_the_cookie());
    assert_eq!(fixture.store.calls(), 0);
    let token = session.token().expose_secret();
    assert!(fixture.auth.validate_session(token).await.unwrap().is_some());
}

/// A cache that kept it would answer a user with it, whose cookie would stay.
#[actix_web::test]
async fn clearing_without_a_session_makes_the_response_private() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, clear);
    let reply = send!(app, support::get("/clear"));
    assert!(reply.sets_no_cookie());
    assert_eq!(reply.header("Vary"), Some("Cookie"));
    assert_eq!(reply.header("Cache-Control"), Some("private, no-store"));
}

#[actix_web::test]
async fn clearing_removes_a_malformed_cookie_too() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, clear);
    let header = ("Cookie", "__Host-session=junk");
    assert!(send!(app, support::get("/clear").insert_header(header)).removes_the_cookie());
}

#[get("/others")]
#[with_session]
async fn beside_others(locals: Locals) -> Result<impl Responder, Error> {
    set_first(&locals).await?;
    let mut response = HttpResponse::Ok();
    for (name, value) in [("theme", "dark"), ("language", "eo")] {
        response.append_header(("Set-Cookie", format!("{name}={value}; Path=/")));
    }
    Ok(response.finish())
}

#[actix_web::test]
async fn other_cookies_of_the_handler_and_of_middleware_survive_each_in_a_header_of_its_own() {
    use actix_web::dev::Service;

    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = actix_web::test::init_service(
        actix_web::App::new()
            .wrap_fn(|request, service| {
                let response = service.call(request);
                async move {
                    let mut response = response.await?;
                    let flash = cookie_header("flash=saved; Path=/");
                    response.headers_mut().append(actix_web::http::header::SET_COOKIE, flash);
                    Ok(response)
                }
            })
            .configure(fixture.auth.configure())
            .service(beside_others),
    )
    .await;
    let reply = send!(app, support::get("/others"));
    let names: Vec<_> =
        reply.set_cookies().iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
    assert_eq!(names, ["theme", "language", "__Host-session", "flash"]);
}

fn cookie_header(text: &'static str) -> actix_web::http::header::HeaderValue {
    actix_web::http::header::HeaderValue::from_static(text)
}

#[post("/wrong-table")]
#[with_session]
async fn of_another_table(locals: Locals) -> Result<&'static str, Error> {
    #[derive(AuthUser)]
    #[auth_user(table = "admins")]
    struct Admin {
        id: i64,
    }
    locals.log_in(&Admin { id: 1 }).await?;
    Ok("in")
}

#[actix_web::test]
async fn a_user_of_another_table_is_refused_and_no_cookie_is_written() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, of_another_table);
    let reply = send!(app, support::post("/wrong-table"));
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(reply.sets_no_cookie());
    assert_eq!(fixture.rows().await, 0);
}

/// The idiom of those who come from Lucia.
#[get("/set-again")]
#[with_session]
async fn set_again(session: Option<Session>, locals: Locals) -> &'static str {
    if let Some(session) = session.filter(Session::is_fresh) {
        locals.set_session(session);
    }
    ""
}

#[actix_web::test]
async fn an_idle_session_that_is_set_again_is_renewed_all_the_same() {
    let fixture = Fixture::new().await;
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * support::DAY);
    let app = app!(fixture, set_again);
    let reply = send!(app, support::get("/set-again").insert_header(presenting(&idle)));
    assert_eq!(reply.session_cookie(), idle.token().expose_secret());
    assert_eq!(reply.max_age(), 15 * 24 * 60 * 60);
    let row = fixture.row(&idle).await.unwrap();
    assert_eq!(row.idle_expires_at, fixture.now() + 15 * support::DAY);
}

#[get("/own-cookie")]
#[with_session]
async fn own_cookie_of_the_same_name(locals: Locals) -> Result<impl Responder, Error> {
    set_first(&locals).await?;
    let mut response = HttpResponse::Ok();
    response.append_header(("Set-Cookie", "__Host-session=mine; Path=/; Secure"));
    response.append_header(("Set-Cookie", "__Host-session2=kept; Path=/; Secure"));
    response.append_header(("CDN-Cache-Control", "max-age=600"));
    Ok(response.finish())
}

#[actix_web::test]
async fn a_session_cookie_and_cdn_cache_control_of_the_handler_are_dropped() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, own_cookie_of_the_same_name);
    let reply = send!(app, support::get("/own-cookie"));
    assert_eq!(reply.set_cookies().len(), 2);
    assert_eq!(reply.session_cookie().len(), 64);
    assert_eq!(reply.header("CDN-Cache-Control"), None);
}

#[get("/end-by-id")]
#[with_session]
async fn end_by_id(session: Option<Session>, locals: Locals) -> Result<&'static str, Error> {
    if let Some(session) = session {
        locals.auth().invalidate_session(session.id()).await?;
    }
    Ok("")
}

#[actix_web::test]
async fn ending_a_session_by_its_id_writes_no_cookie() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, end_by_id);
    for (id, age) in [(1, std::time::Duration::ZERO), (2, 2 * support::DAY)] {
        let session = fixture.session(id).await;
        fixture.clock.advance(age);
        let reply = send!(app, support::get("/end-by-id").insert_header(presenting(&session)));
        assert!(reply.sets_no_cookie());
        assert!(fixture.row(&session).await.is_none());
    }
}
