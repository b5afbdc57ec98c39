//! Everything that a handler may return, with `?` and early `return`.
use actix_web::{App, Either, HttpResponse, Responder, error::ErrorBadRequest, web};
use locals::{Error, Locals, Session, require_user, with_session};

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl actix_web::ResponseError for Refused {}

impl From<Error> for Refused {
    fn from(_: Error) -> Self {
        Self
    }
}

#[with_session]
async fn text() -> &'static str {
    "text"
}

#[with_session]
async fn response() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[with_session]
async fn responder() -> impl Responder {
    web::Json(1)
}

#[with_session]
async fn result(locals: Locals) -> Result<impl Responder, Refused> {
    if locals.get_session().await?.is_none() {
        return Err(Refused);
    }
    Ok(web::Redirect::to("/").see_other())
}

#[require_user]
async fn actix_result(session: Session) -> actix_web::Result<String> {
    if session.is_fresh() {
        return Ok(session.id().to_string());
    }
    Err(ErrorBadRequest("stale"))
}

#[with_session]
async fn either(session: Option<Session>) -> Either<&'static str, HttpResponse> {
    match session {
        Some(_) => Either::Left("here"),
        None => Either::Right(HttpResponse::NoContent().finish()),
    }
}

#[with_session]
async fn option() -> Option<String> {
    None
}

fn main() {
    let _ = App::new()
        .route("/1", web::get().to(text))
        .route("/2", web::get().to(response))
        .route("/3", web::get().to(responder))
        .route("/4", web::get().to(result))
        .route("/5", web::get().to(actix_result))
        .route("/6", web::get().to(either))
        .route("/7", web::get().to(option));
}
