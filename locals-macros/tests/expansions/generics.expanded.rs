#[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
pub(crate) async fn generic<'a, T, const N: usize>(
    __locals_request: ::locals::__private::HttpRequest,
    __locals_payload: ::locals::__private::Payload,
) -> ::locals::__private::HttpResponse
where
    T: Serialize + DeserializeOwned + 'static,
{
    #[allow(
        clippy::future_not_send,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unused_async
    )]
    async fn generic<'a, T, const N: usize>(
        user: Option<User<Account>>,
        body: web::Json<[T; N]>,
        tag: Tag<'a>,
    ) -> impl Responder + use<T, N>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        body
    }
    ::locals::__private::handle(
            __locals_request,
            __locals_payload,
            ::locals::__private::WithSession::new(),
            (
                ::locals::__private::given::<
                    ::locals::__private::WithSession,
                    Option<User<Account>>,
                >(),
            ),
            (
                ::locals::__private::extracted::<web::Json<[T; N]>>(),
                ::locals::__private::extracted::<Tag<'a>>(),
            ),
            |(__locals_p0,), (__locals_p1, __locals_p2), __locals_request| async move {
                ::locals::__private::respond(
                    generic::<T, N>(__locals_p0, __locals_p1, __locals_p2).await,
                    &__locals_request,
                )
            },
        )
        .await
}
