// Extractors among the given types. `actix_session::Session` is an extractor, too.
#[require_user]
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
