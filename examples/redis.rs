//! Sessions in Redis, users in another database.
//!
//! ```sh
//! docker compose up --wait redis          # or set REDIS_URL to another server
//! cargo run --example redis --features redis
//! ```
//!
//! Redis can lose data that a database would keep: see `locals::store::RedisStore`.

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
const LOGGED_IN: &str = "<p><a href=/me>My account</a>\
    <form method=post action=/logout><button>Log out</button></form>\
    <form method=post action=/close><button>Delete my account</button></form>";

#[derive(serde::Serialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    name: String,
}

/// Loads the user in each request, after Redis has found the session. If it returns `None`, the
/// request is not logged in, so it can also exclude disabled accounts.
async fn load(database: SqlitePool, id: i64) -> sqlx::Result<Option<Account>> {
    let find = sqlx::query_as("SELECT id, name FROM accounts WHERE id = ? AND NOT is_disabled");
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

/// Without a password, to keep the example short. `quickstart` verifies one.
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
async fn delete_account(
    user: User<Account>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    // Redis has no foreign keys, so the app ends the sessions itself. A session that is created in
    // between, by a login elsewhere, is not logged in: its user is not found, and the id is never
    // used again (`AUTOINCREMENT`).
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
        name TEXT NOT NULL UNIQUE, is_disabled BOOLEAN NOT NULL DEFAULT FALSE)";
    sqlx::query(create).execute(&database).await?;

    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    // Apps that share a Redis server need different prefixes.
    let prefix = env::var("REDIS_PREFIX").unwrap_or_else(|_| "locals-example:".to_owned());
    let sessions = RedisStore::connect(&url).await?.prefix(&prefix);
    let users = database.clone();
    let store = WithLoader::new(sessions, move |id: i64| load(users.clone(), id));

    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address}; the keys in Redis begin with {prefix}");
    let app = move || {
        let app = App::new().configure(auth.configure());
        app.app_data(web::Data::new(database.clone())).service((
            home,
            login,
            me,
            logout,
            delete_account,
        ))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
