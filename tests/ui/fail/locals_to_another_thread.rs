//! `Locals` belongs to its request.
use locals::{Locals, with_session};

#[with_session]
async fn home(locals: Locals) -> &'static str {
    std::thread::spawn(move || locals.clear_session());
    ""
}

fn main() {}
