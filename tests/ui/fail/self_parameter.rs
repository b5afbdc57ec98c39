//! A handler is a function of its own, not a method.
use locals::require_user;

struct App;

impl App {
    #[require_user]
    async fn by_reference(&self) -> &'static str {
        ""
    }

    #[require_user]
    async fn by_value(self) -> &'static str {
        ""
    }
}

fn main() {}
