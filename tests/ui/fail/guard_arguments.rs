//! The arguments of guards: each on its attribute, with a value that is checked here.
use locals::{AuthUser, User, require_user, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

#[require_user(redirect)]
async fn without_a_value() -> &'static str {
    ""
}

#[require_user(redirect = 303)]
async fn no_text() -> &'static str {
    ""
}

#[require_user(redirect = "https://login.example")]
async fn another_host() -> &'static str {
    ""
}

#[with_session(guest_only = "//evil.example")]
async fn another_host_in_disguise() -> &'static str {
    ""
}

#[require_user(recent = "10 minutes")]
async fn no_time() -> &'static str {
    ""
}

#[require_user(recent = "0m")]
async fn nothing_is_recent() -> &'static str {
    ""
}

#[require_user(guest_only = "/")]
async fn guests_alone() -> &'static str {
    ""
}

#[with_session(redirect = "/login")]
async fn nobody_is_sent() -> &'static str {
    ""
}

#[with_session(check = is_admin)]
async fn nobody_is_checked(user: Option<User<Account>>) -> String {
    format!("{user:?}")
}

#[require_user(chek = is_admin)]
async fn misspelt() -> &'static str {
    ""
}

fn is_admin(_: &Account) -> bool {
    true
}

#[require_user(redirect = "/login?lang=en&next=/x")]
async fn a_next_of_its_own() -> &'static str {
    ""
}

#[with_session(guest_only = "/home?n%65xt")]
async fn a_next_in_disguise() -> &'static str {
    ""
}

fn main() {}
