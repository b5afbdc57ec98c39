//! An app under the strictest lints: nothing that the attributes generate may offend one.
//! `cargo clippy --workspace` is the test.

use actix_web::{App, HttpResponse, HttpServer, Responder, get, post, web};
use locals::{
    Auth, AuthUser, Locals, Session, User, require_user, store::MemoryStore, with_session,
};

/// A user.
#[derive(Debug, Clone, AuthUser)]
#[auth_user(table = "accounts")]
pub struct Account {
    id: i64,
}

/// A form.
#[derive(Debug, serde::Deserialize)]
struct Credentials {
    id: i64,
}

/// Has no `.await` in its body.
#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    user.map_or_else(|| "nobody".to_owned(), |user| user.id.to_string())
}

/// Only looks at what it owns.
#[require_user]
#[get("/me")]
async fn me(session: Session, locals: Locals) -> String {
    format!("{} {locals:?}", session.id())
}

/// Uses `?` and `.await`.
#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Credentials>,
    locals: Locals,
) -> Result<impl Responder, locals::Error> {
    locals.log_in(&Account { id: form.id }).await?;
    Ok(web::Redirect::to("/").see_other())
}

/// Returns early, and holds much across an `.await`.
#[with_session]
async fn large(locals: Locals) -> Result<String, locals::Error> {
    let large = ([0_u8; 9_000], [0_u8; 9_000]);
    if locals.get_session().await?.is_none() {
        return Ok(String::new());
    }
    Ok((large.0.len() + large.1.len()).to_string())
}

/// Has a name with an underscore before it.
#[expect(dead_code, reason = "shows that the lint is met")]
#[with_session]
async fn _unused() -> &'static str {
    ""
}

/// Takes as much as a handler can.
#[allow(clippy::similar_names, reason = "the names of this test, not of generated code")]
#[with_session]
async fn many(
    session: Option<Session>,
    data_a: web::Data<u8>,
    data_b: web::Data<u8>,
    data_c: web::Data<u8>,
    data_d: web::Data<u8>,
    data_e: web::Data<u8>,
    data_f: web::Data<u8>,
    data_g: web::Data<u8>,
    data_h: web::Data<u8>,
    user: Option<User<Account>>,
    data_i: web::Data<u8>,
    data_j: web::Data<u8>,
    data_k: web::Data<u8>,
    data_l: web::Data<u8>,
    data_m: web::Data<u8>,
    data_n: web::Data<u8>,
    data_o: web::Data<u8>,
    body: String,
    locals: Locals,
) -> HttpResponse {
    let data = [
        data_a, data_b, data_c, data_d, data_e, data_f, data_g, data_h, data_i, data_j, data_k,
        data_l, data_m, data_n, data_o,
    ];
    let sum: u32 = data.iter().map(|byte| u32::from(***byte)).sum();
    locals.clear_session();
    HttpResponse::Ok().body(format!("{sum}{body}{}{}", session.is_some(), user.is_some()))
}

/// Generic, with a `where` clause.
#[require_user]
async fn shown<T>(value: web::Json<T>, _user: User<Account>) -> String
where
    T: serde::de::DeserializeOwned + ToString + 'static,
{
    value.to_string()
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let auth =
        Auth::<Account>::builder(MemoryStore::new()).build().map_err(std::io::Error::other)?;
    let app = move || {
        App::new()
            .configure(auth.configure())
            .service(home)
            .service(me)
            .service(login)
            .route("/large", web::get().to(large))
            .route("/many", web::post().to(many))
            .route("/shown", web::post().to(shown::<String>))
    };
    HttpServer::new(app).bind(("127.0.0.1", 0))?.run().await
}
