// All types that the attribute gives, with other paths and patterns.
#[get("/me")]
#[require_user]
async fn me(
    mut session: locals::Session,
    user: User<model::Account>,
    admin: Verified<model::Account, (IsAdmin, Recent<600>)>,
    _: Locals,
) -> Result<HttpResponse, Error> {
    show(&mut session, user, admin).await
}
