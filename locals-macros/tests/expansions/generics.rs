// The call names no lifetimes: they may be late-bound.
#[with_session]
pub(crate) async fn generic<'a, T, const N: usize>(
    user: Option<User<Account>>,
    body: web::Json<[T; N]>,
    tag: Tag<'a>,
) -> impl Responder + use<T, N>
where
    T: Serialize + DeserializeOwned + 'static,
{
    body
}
