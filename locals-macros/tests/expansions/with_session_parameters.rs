// Everything that may be absent, and `Locals`, which is always there.
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
