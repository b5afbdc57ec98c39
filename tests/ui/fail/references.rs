//! A handler owns what it is given.
use locals::{AuthUser, Locals, Session, User, require_user, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[require_user]
async fn by_reference(_session: &Session, _user: &User<Account>, _locals: &mut Locals) -> &'static str {
    ""
}

#[with_session]
async fn maybe(_session: &Session) -> &'static str {
    ""
}

fn main() {}
