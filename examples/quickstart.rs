//! Login with a password, a page for logged-in users, logout. It uses embedded SQLite, so there is
//! nothing else to install.
//!
//! `cargo run --example quickstart`, then open the address it prints.

use std::{env, sync::LazyLock};

use actix_web::{
    App, HttpResponse, HttpServer, Responder, get, http::header::ContentType, post, web,
};
use locals::{
    Auth, AuthUser, CookieConfig, Error, Locals, User, require_user, store::SqlStore, with_session,
};
use password_auth::{generate_hash, verify_password};
use sqlx::SqlitePool;

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct-horse-battery-staple";
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>locals</title>\
    <body style='font: 1.2rem sans-serif; margin: 4rem'><h1>locals</h1>";
const LOG_IN: &str = "<form method=post>\
    <input name=email type=email placeholder=E-mail required>
    <input name=password type=password placeholder=Password required>
    <button>Log in</button></form>";
const LOG_OUT: &str = "<p><a href=/me>My account</a>\
    <form method=post action=/logout><button>Log out</button></form>";

/// Verified if the account does not exist, so that the response takes as long.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| generate_hash("dummy password"));

/// A row of the app's own table. `AuthUser` is all that `locals` needs.
#[derive(serde::Serialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    email: String,
    #[serde(skip)]
    password_hash: String,
}

#[derive(serde::Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    web::Html::new(match user {
        Some(user) => {
            let email = user.email.replace('&', "&amp;").replace('<', "&lt;");
            format!("{PAGE}<p>Logged in as <b>{email}</b>.{LOG_OUT}")
        }
        None => format!("{PAGE}<p>You are not logged in.<p><a href=/login>Log in</a>"),
    })
}

/// The form has no `action`, so it posts to the current URL and keeps the parameter `next`.
#[get("/login")]
#[with_session(guest_only = "/")]
async fn login_page() -> impl Responder {
    web::Html::new(format!("{PAGE}{LOG_IN}"))
}

#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Credentials>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let Some(account) = verify(&database, form.into_inner()).await? else {
        let page = format!("{PAGE}<p>Wrong e-mail or password.{LOG_IN}");
        return Ok(HttpResponse::Unauthorized().content_type(ContentType::html()).body(page));
    };
    locals.log_in(&account).await?;
    Ok(locals.return_to().into())
}

#[get("/me")]
#[require_user(redirect = "/login")]
async fn me(user: User<Account>) -> impl Responder {
    web::Json(user)
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

/// Returns the account if the password is correct.
async fn verify(database: &SqlitePool, form: Credentials) -> actix_web::Result<Option<Account>> {
    let find = sqlx::query_as("SELECT * FROM accounts WHERE email = ?").bind(form.email);
    let account: Option<Account> = find.fetch_optional(database).await.map_err(Error::from)?;
    let hash = account.as_ref().map_or(&*DUMMY_HASH, |account| &account.password_hash).clone();
    let is_correct = web::block(move || verify_password(form.password, &hash).is_ok()).await?;
    Ok(account.filter(|_| is_correct))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init(); // prints the log
    LazyLock::force(&DUMMY_HASH);
    let file = env::temp_dir().join("locals-quickstart.db");
    let store = SqlStore::sqlite(&file.display().to_string()).await?;
    let database = store.pool().clone();
    let create = "CREATE TABLE IF NOT EXISTS accounts \
        (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL)";
    sqlx::query(create).execute(&database).await?;
    let insert = "INSERT OR IGNORE INTO accounts VALUES (1, ?, ?)";
    sqlx::query(insert).bind(EMAIL).bind(generate_hash(PASSWORD)).execute(&database).await?;
    store.migrate().await?;

    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address} and log in as {EMAIL} with {PASSWORD}");
    println!("Or: curl -c jar -d 'email={EMAIL}&password={PASSWORD}' http://{address}/login");
    println!("    curl -b jar http://{address}/me");
    let app = move || {
        let app = App::new().configure(auth.configure());
        app.app_data(web::Data::new(database.clone()))
            .service((home, login_page, login, me, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
