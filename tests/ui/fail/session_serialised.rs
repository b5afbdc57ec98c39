//! A session holds its token: it is not serialised.
use actix_web::web;
use locals::{Session, require_user};

#[require_user]
async fn me(session: Session) -> web::Json<Session> {
    web::Json(session)
}

fn main() {}
