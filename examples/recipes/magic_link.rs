//! Login by a link in an e-mail. `docs/recipes.md` explains it.

use std::time::Duration;

use actix_web::{HttpResponse, Responder, error::ErrorForbidden, get, post, web};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use locals::{AuthUser, Error, Locals, with_session};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::SqlitePool;
use tokio::sync::mpsc;

/// A row of the app's own table.
#[derive(Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
pub struct Account {
    id: i64,
    email: String,
}

/// A link on its way to somebody.
#[derive(Debug)]
pub struct Mail {
    pub to: String,
    pub path: String,
}

/// What is kept of a visitor who has asked for a link.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    link: Option<Link>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Link {
    /// Of the token: the database does not know the token itself.
    hash: String,
    /// Of nobody, if the address is unknown.
    account: Option<i64>,
    until: i64,
}

#[derive(Deserialize)]
struct Address {
    email: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// The routes of this login.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service((ask, confirm_page, confirm));
}

/// Asks for a link. An unknown address is answered, and costs, as a known one.
#[post("/login/link")]
#[with_session]
async fn ask(
    form: web::Form<Address>,
    database: web::Data<SqlitePool>,
    outbox: web::Data<mpsc::Sender<Mail>>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let find = sqlx::query_as("SELECT * FROM accounts WHERE email = ?").bind(&form.email);
    let account: Option<Account> = find.fetch_optional(&**database).await.map_err(Error::from)?;
    let token = new_token();
    let until = locals.auth().now() + Duration::from_mins(15);
    let link = Link {
        hash: hash(&token),
        account: account.as_ref().map(|account| account.id),
        until: until.as_millis(),
    };
    locals.update_guest(|visitor: &mut Visitor| visitor.link = Some(link.clone())).await?;
    if let Some(account) = account {
        // Sent by another task: how long it takes would tell who has an account.
        let mail = Mail { to: account.email, path: format!("/login/confirm?token={token}") };
        if outbox.try_send(mail).is_err() {
            tracing::error!("the outbox is full, or nobody empties it");
        }
    }
    Ok("If there is an account with this address, a link is on its way to it.")
}

/// Where the link leads. It changes nothing, for scanners of mail follow links; the form posts to
/// the address that it was shown at, with the token.
#[get("/login/confirm")]
async fn confirm_page() -> impl Responder {
    let page =
        "<!doctype html><title>Log in</title><form method=post><button>Log in</button></form>";
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        // Not `no-referrer`: by that browsers send the form with `Origin: null`, as from elsewhere.
        .insert_header(("Referrer-Policy", "same-origin"))
        .body(page)
}

/// Logs in, once, in the browser that has asked.
#[post("/login/confirm")]
#[with_session]
async fn confirm(
    query: web::Query<Token>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Some(account) = take_account(&query.token, &database, &locals).await? else {
        let text = "This link is used, or too old, or was asked for in another browser.";
        return Err(ErrorForbidden(text));
    };
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

/// The account that a token opens. Of two requests with one token, one finds it.
async fn take_account(
    token: &str,
    database: &SqlitePool,
    locals: &Locals,
) -> actix_web::Result<Option<Account>> {
    if locals.guest::<Visitor>().await?.link.is_none() {
        return Ok(None);
    }
    let (now, hash) = (locals.auth().now().as_millis(), hash(token));
    let is_it = |link: &mut Link| link.hash == hash;
    let link = locals.update_guest(|visitor: &mut Visitor| visitor.link.take_if(is_it)).await?;
    let Some(id) = link.filter(|link| now < link.until).and_then(|link| link.account) else {
        return Ok(None);
    };
    let find = sqlx::query_as("SELECT * FROM accounts WHERE id = ?").bind(id);
    Ok(find.fetch_optional(database).await.map_err(Error::from)?)
}

/// 32 bytes of the operating system's random numbers.
fn new_token() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn hash(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
