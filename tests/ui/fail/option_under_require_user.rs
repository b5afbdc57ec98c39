//! Under `#[require_user]` session and user are always there.
use locals::{AuthUser, Locals, Session, User, require_user};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[require_user]
async fn all(_session: Option<Session>, _user: Option<User<Account>>, _locals: Option<Locals>) -> &'static str {
    ""
}

fn main() {}
