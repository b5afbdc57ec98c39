#[derive(AuthUser)]
struct Account {
    id: i64,
    email: String,
}
