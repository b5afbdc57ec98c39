//! Sixteen ordinary extractors, and not one more.
use locals::with_session;

#[with_session]
#[rustfmt::skip]
async fn many(
    _1: String, _2: String, _3: String, _4: String, _5: String, _6: String, _7: String, _8: String,
    _9: String, _10: String, _11: String, _12: String, _13: String, _14: String, _15: String,
    _16: String, _17: String,
) -> &'static str {
    ""
}

fn main() {}
