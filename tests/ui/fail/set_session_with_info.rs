//! A listed session opens nothing: it cannot be set.
use locals::{Error, Locals, with_session};

#[with_session]
async fn take_over(locals: Locals) -> Result<&'static str, Error> {
    let list = locals.sessions().await?;
    for info in list {
        locals.set_session(info);
    }
    Ok("")
}

fn main() {}
