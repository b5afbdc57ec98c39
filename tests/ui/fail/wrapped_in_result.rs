//! The error of a session is answered before the handler runs.
use locals::{Error, Session, require_user, with_session};

#[with_session]
async fn home(_session: Result<Session, Error>) -> &'static str {
    ""
}

#[require_user]
async fn me(_session: Result<Session, Error>) -> &'static str {
    ""
}

fn main() {}
