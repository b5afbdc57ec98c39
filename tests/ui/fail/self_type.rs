//! A handler names its types.
use actix_web::web;
use locals::with_session;

struct Api;

impl Api {
    #[with_session]
    async fn handler(_data: web::Data<Self>) -> &'static str {
        ""
    }
}

fn main() {}
