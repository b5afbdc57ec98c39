//! An app with its sessions in Redis, over HTTP.

use actix_web::{
    App,
    dev::ServiceResponse,
    get,
    http::{StatusCode, header},
    post,
    test::{TestRequest, call_service, init_service, read_body},
};
use locals::{
    Auth, Error, Locals, User, require_user,
    store::{RedisStore, WithLoader},
    with_session,
};

use super::server::Server;
use crate::loader::{Directory, Person};

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Person { id: 7_i64 }).await?;
    Ok("in")
}

#[get("/me")]
#[require_user]
async fn me(user: User<Person<i64>>) -> String {
    format!("you are {}", user.id)
}

#[post("/logout")]
#[require_user]
async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

fn with(cookie: &str, request: TestRequest) -> TestRequest {
    request.insert_header(("Sec-Fetch-Site", "same-origin")).insert_header((header::COOKIE, cookie))
}

macro_rules! send {
    ($app:expr, $cookie:expr, $request:expr) => {
        call_service(&$app, with($cookie, $request).to_request()).await
    };
}

fn is_unavailable(response: &ServiceResponse) -> bool {
    response.status() == StatusCode::SERVICE_UNAVAILABLE
        && response.headers().contains_key(header::RETRY_AFTER)
        && !response.headers().contains_key(header::SET_COOKIE)
}

#[actix_web::test]
async fn a_user_logs_in_and_out_and_an_outage_logs_nobody_out() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let users = Directory::default();
    users.add(7_i64);
    let sessions = RedisStore::connect(&server.url()).await.unwrap();
    let auth = Auth::<Person<i64>>::builder(WithLoader::new(sessions, users)).build().unwrap();
    let app = App::new().configure(auth.configure()).service(login).service(me).service(logout);
    let app = init_service(app).await;
    let nobody = "other=cookie";

    let response = send!(app, nobody, TestRequest::get().uri("/me"));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response = send!(app, nobody, TestRequest::post().uri("/login"));
    let cookie = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    let response = send!(app, cookie, TestRequest::get().uri("/me"));
    assert_eq!(read_body(response).await, "you are 7");

    server.kill();
    for uri in ["/me", "/logout"] {
        let method = if uri == "/me" { TestRequest::get() } else { TestRequest::post() };
        let response = send!(app, cookie, method.uri(uri));
        assert!(is_unavailable(&response), "{uri}: {response:?}");
    }
    let response = send!(app, nobody, TestRequest::post().uri("/login"));
    assert!(is_unavailable(&response), "/login: {response:?}");

    server.restart();
    let response = send!(app, cookie, TestRequest::get().uri("/me"));
    assert_eq!(read_body(response).await, "you are 7");
    let response = send!(app, cookie, TestRequest::post().uri("/logout"));
    assert_eq!(response.status(), StatusCode::OK);
    let response = send!(app, cookie, TestRequest::get().uri("/me"));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}
