#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
/// Routes and documentation go to the wrapper, lint levels to both functions, the rest to the original.
#[get("/old")]
#[actix_web::post("/old")]
#[deprecated]
#[allow(unused_variables)]
#[allow(clippy::unused_async, reason = "an example")]
async fn old(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    #[allow(unused_variables)]
    #[allow(clippy::unused_async, reason = "an example")]
    #[tracing::instrument(skip(locals))]
    async fn old(#[allow(unused_mut)] mut locals: Locals) -> &'static str {
        "old"
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::WithSession::new(),
            (::locals::__private::given::<::locals::__private::WithSession, Locals>(),),
            (),
            |(__locals_p0,), (), __locals_request| async move {
                ::locals::__private::respond(old(__locals_p0).await, &__locals_request)
            },
        )
        .await
}
