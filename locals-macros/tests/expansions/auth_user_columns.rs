// The columns that a `FromRow` written by hand reads.
#[derive(AuthUser)]
#[auth_user(columns("id", "first_name", "last_name"))]
struct Account {
    id: uuid::Uuid,
    name: String,
}
