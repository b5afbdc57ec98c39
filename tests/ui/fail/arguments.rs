//! What stands in the parentheses is known, once, and of its type.
use locals::{require_user, with_session};

#[with_session(cross_orign)]
async fn misspelt() -> &'static str {
    ""
}

#[with_session(nonsense)]
async fn unknown() -> &'static str {
    ""
}

#[with_session(cross_origin, cross_origin)]
async fn twice() -> &'static str {
    ""
}

#[with_session(cross_origin = true)]
async fn with_a_value() -> &'static str {
    ""
}

#[with_session(cross_origin("https://app.example"))]
async fn with_a_list() -> &'static str {
    ""
}

#[with_session("cross_origin")]
async fn quoted() -> &'static str {
    ""
}

#[require_user(cross_origin)]
async fn of_the_other() -> &'static str {
    ""
}

#[require_user(role = "admin")]
async fn of_neither() -> &'static str {
    ""
}

fn main() {}
