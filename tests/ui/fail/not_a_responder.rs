//! What a handler returns is a `Responder`.
use locals::with_session;

struct Page;

#[with_session]
async fn home() -> Page {
    Page
}

fn main() {}
