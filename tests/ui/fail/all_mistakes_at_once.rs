//! Four mistakes, four errors, each at its own place, and no others.
use actix_web::{App, get};
use locals::{AuthUser, Session, User, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[get("/")]
#[with_session(cros_origin)]
fn home(_session: &Session, _user: User<Account>) -> &'static str {
    ""
}

fn main() {
    let _ = App::new().service(home);
}
