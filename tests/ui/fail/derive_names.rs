//! A table and a column are named by identifiers.
use locals::AuthUser;

#[derive(AuthUser)]
#[auth_user(table = "accounts; DROP TABLE accounts")]
struct Table {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(table = "")]
struct EmptyTable {
    id: i64,
}

#[derive(AuthUser)]
struct Column {
    #[auth_user(id = "account id")]
    id: i64,
}

fn main() {}
