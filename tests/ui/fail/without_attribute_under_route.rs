//! A handler under a route attribute that takes what only our attributes give.
use actix_web::get;
use locals::{AuthUser, Locals, Session, User};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[get("/locals")]
async fn handle(_locals: Locals) -> &'static str {
    ""
}

#[get("/session")]
async fn session(_session: Session) -> &'static str {
    ""
}

#[get("/user")]
async fn user(_user: User<Account>) -> &'static str {
    ""
}

#[get("/maybe")]
async fn maybe(_session: Option<Session>) -> &'static str {
    ""
}

fn main() {}
