#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
async fn rename(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse {
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn rename(
        path: web::Path<(u64, String)>,
        user: User<Account>,
        web::Form(Rename { mut name }): web::Form<Rename>,
        session: Session,
        (request, page): (HttpRequest, Option<web::Query<Page>>),
        actix: actix_session::Session,
    ) -> Result<impl Responder, actix_web::Error> {
        Ok(name)
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::RequireUser::new(),
            (
                ::locals::__private::given::<
                    ::locals::__private::RequireUser,
                    User<Account>,
                >(),
                ::locals::__private::given::<::locals::__private::RequireUser, Session>(),
            ),
            (
                ::locals::__private::extracted::<web::Path<(u64, String)>>(),
                ::locals::__private::extracted::<web::Form<Rename>>(),
                ::locals::__private::extracted::<
                    (HttpRequest, Option<web::Query<Page>>),
                >(),
                ::locals::__private::extracted::<actix_session::Session>(),
            ),
            |
                (__locals_p1, __locals_p3),
                (__locals_p0, __locals_p2, __locals_p4, __locals_p5),
                __locals_request|
            async move {
                ::locals::__private::respond(
                    rename(
                            __locals_p0,
                            __locals_p1,
                            __locals_p2,
                            __locals_p3,
                            __locals_p4,
                            __locals_p5,
                        )
                        .await,
                    &__locals_request,
                )
            },
        )
        .await
}
