#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
async fn audit(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn audit(session: Session) -> String {
        session.id().to_string()
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::RequireUser::new()
                .check::<_>(|account: &Account| account.id > 2 && account.is_admin()),
            (::locals::__private::given::<::locals::__private::RequireUser, Session>(),),
            (),
            |(__locals_p0,), (), __locals_request| async move {
                ::locals::__private::respond(audit(__locals_p0).await, &__locals_request)
            },
        )
        .await
}
