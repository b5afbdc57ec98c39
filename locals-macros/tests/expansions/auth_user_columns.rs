// The columns for a `FromRow` that is written by hand.
#[derive(AuthUser)]
#[auth_user(columns("id", "first_name", "last_name"))]
struct Account {
    id: uuid::Uuid,
    name: String,
}
