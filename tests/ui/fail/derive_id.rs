//! A user has one id, of a type that ids have.
use locals::AuthUser;

#[derive(AuthUser)]
struct Missing {
    account_id: i64,
}

#[derive(AuthUser)]
struct Doubled {
    #[auth_user(id)]
    one: i64,
    #[auth_user(id)]
    other: i64,
}

#[derive(AuthUser)]
struct OfAnotherType {
    id: f64,
}

fn main() {}
