//! Login with a passkey: there is no password that could be forgotten, stolen or phished.
//!
//! `cargo run -p passkeys`, then open the address it prints. A passkey is bound to a host name, here
//! `localhost`: on `127.0.0.1` the browser refuses it. In production, use the host name of the app,
//! with `https`.
//!
//! Not shown: several passkeys for one account, in case a device is lost (the tables allow it); login
//! without a username; rate limits. The login reveals which usernames exist.

use std::{env, net::SocketAddr};

use actix_web::{
    App, HttpResponse, HttpServer, Responder,
    error::{
        ErrorBadRequest, ErrorConflict, ErrorInternalServerError, ErrorNotFound, ErrorUnauthorized,
    },
    get, post, web,
};
use locals::{
    Auth, AuthUser, BoxError, CookieConfig, Error, Locals, User, store::SqlStore, with_session,
};
use sqlx::{SqlitePool, types::Json};
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder,
};

const PAGE: &str = include_str!("page.html");
const FORM: &str = "<form id=passkey><label>Username <input name=name autocomplete=username required \
    maxlength=40></label><button name=what value=login>Log in</button>\
    <button name=what value=register>Create an account</button><p role=alert></form>";
const LOG_OUT: &str = "<form method=post action=/logout><button>Log out</button></form>";
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS accounts (id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS passkeys (
        id BLOB PRIMARY KEY,
        account BLOB NOT NULL REFERENCES accounts ON DELETE CASCADE,
        passkey TEXT NOT NULL
    )";

/// The id is also stored with the passkey, so it is random and reveals nothing about the user.
#[derive(Clone, serde::Serialize, serde::Deserialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: Uuid,
    name: String,
}

/// The guest data: the challenges that were sent to this browser, and for which account.
///
/// If the client could choose or repeat a challenge, an intercepted response could be replayed. That
/// is why `webauthn-rs` can serialize this state only with the feature
/// `danger-allow-state-serialisation`. Here that is safe: the state is in the store, the browser has
/// only the guest cookie, and the first response takes the challenge out of the store.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Guest {
    registration: Option<(Account, PasskeyRegistration)>,
    log_in: Option<(Account, PasskeyAuthentication)>,
}

#[derive(serde::Deserialize)]
struct UserName {
    name: String,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    let content = user.map_or(FORM.to_owned(), |user| {
        let name = user.name.replace('&', "&amp;").replace('<', "&lt;");
        format!("<p>Logged in as <b>{name}</b>.{LOG_OUT}")
    });
    web::Html::new(PAGE.replace("<!-- content -->", &content))
}

#[post("/register")]
#[with_session]
async fn register(
    form: web::Json<UserName>,
    webauthn: web::Data<Webauthn>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let account = Account { id: Uuid::new_v4(), name: form.name.trim().to_owned() };
    if !(1..=40).contains(&account.name.chars().count()) {
        return Err(ErrorBadRequest("A username must have 1 to 40 characters."));
    }
    if find(&account.name, &database).await?.is_some() {
        return Err(ErrorConflict("This username is taken."));
    }
    let started =
        webauthn.start_passkey_registration(account.id, &account.name, &account.name, None);
    let (options, state) = started.map_err(ErrorInternalServerError)?;
    let registration = (account, state);
    locals
        .update_guest(|guest: &mut Guest| guest.registration = Some(registration.clone()))
        .await?;
    Ok(web::Json(options))
}

#[post("/register/finish")]
#[with_session]
async fn finish_registration(
    credential: web::Json<RegisterPublicKeyCredential>,
    webauthn: web::Data<Webauthn>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let pending = locals.update_guest(|guest: &mut Guest| guest.registration.take()).await?;
    let (account, state) = pending.ok_or_else(not_started)?;
    let passkey = webauthn.finish_passkey_registration(&credential, &state);
    let passkey = passkey.map_err(|_| ErrorBadRequest("This passkey could not be registered."))?;
    insert(&account, passkey, &database).await.map_err(|error| match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => {
            ErrorConflict("This username or passkey has just been registered.")
        }
        error => Error::from(error).into(),
    })?;
    locals.log_in(&account).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[post("/login")]
