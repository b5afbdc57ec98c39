//! The attributes go above functions.
use locals::{require_user, with_session};

#[with_session]
struct Handler;

#[require_user]
mod handlers {}

#[with_session]
const HANDLER: u8 = 0;

fn main() {}
