//! The forms of a handler, served: what compiles also runs.

use std::{
    cell::RefCell,
    future::{Ready, ready},
};

use actix_web::{
    App, FromRequest, HttpRequest, dev::Payload, get, http::StatusCode, post, route, routes,
    test::init_service, web,
};
use locals::{Locals, Session, User, require_user, with_session};

use crate::{
    send,
    support::{self, Account, Fixture, cookie},
};

#[require_user]
#[get("/above-get")]
async fn above_get(user: User<Account>) -> String {
    user.name.clone()
}

#[with_session]
#[post("/above-post")]
async fn above_post(user: Option<User<Account>>) -> String {
    user.map(|user| user.name.clone()).unwrap_or_default()
}

#[require_user]
#[route("/above-route", method = "GET", method = "PUT")]
async fn above_route(user: User<Account>) -> String {
    user.name.clone()
}

#[require_user]
#[routes]
#[get("/above-routes")]
#[get("/above-routes-too")]
async fn above_routes(user: User<Account>) -> String {
    user.name.clone()
}

#[routes]
#[get("/below-routes")]
#[get("/below-routes-too")]
#[require_user]
async fn below_routes(user: User<Account>) -> String {
    user.name.clone()
}

#[require_user]
async fn generic<const N: usize, T>(user: User<Account>, _query: web::Query<T>) -> String
where
    T: serde::de::DeserializeOwned + 'static,
{
    format!("{}{}", user.name, "!".repeat(N))
}

#[require_user]
async fn patterns(
    web::Query(mut pairs): web::Query<Vec<(String, String)>>,
    mut user: User<Account>,
) -> String {
    pairs.push((String::new(), user.name.clone()));
    user = user.clone();
    drop(user);
    pairs.pop().map(|(_, name)| name).unwrap_or_default()
}

struct Api;

impl Api {
    #[require_user]
    async fn associated(user: User<Account>) -> String {
        user.name.clone()
    }
}

#[actix_web::test]
async fn every_form_of_handler_is_guarded_and_runs() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = init_service(
        App::new()
            .configure(fixture.auth.configure())
            .service(above_get)
            .service(above_route)
            .service(above_routes)
            .service(below_routes)
            .route("/generic", web::get().to(generic::<0, Vec<(String, String)>>))
            .route("/patterns", web::get().to(patterns))
            .route("/associated", web::get().to(Api::associated)),
    )
    .await;
    for path in [
        "/above-get",
        "/above-route",
        "/above-routes",
        "/above-routes-too",
        "/below-routes",
        "/below-routes-too",
        "/generic",
        "/patterns",
        "/associated",
    ] {
        assert_eq!(send!(app, support::get(path)).status, StatusCode::UNAUTHORIZED, "{path}");
        let reply = send!(app, support::get(path).insert_header(cookie(&session)));
        assert_eq!(reply.body, "name-1", "{path}");
    }
}

#[actix_web::test]
async fn a_route_attribute_refuses_cross_origin_requests_too() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app =
        init_service(App::new().configure(fixture.auth.configure()).service(above_post)).await;
    let request = support::post("/above-post").insert_header(cookie(&session));
    assert_eq!(send!(app, request).body, "name-1");
    let request = actix_web::test::TestRequest::post()
        .uri("/above-post")
        .insert_header(("Sec-Fetch-Site", "cross-site"));
    assert_eq!(send!(app, request).status, StatusCode::FORBIDDEN);
}

thread_local!(static ORDER: RefCell<Vec<usize>> = RefCell::default());

/// An extractor that notes when it was asked.
struct Number<const N: usize>;

impl<const N: usize> FromRequest for Number<N> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ORDER.with_borrow_mut(|order| order.push(N));
        ready(Ok(Self))
    }
}

#[post("/sixteen")]
#[require_user]
#[rustfmt::skip]
async fn sixteen(
    session: Session,
    _: Number<1>, _: Number<2>, _: Number<3>, _: Number<4>, _: Number<5>, _: Number<6>,
    user: User<Account>,
    _: Number<7>, _: Number<8>, _: Number<9>, _: Number<10>, _: Number<11>, _: Number<12>,
    _: Number<13>, _: Number<14>, _: Number<15>,
    locals: Locals,
    body: String,
) -> String {
    let again = locals.get_session().await.unwrap();
    assert_eq!(again.map(|again| again.id()), Some(session.id()));
    format!("{} {body}", user.id)
}

#[actix_web::test]
async fn sixteen_extractors_run_in_the_order_in_which_they_are_written() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = init_service(App::new().configure(fixture.auth.configure()).service(sixteen)).await;
    let request = support::post("/sixteen").insert_header(cookie(&session)).set_payload("body");
    assert_eq!(send!(app, request).body, "1 body");
    assert_eq!(ORDER.with_borrow(Clone::clone), (1..=15).collect::<Vec<_>>());
}
