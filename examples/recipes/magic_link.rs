//! Login with a link sent by e-mail. `docs/recipes.md` explains it.

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

/// An e-mail with a login link.
#[derive(Debug)]
pub struct Mail {
    pub to: String,
    pub path: String,
}

/// The guest data of a visitor who has requested a link.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    link: Option<Link>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Link {
    /// Of the token. The token itself is not stored.
    hash: String,
    /// `None` if there is no account with this e-mail address.
    account: Option<i64>,
    expires_at: i64,
}

#[derive(Deserialize)]
struct LinkRequest {
    email: String,
}

#[derive(Deserialize)]
struct LinkToken {
    token: String,
}

/// The routes of this login.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service((request_link, confirm_page, confirm));
}

/// Sends a link. The response and its timing do not reveal whether the account exists.
#[post("/login/link")]
#[with_session]
async fn request_link(
    form: web::Form<LinkRequest>,
    database: web::Data<SqlitePool>,
    outbox: web::Data<mpsc::Sender<Mail>>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let find = sqlx::query_as("SELECT * FROM accounts WHERE email = ?").bind(&form.email);
    let account: Option<Account> = find.fetch_optional(&**database).await.map_err(Error::from)?;
    let token = new_token();
    let expires_at = locals.auth().now() + Duration::from_mins(15);
    let link = Link {
        hash: hash(&token),
        account: account.as_ref().map(|account| account.id),
        expires_at: expires_at.as_millis(),
    };
    locals.update_guest(|visitor: &mut Visitor| visitor.link = Some(link.clone())).await?;
    if let Some(account) = account {
        // Another task sends it: waiting for that would reveal that the account exists.
        let mail = Mail { to: account.email, path: format!("/login/confirm?token={token}") };
        if outbox.try_send(mail).is_err() {
            tracing::error!("the outbox is full or closed: a login link was not sent");
        }
    }
    Ok("If an account with this e-mail address exists, a login link has been sent to it.")
}

/// The page that the link opens. It changes nothing, because e-mail scanners follow links. The form
/// has no `action`, so it posts to the current URL, with the token.
#[get("/login/confirm")]
async fn confirm_page() -> impl Responder {
    let page =
        "<!doctype html><title>Log in</title><form method=post><button>Log in</button></form>";
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        // Not `no-referrer`: browsers would send the form with `Origin: null`, which is refused.
        .insert_header(("Referrer-Policy", "same-origin"))
        .body(page)
}

/// Logs in. The link works once, and only in the browser that requested it.
#[post("/login/confirm")]
#[with_session]
async fn confirm(
    query: web::Query<LinkToken>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<impl Responder> {
    let Some(account) = take_account(&query.token, &database, &locals).await? else {
        let text = "This link has been used, has expired, or was requested in another browser.";
        return Err(ErrorForbidden(text));
    };
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

/// Takes the link out of the guest data and returns its account. Of two simultaneous requests with
/// the same token, only one finds it.
async fn take_account(
    token: &str,
    database: &SqlitePool,
    locals: &Locals,
) -> actix_web::Result<Option<Account>> {
    if locals.guest::<Visitor>().await?.link.is_none() {
        return Ok(None);
    }
    let (now, hash) = (locals.auth().now().as_millis(), hash(token));
    let matches = |link: &mut Link| link.hash == hash;
    let link = locals.update_guest(|visitor: &mut Visitor| visitor.link.take_if(matches)).await?;
    let Some(id) = link.filter(|link| now < link.expires_at).and_then(|link| link.account) else {
        return Ok(None);
    };
    let find = sqlx::query_as("SELECT * FROM accounts WHERE id = ?").bind(id);
    Ok(find.fetch_optional(database).await.map_err(Error::from)?)
}

/// 32 random bytes from the operating system.
fn new_token() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn hash(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
