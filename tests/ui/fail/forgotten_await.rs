//! Nothing happens without `.await`, and the compiler says so.
#![deny(warnings)]
use locals::{Locals, with_session};

#[with_session]
async fn logout(locals: Locals) -> &'static str {
    locals.log_out();
    ""
}

#[with_session]
async fn ignored(locals: Locals) -> &'static str {
    locals.log_out().await;
    ""
}

fn main() {}
