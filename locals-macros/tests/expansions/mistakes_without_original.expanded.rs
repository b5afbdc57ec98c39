::core::compile_error! {
    "a handler has no `self`: put `#[with_session]` on a function of its own, and take what the app shares as `web::Data<..>`"
}
::core::compile_error! {
    "`User` needs the type of the app's users: write `Option<User<Account>>`, for example"
}
#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
async fn unnamed(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    ::core::unreachable!()
}
