//! Under `#[with_session]` there may be no session and no user.
use locals::{AuthUser, Session, User, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[with_session]
async fn both(_session: Session, _user: User<Account>) -> &'static str {
    ""
}

fn main() {}
