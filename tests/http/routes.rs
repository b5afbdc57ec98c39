//! Handlers that the tests of several areas share: each is one verb.

use actix_web::{HttpResponse, Responder, delete, get, post, web};
use locals::{Error, Locals, SessionId, User, require_user, with_session};

use crate::support::Account;

#[get("/me")]
#[require_user]
pub async fn me(user: User<Account>) -> String {
    user.name.clone()
}

#[post("/login/{id}")]
#[with_session]
pub async fn login(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account::of(*id)).await?;
    Ok("")
}

#[post("/confirm")]
#[require_user]
pub async fn confirm(locals: Locals) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    Ok("")
}

#[post("/logout")]
#[with_session]
pub async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("")
}

#[post("/logout-everywhere")]
#[with_session]
pub async fn logout_everywhere(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_everywhere().await?.to_string())
}

#[post("/logout-others")]
#[require_user]
pub async fn logout_others(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_other_sessions().await?.to_string())
}

#[get("/sessions")]
#[with_session]
pub async fn sessions(locals: Locals) -> Result<impl Responder, Error> {
    Ok(web::Json(locals.sessions().await?))
}

#[delete("/sessions/{id}")]
#[require_user]
pub async fn end_session(
    id: web::Path<SessionId>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    let ended = locals.end_session(*id).await?;
    Ok(if ended { HttpResponse::NoContent() } else { HttpResponse::NotFound() })
}

#[post("/end/{id}")]
#[require_user]
pub async fn end_by_post(id: web::Path<SessionId>, locals: Locals) -> Result<String, Error> {
    Ok(locals.end_session(*id).await?.to_string())
}
