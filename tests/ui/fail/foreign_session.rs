//! A type of the app that is named like one of ours.
use locals::require_user;

struct Session;

#[require_user]
async fn me(_session: Session) -> &'static str {
    ""
}

fn main() {}
