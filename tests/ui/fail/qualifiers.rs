//! A handler is `async fn` and nothing else.
use locals::with_session;

#[with_session]
fn not_async() -> &'static str {
    ""
}

#[with_session]
async unsafe fn not_safe() -> &'static str {
    ""
}

#[with_session]
async extern "C" fn foreign() -> &'static str {
    ""
}

#[with_session]
const fn constant() -> &'static str {
    ""
}

#[with_session]
unsafe extern "C" fn variadic(_first: i32, _: ...) -> &'static str {
    ""
}

fn main() {}
