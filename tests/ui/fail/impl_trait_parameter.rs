//! A parameter has a type with a name.
use actix_web::FromRequest;
use locals::with_session;

#[with_session]
async fn home(_extractor: impl FromRequest) -> &'static str {
    ""
}

fn main() {}
