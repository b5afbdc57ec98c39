//! A handler names its types.
use locals::with_session;

struct Api;

impl Api {
    #[with_session]
    async fn handler(_data: actix_web::web::Data<Self>) -> &'static str {
        ""
    }
}

fn main() {}