#[with_session]
async fn login(
    form: web::Json<UserName>,
    webauthn: web::Data<Webauthn>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let account = find(form.name.trim(), &database).await?;
    let account =
        account.ok_or_else(|| ErrorNotFound("There is no account with this username."))?;
    let passkeys = passkeys_of(&account, &database).await?;
    let started = webauthn.start_passkey_authentication(&passkeys);
    let (options, state) = started.map_err(ErrorInternalServerError)?;
    let log_in = (account, state);
    locals.update_guest(|guest: &mut Guest| guest.log_in = Some(log_in.clone())).await?;
    Ok(web::Json(options))
}

#[post("/login/finish")]
#[with_session]
async fn finish_login(
    credential: web::Json<PublicKeyCredential>,
    webauthn: web::Data<Webauthn>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let pending = locals.update_guest(|guest: &mut Guest| guest.log_in.take()).await?;
    let (account, state) = pending.ok_or_else(not_started)?;
    let result = webauthn.finish_passkey_authentication(&credential, &state);
    let result =
        result.map_err(|_| ErrorUnauthorized("This passkey does not belong to the account."))?;
    if !update_counter(&result, &database).await.map_err(Error::from)? {
        return Err(ErrorUnauthorized("This passkey has been removed."));
    }
    locals.log_in(&account).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

fn not_started() -> actix_web::Error {
    ErrorBadRequest(
        "This request was not started in this browser, or is already finished. Try again.",
    )
}

async fn find(name: &str, database: &SqlitePool) -> Result<Option<Account>, Error> {
    let find = sqlx::query_as("SELECT id, name FROM accounts WHERE name = ?").bind(name);
    Ok(find.fetch_optional(database).await?)
}

async fn passkeys_of(account: &Account, database: &SqlitePool) -> Result<Vec<Passkey>, Error> {
    let find = sqlx::query_scalar("SELECT passkey FROM passkeys WHERE account = ?");
    let found: Vec<Json<Passkey>> = find.bind(account.id).fetch_all(database).await?;
    Ok(found.into_iter().map(|Json(passkey)| passkey).collect())
}

async fn insert(account: &Account, passkey: Passkey, database: &SqlitePool) -> sqlx::Result<()> {
    let mut transaction = database.begin().await?;
    let insert = sqlx::query("INSERT INTO accounts (id, name) VALUES (?, ?)");
    insert.bind(account.id).bind(&account.name).execute(&mut *transaction).await?;
    let insert = sqlx::query("INSERT INTO passkeys (id, account, passkey) VALUES (?, ?, ?)");
    let insert = insert.bind(passkey.cred_id().clone()).bind(account.id).bind(Json(passkey));
    insert.execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Stores the usage counter that some passkeys have: a copy with a lower counter is then refused.
/// Returns `false` if the passkey no longer exists.
async fn update_counter(
    result: &AuthenticationResult,
    database: &SqlitePool,
) -> sqlx::Result<bool> {
    let mut transaction = database.begin_with("BEGIN IMMEDIATE").await?;
    let find = sqlx::query_scalar("SELECT passkey FROM passkeys WHERE id = ?");
    let found = find.bind(result.cred_id()).fetch_optional(&mut *transaction).await?;
    let Some(Json(mut passkey)): Option<Json<Passkey>> = found else { return Ok(false) };
    passkey.update_credential(result);
    let update = sqlx::query("UPDATE passkeys SET passkey = ? WHERE id = ?");
    update.bind(Json(passkey)).bind(result.cred_id()).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    let file = env::temp_dir().join("locals-passkeys.db");
    let store = SqlStore::sqlite(&file.display().to_string()).await?;
    let database = store.pool().clone();
    sqlx::raw_sql(TABLES).execute(&database).await?;
    store.migrate().await?;
    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let address: SocketAddr = address.parse()?;
    let origin = Url::parse(&format!("http://localhost:{}", address.port()))?;
    let webauthn = WebauthnBuilder::new("localhost", &origin)?.rp_name("Passkeys").build()?;
    let webauthn = web::Data::new(webauthn);

    println!("Open {origin}");
    let app = move || {
        let app = App::new().configure(auth.configure()).app_data(webauthn.clone());
        let app = app.app_data(web::Data::new(database.clone()));
        app.service((home, register, finish_registration, login, finish_login, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
