::core::compile_error! {
    "`#[require_user]` goes above an `async fn`"
}
struct NotAFunction {
    id: i64,
}
