//! `User` names the type of the app's users.
use locals::{User, require_user, with_session};

#[require_user]
async fn me(user: User) -> String {
    user.name.clone()
}

#[with_session]
async fn home(user: Option<User>) -> String {
    user.map(|user| user.name.clone()).unwrap_or_default()
}

fn main() {}
