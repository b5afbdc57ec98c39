#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
#[get("/health")]
async fn health(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn health() {}
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::WithSession::new(),
            (),
            (),
            |(), (), __locals_request| async move {
                ::locals::__private::respond(health().await, &__locals_request)
            },
        )
        .await
}
