#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
#[post("/admin/delete")]
async fn delete(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn delete(user: User<Account>) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::RequireUser::new()
                .redirect("/login?from=admin")
                .recent(::core::time::Duration::from_secs(5400u64))
                .check::<Account>(Account::is_admin),
            (
                ::locals::__private::given::<
                    ::locals::__private::RequireUser,
                    User<Account>,
                >(),
            ),
            (),
            |(__locals_p0,), (), __locals_request| async move {
                ::locals::__private::respond(
                    delete(__locals_p0).await,
                    &__locals_request,
                )
            },
        )
        .await
}
