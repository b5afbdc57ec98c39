//! Every other parameter is an extractor, and the one that is not is underlined itself.
use actix_web::web;
use locals::{AuthUser, User, require_user};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

struct NotAnExtractor;

#[require_user]
async fn me(
    _user: User<Account>,
    _query: web::Query<String>,
    _number: u32,
    _other: NotAnExtractor,
) -> &'static str {
    ""
}

fn main() {}
