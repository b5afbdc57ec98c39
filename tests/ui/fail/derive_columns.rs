//! Columns are named between quotes, once, and the id is among them.
use locals::AuthUser;

#[derive(AuthUser)]
#[auth_user(columns("email"))]
struct WithoutId {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(columns("id"))]
struct WithoutNamedId {
    #[auth_user(id = "account_id")]
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(columns)]
struct Bare {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(columns())]
struct Empty {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(columns = "id")]
struct Assigned {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(columns(id, "", "id", "id"))]
struct Unquoted {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(columns(all, "id"))]
struct AllAndMore {
    id: i64,
}

#[derive(AuthUser, sqlx::FromRow)]
struct Skipped {
    #[sqlx(skip)]
    id: i64,
}

fn main() {}
