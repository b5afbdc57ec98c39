::core::compile_error! {
    "unknown argument `chek`: did you mean `check`?"
}
::core::compile_error! {
    "a cross-origin request runs without a session, so `#[require_user]` would always refuse it: write `#[with_session(cross_origin)]`"
}
::core::compile_error! {
    "a handler is asynchronous: write `async fn`"
}
::core::compile_error! {
    "a handler cannot be `unsafe`: remove this"
}
::core::compile_error! {
    "under `#[require_user]` the session is always there: write `Session`"
}
::core::compile_error! {
    "a handler takes its `User` by value: write `User<Account>`"
}
#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
/// Documented.
#[get("/mistakes")]
pub async fn mistakes(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(dead_code)]
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn mistakes(session: Option<Session>, user: &User<Account>) -> impl Responder {
        user.name.clone()
    }
    ::core::unreachable!()
}
