//! Login by a passkey: there is no password that could be forgotten, stolen or given to a false page.
//!
//! `cargo run -p passkeys`, then open the address it prints. A passkey belongs to a host name, here
//! to `localhost`: at `127.0.0.1` the browser refuses it. In production that is the name of the app,
//! and the address begins with `https`.
//!
//! Not shown: a second passkey of an account, for when a device is lost (the tables allow it); login
//! without a name; limits on tries. Anybody can ask here which names there are.

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
const ENTER: &str = "<form id=enter><label>Name <input name=name autocomplete=username required \
    maxlength=40></label><button name=what value=login>Log in</button>\
    <button name=what value=register>Create an account</button><p role=alert></form>";
const LEAVE: &str = "<form method=post action=/logout><button>Log out</button></form>";
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS accounts (id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS passkeys (
        id BLOB PRIMARY KEY,
        account BLOB NOT NULL REFERENCES accounts ON DELETE CASCADE,
        passkey TEXT NOT NULL
    )";

/// The id is kept with the passkey too, so it is random and says nothing of the person.
#[derive(Clone, serde::Serialize, serde::Deserialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: Uuid,
    name: String,
}

/// What has begun in this browser: a challenge, and for whom.
///
/// If the client could choose it or bring it a second time, an answer that somebody has overheard
/// would open the account again and again. So `webauthn-rs` serialises it only where one asks for
/// that by a feature. Here it stays in the store, the browser has no more than the cookie of a
/// guest, and each challenge is taken out of the store by its first answer.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Guest {
    registration: Option<(Account, PasskeyRegistration)>,
    log_in: Option<(Account, PasskeyAuthentication)>,
}

#[derive(serde::Deserialize)]
struct Who {
    name: String,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    let content = user.map_or(ENTER.to_owned(), |user| {
        let name = user.name.replace('&', "&amp;").replace('<', "&lt;");
        format!("<p>Logged in as <b>{name}</b>.{LEAVE}")
    });
    web::Html::new(PAGE.replace("<!-- content -->", &content))
}

#[post("/register")]
#[with_session]
async fn register(
    who: web::Json<Who>,
    webauthn: web::Data<Webauthn>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let account = Account { id: Uuid::new_v4(), name: who.name.trim().to_owned() };
    if !(1..=40).contains(&account.name.chars().count()) {
        return Err(ErrorBadRequest("A name has 1 to 40 characters."));
    }
    if find(&account.name, &database).await?.is_some() {
        return Err(ErrorConflict("This name is taken."));
    }
    let begun = webauthn.start_passkey_registration(account.id, &account.name, &account.name, None);
    let (options, state) = begun.map_err(ErrorInternalServerError)?;
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
    let begun = locals.update_guest(|guest: &mut Guest| guest.registration.take()).await?;
    let (account, state) = begun.ok_or_else(not_begun)?;
    let passkey = webauthn.finish_passkey_registration(&credential, &state);
    let passkey = passkey.map_err(|_| ErrorBadRequest("This passkey cannot be used here."))?;
    insert(&account, passkey, &database).await.map_err(|error| match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => {
            ErrorConflict("Somebody was quicker with this name, or has this passkey.")
        }
        error => Error::from(error).into(),
    })?;
    locals.log_in(&account).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[post("/login")]
#[with_session]
async fn login(
    who: web::Json<Who>,
    webauthn: web::Data<Webauthn>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let account = find(who.name.trim(), &database).await?;
    let account = account.ok_or_else(|| ErrorNotFound("There is no account of this name."))?;
    let passkeys = passkeys_of(&account, &database).await?;
    let begun = webauthn.start_passkey_authentication(&passkeys);
    let (options, state) = begun.map_err(ErrorInternalServerError)?;
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
    let begun = locals.update_guest(|guest: &mut Guest| guest.log_in.take()).await?;
    let (account, state) = begun.ok_or_else(not_begun)?;
    let result = webauthn.finish_passkey_authentication(&credential, &state);
    let result =
        result.map_err(|_| ErrorUnauthorized("This passkey does not open the account."))?;
    if !keep_counter(&result, &database).await.map_err(Error::from)? {
        return Err(ErrorUnauthorized("This passkey was removed meanwhile."));
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

fn not_begun() -> actix_web::Error {
    ErrorBadRequest("This was not begun in this browser, or is over. Try again.")
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

/// Some passkeys count how often they were used. A copy of one that is behind is then refused.
/// `false` if the passkey is gone.
async fn keep_counter(result: &AuthenticationResult, database: &SqlitePool) -> sqlx::Result<bool> {
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
    // Plain HTTP, for this demonstration. Behind HTTPS leave the cookie as it is by default.
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
