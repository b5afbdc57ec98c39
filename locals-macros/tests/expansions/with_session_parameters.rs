// All types that the attribute gives.
#[with_session]
#[get("/")]
pub async fn home(
    session: Option<Session>,
    user: Option<User<Account>>,
    admin: Option<Verified<Account, IsAdmin>>,
    locals: Locals,
) -> impl Responder {
    page(session, user, admin, locals)
}
