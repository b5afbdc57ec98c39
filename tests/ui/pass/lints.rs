//! What the attributes generate offends none of the lints that an app may deny.
#![deny(
    warnings,
    unused,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    unused_results,
    single_use_lifetimes,
    non_ascii_idents,
    let_underscore_drop,
    redundant_lifetimes,
    unit_bindings,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms,
    let_underscore
)]
#![forbid(unsafe_code)]
use actix_web::{App, Responder, get, web};
use locals::{AuthUser, Locals, Session, User, require_user, with_session};

/// A user.
#[derive(Debug, Clone, AuthUser)]
pub struct Account {
    id: i64,
}

/// A page.
#[get("/")]
#[with_session]
pub(crate) async fn home(user: Option<User<Account>>, locals: Locals) -> impl Responder {
    locals.clear_session();
    user.map(|user| user.id.to_string())
}

/// Another.
#[require_user]
pub(crate) async fn me(session: Session, query: web::Query<Vec<(String, String)>>) -> String {
    format!("{}{}", session.id(), query.len())
}

fn main() {
    drop(App::new().service(home).route("/me", web::get().to(me)));
}
