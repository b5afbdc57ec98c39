//! The settings of the derive are known, once, and of their type.
use locals::AuthUser;

#[derive(AuthUser)]
#[auth_user(tabel = "accounts")]
struct Misspelt {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(table = "accounts", table = "users")]
struct Twice {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(table = 5)]
struct IllTyped {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user]
struct Empty {
    #[auth_user(key)]
    id: i64,
}

fn main() {}
