//! Sessions and users in PostgreSQL, and a change of password in one transaction.
//!
//! ```sh
//! docker compose up --wait postgres       # or set DATABASE_URL to another database
//! cargo run --example postgres --features postgres
//! cargo run --example postgres --features postgres -- migration-sql
//! ```
//!
//! Any number of processes can share the database. A logout in one takes effect in all.

use std::{env, sync::LazyLock, time::Duration};

use actix_web::{
    App, HttpServer, Responder,
    error::{ErrorConflict, ErrorUnauthorized},
    get, post, web,
};
use locals::{
    Auth, AuthUser, CookieConfig, Error, Locals, Session, User, require_user, store::SqlStore,
    with_session,
};
use password_auth::{generate_hash, verify_password};
use sqlx::PgPool;

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct-horse-battery-staple";
const LOG_IN: &str = "<form method=post action=/login>\
    <input name=email type=email placeholder=E-mail required>\
    <input name=password type=password placeholder=Password required>\
    <button>Log in</button></form>";
const CHANGE: &str = "<form method=post action=/password>\
    <input name=old type=password placeholder='Current password' required>\
    <input name=new type=password placeholder='New password' required>\
    <button>Change password and log out all other devices</button></form>";

/// Verified if the account does not exist, so that the response takes as long.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| generate_hash("dummy password"));

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    password_hash: String,
}

#[derive(serde::Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

#[derive(serde::Deserialize)]
struct Change {
    old: String,
    new: String,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    web::Html::new(if user.is_some() { CHANGE } else { LOG_IN })
}

#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Credentials>,
    database: web::Data<PgPool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Credentials { email, password } = form.into_inner();
    let find = sqlx::query_as("SELECT * FROM accounts WHERE email = $1").bind(email);
    let found: Option<Account> = find.fetch_optional(&**database).await.map_err(Error::from)?;
    let hash = found.as_ref().map_or(&*DUMMY_HASH, |account| &account.password_hash);
    check_password(password, hash).await?;
    let account = found.ok_or_else(wrong_credentials)?;
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/password")]
#[require_user]
async fn change_password(
    form: web::Form<Change>,
    user: User<Account>,
    session: Session,
    auth: Auth<Account>,
    database: web::Data<PgPool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Change { old, new } = form.into_inner();
    check_password(old, &user.password_hash).await?;
    let hash = web::block(|| generate_hash(new)).await?;

    // Change the password, end the other sessions and replace the token of this one: all or nothing.
    // A transaction that is dropped without `commit` is rolled back.
    let mut transaction = database.begin().await.map_err(Error::from)?;
    sqlx::query("UPDATE accounts SET password_hash = $1 WHERE id = $2")
        .bind(hash)
        .bind(user.id)
        .execute(&mut *transaction)
        .await
        .map_err(Error::from)?;
    let mut sessions = auth.within(&mut transaction)?;
    sessions.invalidate_other_sessions(&session).await?;
    let Some(session) = sessions.reauthenticate(&session).await? else {
        return Err(ErrorConflict("Your session has ended. Log in again."));
    };
    transaction.commit().await.map_err(Error::from)?;

    // Set the cookie last: its token is valid only after the commit.
    locals.set_session(session);
    Ok(web::Redirect::to("/").see_other())
}

fn wrong_credentials() -> actix_web::Error {
    ErrorUnauthorized("Wrong e-mail or password.")
}

async fn check_password(password: String, hash: &str) -> actix_web::Result<()> {
    let hash = hash.to_owned();
    web::block(move || verify_password(password, &hash)).await?.map_err(|_| wrong_credentials())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    LazyLock::force(&DUMMY_HASH);
    let url = env::var("DATABASE_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    // Opens a pool with the recommended settings. `SqlStore::new(pool)` takes a pool of your own.
    let store = SqlStore::postgres(&url).await?;
    let database = store.pool().clone();
    // The app's own table comes first: the session tables refer to it by a foreign key.
    let create = "CREATE TABLE IF NOT EXISTS accounts (id BIGINT GENERATED ALWAYS AS IDENTITY \
        PRIMARY KEY, email TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL)";
    sqlx::query(create).execute(&database).await?;

    match env::args().nth(1).as_deref() {
        // If a migration tool creates all tables: prints a migration for it.
        Some("migration-sql") => {
            println!("{}", store.migration_sql().await?);
            return Ok(());
        }
        // Then, at startup, checks that the tables are those that this version expects.
        Some("check") => store.check().await?,
        // Otherwise: creates the tables, or updates those of an older version.
        _ => store.migrate().await?,
    }
    let insert =
        "INSERT INTO accounts (email, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    sqlx::query(insert).bind(EMAIL).bind(generate_hash(PASSWORD)).execute(&database).await?;

    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;
    // Deletes the rows of expired sessions until it is dropped.
    let _sweeper = auth.spawn_sweeper(Duration::from_mins(10))?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address} and log in as {EMAIL} with {PASSWORD}");
    let app = move || {
        let app = App::new().configure(auth.configure());
        app.app_data(web::Data::new(database.clone())).service((home, login, change_password))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
