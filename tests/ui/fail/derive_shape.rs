//! A user is a struct with named fields, without generic parameters.
use locals::AuthUser;

#[derive(AuthUser)]
enum Role {
    Admin,
}

#[derive(AuthUser)]
struct Tuple(i64);

#[derive(AuthUser)]
struct Unit;

#[derive(AuthUser)]
union Union {
    id: i64,
}

#[derive(AuthUser)]
struct Generic<T> {
    id: i64,
    other: T,
}

#[derive(AuthUser)]
struct Borrowed<'a> {
    id: i64,
    name: &'a str,
}

fn main() {}
