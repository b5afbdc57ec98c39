//! The type of a user derives `AuthUser`.
use locals::{Auth, User, require_user, store::MemoryStore, with_session};

#[derive(Clone)]
struct Account {
    id: i64,
}

#[require_user]
async fn me(user: User<Account>) -> String {
    user.id.to_string()
}

#[with_session]
async fn home(_user: Option<User<Account>>) -> &'static str {
    ""
}

fn main() {
    let _ = Auth::<Account>::builder(MemoryStore::new());
}
