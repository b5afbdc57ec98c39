// The trait is implemented all the same, so that no other code is reported.
#[derive(AuthUser)]
#[auth_user(tabel = "accounts", sessions = "users")]
struct Account {
    number: i64,
    #[auth_user(credentials)]
    password_hash: String,
}
