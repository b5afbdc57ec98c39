//! Users in SeaORM, on one connection pool with the sessions.
//!
//! ```sh
//! docker compose up --wait postgres       # or set DATABASE_URL to another database
//! cargo run -p seaorm
//! ```
//!
//! The model of SeaORM is also the user type of `locals`, so a logged-in request needs one query for
//! the session and the user together. See `docs/users_by_another_crate.md`.

use std::{env, sync::LazyLock};

use actix_web::{
    App, HttpServer, Responder,
    error::{ErrorConflict, ErrorUnauthorized},
    get, post, web,
};
use locals::{
    Auth, BoxError, CookieConfig, Error, Locals, Session, StoreError, User, require_user,
    store::{SqlStore, VerbSql},
    with_session,
};
use password_auth::{generate_hash, verify_password};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, QueryFilter, Schema, Set, SqlErr, SqlxPostgresConnector, Statement,
    TransactionTrait,
};

use account::Model as Account;

const FORMS: &str = "<!doctype html><title>seaorm</title>\
    <form method=post action=/signup><input name=email type=email placeholder=E-mail required>\
    <input name=password type=password placeholder=Password required><button>Sign up</button></form>\
    <form method=post action=/login><input name=email type=email placeholder=E-mail required>\
    <input name=password type=password placeholder=Password required><button>Log in</button></form>";
const LOGGED_IN: &str = "<!doctype html><title>seaorm</title><a href=/me>My account</a>\
    <form method=post action=/password>\
    <input name=old type=password placeholder='Current password' required>\
    <input name=new type=password placeholder='New password' required>\
    <button>Change password and log out all other devices</button></form>\
    <form method=post action=/logout><button>Log out</button></form>";

/// Verified if the account does not exist, so that the response takes as long.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| generate_hash("dummy password"));

mod account {
    use locals::AuthUser;
    use sea_orm::entity::prelude::*;

    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow, AuthUser)]
    #[sea_orm(table_name = "accounts")]
    #[auth_user(table = "accounts")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique)]
        pub email: String,
        pub password_hash: String,
    }

    #[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
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
    database: web::Data<DatabaseConnection>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Credentials { email, password } = form.into_inner();
    let password_hash = Set(web::block(|| generate_hash(password)).await?);
    let new = account::ActiveModel { email: Set(email), password_hash, ..Default::default() };
    let account = new.insert(&**database).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            ErrorConflict("This e-mail address is taken.")
        }
        _ => database_error(error).into(),
    })?;
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Credentials>,
    database: web::Data<DatabaseConnection>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Credentials { email, password } = form.into_inner();
    let find = account::Entity::find().filter(account::Column::Email.eq(email));
    let found = find.one(&**database).await.map_err(database_error)?;
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
    database: web::Data<DatabaseConnection>,
    verbs: web::Data<VerbSql>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Change { old, new } = form.into_inner();
    check_password(old, &user.password_hash).await?;
    let password_hash = Set(web::block(|| generate_hash(new)).await?);

    // Change the password and end the other sessions: both or nothing. A transaction that is dropped
    // without `commit` is rolled back.
    let transaction = database.begin().await.map_err(database_error)?;
    let changed = account::ActiveModel { id: Set(user.id), password_hash, ..Default::default() };
    changed.update(&transaction).await.map_err(database_error)?;
    let values = [user.id.into(), session.id().as_bytes().to_vec().into()];
    let sql = &verbs.invalidate_other_sessions;
    let end_others = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    transaction.execute_raw(end_others).await.map_err(database_error)?;
    transaction.commit().await.map_err(database_error)?;

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
fn database_error(error: DbErr) -> Error {
    StoreError::backend(error).into()
}

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    LazyLock::force(&DUMMY_HASH);
    let url = env::var("DATABASE_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    let store = SqlStore::<_, Account>::postgres(&url).await?;
    let database = SqlxPostgresConnector::from_sqlx_postgres_pool(store.pool().clone());
    // The app's own table comes first: the session tables refer to it by a foreign key.
    let mut create = Schema::new(DbBackend::Postgres).create_table_from_entity(account::Entity);
    database.execute(create.if_not_exists()).await?;
    store.migrate().await?;
    let verbs = web::Data::new(store.verb_sql());
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
