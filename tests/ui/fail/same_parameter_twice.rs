//! A request has one session, one user and one `Locals`.
use locals::{AuthUser, Locals, Session, User, require_user, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[derive(Clone, AuthUser)]
struct Admin {
    id: i64,
}

#[with_session]
async fn sessions(_one: Option<Session>, _other: Option<Session>) -> &'static str {
    ""
}

#[require_user]
async fn users(_one: User<Account>, _other: User<Admin>) -> &'static str {
    ""
}

#[with_session]
async fn handles(_one: Locals, _other: Locals) -> &'static str {
    ""
}

fn main() {}
