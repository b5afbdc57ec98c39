//! A JSON API for programs, with the session cookie or a bearer token.

use actix_web::{HttpResponse, Responder, get, post, web};
use locals::{Error, Locals, User, require_user, with_session};
use serde_json::json;

use crate::{
    account::Account,
    log_in::{Credentials, normalize},
    password::Passwords,
};

#[post("/login")]
#[with_session]
async fn log_in(
    credentials: web::Json<Credentials>,
    passwords: web::Data<Passwords>,
    locals: Locals,
) -> Result<HttpResponse, Error> {
    let Credentials { email, password, .. } = credentials.into_inner();
    let account = match passwords.check(&locals, &normalize(&email), password).await? {
        Ok(account) => account,
        Err(rejection) => {
            return Ok(rejection.response().json(json!({ "title": rejection.message() })));
        }
    };
    let session = locals.create_session(&account).await?;
    let token = json!({ "token": session.token().expose_secret() });
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(token))
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> impl Responder {
    web::Json(user)
}

#[get("/sessions")]
#[require_user]
async fn sessions(locals: Locals) -> Result<impl Responder, Error> {
    Ok(web::Json(locals.sessions().await?))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service(web::scope("/api").service((log_in, me, sessions)));
}
