//! Above and below every kind of route attribute, and without one.
use actix_web::{App, HttpResponse, Responder, get, post, route, routes, web};
use locals::{AuthUser, Locals, Session, User, require_user, with_session};

#[derive(Clone, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
}

#[get("/1")]
#[with_session]
async fn below_get(_user: Option<User<Account>>) -> impl Responder {
    "anyone"
}

#[with_session]
#[get("/2")]
async fn above_get(_session: Option<Session>) -> impl Responder {
    "anyone"
}

#[require_user]
#[post("/3")]
async fn above_post(_user: User<Account>, _session: Session) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[post("/4")]
#[require_user]
async fn below_post(_locals: Locals) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[route("/5", method = "GET", method = "PUT")]
#[require_user]
async fn below_route() -> &'static str {
    ""
}

#[with_session]
#[route("/6", method = "GET", method = "PUT")]
async fn above_route() -> &'static str {
    ""
}

#[routes]
#[get("/7")]
#[post("/7")]
#[with_session]
async fn below_routes() -> &'static str {
    ""
}

#[require_user]
#[routes]
#[get("/8")]
#[post("/8")]
async fn above_routes(_user: User<Account>) -> &'static str {
    ""
}

#[locals::with_session()]
async fn plain(_user: Option<User<Account>>) -> &'static str {
    ""
}

#[locals::require_user]
async fn generic<const N: usize, T>(_user: User<Account>, text: web::Json<T>) -> String
where
    T: serde::de::DeserializeOwned + std::fmt::Display + 'static,
{
    format!("{N}{}", *text)
}

fn main() {
    let _ = App::new()
        .service(below_get)
        .service(above_get)
        .service(above_post)
        .service(below_post)
        .service(below_route)
        .service(above_route)
        .service(below_routes)
        .service(above_routes)
        .route("/9", web::get().to(plain))
        .route("/10", web::get().to(generic::<3, String>));
}
