//! Users in Diesel, on a separate connection pool; the sessions are in the same database.
//!
//! ```sh
//! docker compose up --wait postgres       # or set DATABASE_URL to another database
//! cargo run -p diesel-users
//! ```
//!
//! `WithLoader` loads the user of a session with Diesel, so a logged-in request needs two queries.
//! `docs/users_by_another_crate.md` shows how to use only one.

use std::{env, sync::LazyLock};

use actix_web::{
    App, HttpServer, Responder,
    error::{ErrorConflict, ErrorUnauthorized},
    get, post, web,
};
use diesel::{
    prelude::*,
    result::{DatabaseErrorKind::UniqueViolation, Error::DatabaseError},
    sql_query,
    sql_types::{BigInt, Binary},
};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, RunQueryDsl,
    pooled_connection::{
        AsyncDieselConnectionManager,
        deadpool::{Object, Pool},
    },
};
use locals::{
    Auth, AuthUser, BoxError, CookieConfig, Error, Locals, Session, StoreError, User, require_user,
    store::{SqlStore, VerbSql, WithLoader},
    with_session,
};
use password_auth::{generate_hash, verify_password};

use schema::accounts;

const FORMS: &str = "<!doctype html><title>diesel</title>\
    <form method=post action=/signup><input name=email type=email placeholder=E-mail required>\
    <input name=password type=password placeholder=Password required><button>Sign up</button></form>\
    <form method=post action=/login><input name=email type=email placeholder=E-mail required>\
    <input name=password type=password placeholder=Password required><button>Log in</button></form>";
const LOGGED_IN: &str = "<!doctype html><title>diesel</title><a href=/me>My account</a>\
    <form method=post action=/password>\
    <input name=old type=password placeholder='Current password' required>\
    <input name=new type=password placeholder='New password' required>\
    <button>Change password and log out all other devices</button></form>\
    <form method=post action=/logout><button>Log out</button></form>";

/// Verified if the account does not exist, so that the response takes as long.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| generate_hash("dummy password"));

mod schema {
    diesel::table! {
        accounts (id) {
            id -> BigInt,
            email -> Text,
            password_hash -> Text,
        }
    }
}

#[derive(Queryable, Selectable, AuthUser)]
#[diesel(table_name = accounts)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    email: String,
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

/// The app's own database. Clones share it.
#[derive(Clone)]
struct Database(Pool<AsyncPgConnection>);

impl Database {
    async fn connection(&self) -> Result<Object<AsyncPgConnection>, Error> {
        self.0.get().await.map_err(database_error)
    }

    /// Loads the user of a session.
    async fn account(self, id: i64) -> Result<Option<Account>, BoxError> {
        let find = accounts::table.find(id).select(Account::as_select());
        Ok(find.first(&mut self.0.get().await?).await.optional()?)
    }
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    web::Html::new(if user.is_some() { LOGGED_IN } else { FORMS })
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.email.clone()
}

#[post("/signup")]
#[with_session]
async fn signup(
    form: web::Form<Credentials>,
    database: web::Data<Database>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Credentials { email, password } = form.into_inner();
    let hash = web::block(|| generate_hash(password)).await?;
    let new = (accounts::email.eq(email), accounts::password_hash.eq(hash));
    let insert = diesel::insert_into(accounts::table).values(new);
    let insert = insert.returning(Account::as_returning());
    let inserted = insert.get_result(&mut database.connection().await?).await;
    let account = inserted.map_err(|error| match error {
        DatabaseError(UniqueViolation, _) => ErrorConflict("This e-mail address is taken."),
        error => database_error(error).into(),
    })?;
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Credentials>,
    database: web::Data<Database>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Credentials { email, password } = form.into_inner();
    let find = accounts::table.filter(accounts::email.eq(email)).select(Account::as_select());
    let found =
        find.first(&mut database.connection().await?).await.optional().map_err(database_error)?;
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
    database: web::Data<Database>,
    verbs: web::Data<VerbSql>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Change { old, new } = form.into_inner();
    check_password(old, &user.password_hash).await?;
    let hash = web::block(|| generate_hash(new)).await?;

    // Change the password and end the other sessions: both or nothing.
    let change =
        diesel::update(accounts::table.find(user.id)).set(accounts::password_hash.eq(hash));
    let end_others = sql_query(&verbs.invalidate_other_sessions)
        .bind::<BigInt, _>(user.id)
        .bind::<Binary, _>(session.id().as_bytes().to_vec());
    let mut connection = database.connection().await?;
    let done = connection.transaction::<_, diesel::result::Error, _>(async |connection| {
        change.execute(connection).await?;
        end_others.execute(connection).await
    });
    done.await.map_err(database_error)?;

    // Replace the token of this session.
    locals.reauthenticate().await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

fn wrong_credentials() -> actix_web::Error {
    ErrorUnauthorized("Wrong e-mail or password.")
}

async fn check_password(password: String, hash: &str) -> actix_web::Result<()> {
    let hash = hash.to_owned();
    web::block(move || verify_password(password, &hash)).await?.map_err(|_| wrong_credentials())
}

/// A database error: the response is 503, and the cause is logged.
fn database_error<E: Into<BoxError>>(error: E) -> Error {
    StoreError::backend(error).into()
}

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    LazyLock::force(&DUMMY_HASH);
    let url = env::var("DATABASE_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    let database = Database(Pool::builder(AsyncDieselConnectionManager::new(&url)).build()?);
    // The app's own table comes first: the session tables refer to it by a foreign key.
    let create = "CREATE TABLE IF NOT EXISTS accounts (id BIGINT GENERATED ALWAYS AS IDENTITY \
        PRIMARY KEY, email TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL)";
    sql_query(create).execute(&mut database.connection().await?).await?;
    let sessions = SqlStore::<_, Account>::postgres(&url).await?;
    sessions.migrate().await?;
    let verbs = web::Data::new(sessions.verb_sql());
    let users = database.clone();
    let store = WithLoader::new(sessions, move |id: i64| users.clone().account(id));
    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address}");
    let app = move || {
        let app = App::new().configure(auth.configure()).app_data(verbs.clone());
        let app = app.app_data(web::Data::new(database.clone()));
        app.service((home, me, signup, login, change_password, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
