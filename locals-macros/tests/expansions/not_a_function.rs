#[require_user]
struct NotAFunction {
    id: i64,
}
