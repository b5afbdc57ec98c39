//! Other attributes beside ours, on either side.
use actix_web::{App, get, post, web};
use locals::{AuthUser, Locals, User, require_user, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
    name: String,
}

#[derive(serde::Deserialize)]
struct Form {
    password: String,
}

/// Documented.
#[post("/login")]
#[with_session]
#[tracing::instrument(skip(locals, form), fields(length = form.password.len()))]
async fn login(locals: Locals, form: web::Form<Form>) -> &'static str {
    locals.clear_session();
    "out"
}

#[tracing::instrument(skip_all)]
#[with_session]
async fn instrumented_above(_locals: Locals) -> &'static str {
    ""
}

#[allow(clippy::unused_async, unused_variables)]
#[expect(unused_mut)]
#[require_user]
#[get("/me")]
async fn me(user: User<Account>, mut unused: String) -> String {
    user.name.clone()
}

#[cfg(all(unix, not(unix)))]
#[get("/never")]
#[with_session]
async fn never() -> NoSuchType {
    no_such_function()
}

#[with_session]
#[cfg(unix)]
async fn by_system() -> &'static str {
    "unix"
}

#[with_session]
#[cfg(not(unix))]
async fn by_system() -> &'static str {
    "other"
}

fn main() {
    let _ = App::new()
        .service(login)
        .service(me)
        .route("/1", web::get().to(instrumented_above))
        .route("/2", web::get().to(by_system));
}
