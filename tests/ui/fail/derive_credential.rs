//! What sessions are bound to is marked at fields, once, and of a type that has a digest.
use locals::AuthUser;

#[derive(AuthUser)]
struct Account {
    id: i64,
    #[auth_user(credential)]
    score: f64,
}

#[derive(AuthUser)]
struct Twice {
    id: i64,
    #[auth_user(credential, credential)]
    password_hash: String,
}

#[derive(AuthUser)]
struct Named {
    id: i64,
    #[auth_user(credential = "password_hash")]
    password: String,
}

#[derive(AuthUser)]
#[auth_user(credential)]
struct OnTheStruct {
    id: i64,
}

fn main() {}
