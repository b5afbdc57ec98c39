//! A parameter cannot depend on `cfg`.
use locals::{Session, require_user};

#[require_user]
async fn me(#[cfg(unix)] _session: Session, #[cfg_attr(unix, allow(unused))] _body: String) -> &'static str {
    ""
}

fn main() {}
