#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
#[get("/me")]
async fn me(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn me(
        mut session: locals::Session,
        user: User<model::Account>,
        admin: Verified<model::Account, (IsAdmin, Recent<600>)>,
        _: Locals,
    ) -> Result<HttpResponse, Error> {
        show(&mut session, user, admin).await
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::RequireUser::new(),
            (
                ::locals::__private::given::<
                    ::locals::__private::RequireUser,
                    locals::Session,
                >(),
                ::locals::__private::given::<
                    ::locals::__private::RequireUser,
                    User<model::Account>,
                >(),
                ::locals::__private::given::<
                    ::locals::__private::RequireUser,
                    Verified<model::Account, (IsAdmin, Recent<600>)>,
                >(),
                ::locals::__private::given::<::locals::__private::RequireUser, Locals>(),
            ),
            (),
            |(__locals_p0, __locals_p1, __locals_p2, __locals_p3), (), __locals_request| async move {
                ::locals::__private::respond(
                    me(__locals_p0, __locals_p1, __locals_p2, __locals_p3).await,
                    &__locals_request,
                )
            },
        )
        .await
}
