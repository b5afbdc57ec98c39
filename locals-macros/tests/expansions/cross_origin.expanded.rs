#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
#[post("/webhook")]
async fn webhook(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn webhook(body: String, _locals: Locals) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::WithSession::new().cross_origin(),
            (::locals::__private::given::<::locals::__private::WithSession, Locals>(),),
            (::locals::__private::extracted::<String>(),),
            |(__locals_p1,), (__locals_p0,), __locals_request| async move {
                ::locals::__private::respond(
                    webhook(__locals_p0, __locals_p1).await,
                    &__locals_request,
                )
            },
        )
        .await
}
