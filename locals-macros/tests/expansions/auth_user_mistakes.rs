// The trait is implemented in spite of the errors.
#[derive(AuthUser)]
#[auth_user(tabel = "accounts", sessions = "users")]
struct Account {
    number: i64,
    #[auth_user(credentials)]
    password_hash: String,
}
