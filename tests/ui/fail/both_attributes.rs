//! A handler has one attribute, once.
use actix_web::get;
use locals::{require_user, with_session};

#[with_session]
#[require_user]
async fn both() -> &'static str {
    ""
}

#[require_user]
#[get("/")]
#[with_session]
async fn both_around_a_route() -> &'static str {
    ""
}

#[with_session]
#[with_session]
async fn twice() -> &'static str {
    ""
}

fn main() {}
