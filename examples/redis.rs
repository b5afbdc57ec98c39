//! Sessions in Redis, users in a database of another kind.
//!
//! ```sh
//! docker compose up --wait redis          # or name another server in REDIS_URL
//! cargo run --example redis --features redis
//! ```
//!
//! What Redis can lose that a database does not: see `locals::store::RedisStore`.

use std::env;

use actix_web::{App, HttpServer, Responder, get, post, web};
use locals::{
    Auth, AuthUser, CookieConfig, Error, Locals, User, require_user,
    store::{RedisStore, WithLoader},
    with_session,
};
use sqlx::SqlitePool;

const LOG_IN: &str = "<form method=post action=/login><input name=name placeholder=Name required>\
    <button>Log in</button></form>";
const LOGGED_IN: &str = "<p><a href=/me>Who am I?</a>\
    <form method=post action=/logout><button>Log out</button></form>\
    <form method=post action=/close><button>Delete my account</button></form>";

#[derive(serde::Serialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    name: String,
}

/// Asked in each request of a user, after Redis has found the session. Whoever it does not find is
/// logged out at once; so this is the place to lock somebody out.
async fn load(database: SqlitePool, id: i64) -> sqlx::Result<Option<Account>> {
    let find = sqlx::query_as("SELECT id, name FROM accounts WHERE id = ? AND NOT is_locked");
    find.bind(id).fetch_optional(&database).await
}

#[derive(serde::Deserialize)]
struct Name {
    name: String,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    web::Html::new(if user.is_some() { LOGGED_IN } else { LOG_IN })
}

/// Without a password: `quickstart` checks one.
#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Name>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    let sql = "INSERT INTO accounts (name) VALUES (?) \
        ON CONFLICT (name) DO UPDATE SET name = name RETURNING id, name";
    let account: Account = sqlx::query_as(sql).bind(&form.name).fetch_one(&**database).await?;
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> impl Responder {
    web::Json(user)
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/close")]
#[require_user]
async fn close(
    user: User<Account>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    // No foreign key leads from Redis to the users, so the app ends the sessions. One that begins in
    // between, by a login elsewhere, opens nothing: its user is not found, and no other account is
    // ever given this id (`AUTOINCREMENT`).
    locals.log_out_everywhere().await?;
    let delete = sqlx::query("DELETE FROM accounts WHERE id = ?").bind(user.id);
    delete.execute(&**database).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = env::temp_dir().join("locals-redis.db");
    let database = SqlitePool::connect(&format!("sqlite://{}?mode=rwc", file.display())).await?;
    let create = "CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, \
        name TEXT NOT NULL UNIQUE, is_locked BOOLEAN NOT NULL DEFAULT FALSE)";
    sqlx::query(create).execute(&database).await?;

    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    // Apps that share a server have a prefix each.
    let prefix = env::var("REDIS_PREFIX").unwrap_or_else(|_| "locals-example:".to_owned());
    let sessions = RedisStore::connect(&url).await?.prefix(&prefix);
    let users = database.clone();
    let store = WithLoader::new(sessions, move |id: i64| load(users.clone(), id));

    // Plain HTTP, for this demonstration. Behind HTTPS leave the cookie as it is by default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address}; the keys in Redis begin with {prefix}");
    let app = move || {
        let app = App::new().configure(auth.configure());
        app.app_data(web::Data::new(database.clone())).service((home, login, me, logout, close))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
