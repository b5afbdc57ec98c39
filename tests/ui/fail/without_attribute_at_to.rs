//! A handler given to `.to(..)` that takes what only our attributes give.
use actix_web::web;
use locals::{AuthUser, Locals, Session, User};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

async fn handle(_locals: Locals) -> &'static str {
    ""
}

async fn session(_session: Session) -> &'static str {
    ""
}

async fn user(_user: User<Account>) -> &'static str {
    ""
}

fn main() {
    web::get().to(handle);
    web::get().to(session);
    web::get().to(user);
}
