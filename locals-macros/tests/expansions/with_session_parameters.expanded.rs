#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
#[get("/")]
pub async fn home(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn home(
        session: Option<Session>,
        user: Option<User<Account>>,
        admin: Option<Verified<Account, IsAdmin>>,
        locals: Locals,
    ) -> impl Responder {
        page(session, user, admin, locals)
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::WithSession::new(),
            (
                ::locals::__private::given::<
                    ::locals::__private::WithSession,
                    Option<Session>,
                >(),
                ::locals::__private::given::<
                    ::locals::__private::WithSession,
                    Option<User<Account>>,
                >(),
                ::locals::__private::given::<
                    ::locals::__private::WithSession,
                    Option<Verified<Account, IsAdmin>>,
                >(),
                ::locals::__private::given::<::locals::__private::WithSession, Locals>(),
            ),
            (),
            |(__locals_p0, __locals_p1, __locals_p2, __locals_p3), (), __locals_request| async move {
                ::locals::__private::respond(
                    home(__locals_p0, __locals_p1, __locals_p2, __locals_p3).await,
                    &__locals_request,
                )
            },
        )
        .await
}
