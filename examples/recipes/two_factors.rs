//! Login by a password and a code of an app (TOTP, RFC 6238). `docs/recipes.md` explains it.

use std::time::Duration;

use actix_web::{HttpResponse, error::ErrorInternalServerError, http::header::LOCATION, post, web};
use locals::{AuthUser, Error, Locals, with_session};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use totp_rs::{Builder, Totp};

use super::password;

/// A row of the app's own table.
#[derive(Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
pub struct Account {
    id: i64,
    password_hash: String,
    totp_secret: Vec<u8>,
}

/// What is kept of a visitor between the two factors. It logs nobody in.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    half: Option<Half>,
}

/// Whose password was right, until when that counts, and how many codes may still be tried.
#[derive(Clone, Serialize, Deserialize)]
struct Half {
    account: i64,
    until: i64,
    tries_left: u8,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// The routes of this login.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service((first, second));
}

/// The first factor.
#[post("/login")]
#[with_session]
async fn first(
    form: web::Form<Credentials>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let Credentials { email, password } = form.into_inner();
    let find = sqlx::query_as("SELECT * FROM accounts WHERE email = ?").bind(email);
    let account: Option<Account> = find.fetch_optional(&**database).await.map_err(Error::from)?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let (true, Some(account)) = (password::is_right(password, hash).await?, account) else {
        return Ok(HttpResponse::Unauthorized().body("Wrong e-mail or password."));
    };
    let until = locals.auth().now() + Duration::from_mins(5);
    let half = Half { account: account.id, until: until.as_millis(), tries_left: 5 };
    locals.update_guest(|visitor: &mut Visitor| visitor.half = Some(half.clone())).await?;
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/login/code")).finish())
}

/// The second factor.
#[post("/login/code")]
#[with_session]
async fn second(
    form: web::Form<Code>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let Some(account) = account_of_try(&database, &locals).await? else {
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/login")).finish());
    };
    if !is_right(&form.code, &account, &database, &locals).await? {
        return Ok(HttpResponse::Unauthorized().body("Wrong code."));
    }
    locals.update_guest(|visitor: &mut Visitor| visitor.half = None).await?;
    locals.log_in(&account).await?;
    Ok(locals.return_to().into())
}

/// The account whose code may be tried once more. The try counts before the code is looked at, so
/// that those at once count, too.
async fn account_of_try(database: &SqlitePool, locals: &Locals) -> Result<Option<Account>, Error> {
    if locals.guest::<Visitor>().await?.half.is_none() {
        return Ok(None);
    }
    let now = locals.auth().now().as_millis();
    let attempt = locals.update_guest(|visitor: &mut Visitor| {
        let half = visitor.half.take_if(|half| now >= half.until || half.tries_left == 0);
        if half.is_some() {
            return None;
        }
        let half = visitor.half.as_mut()?;
        half.tries_left -= 1;
        Some(half.account)
    });
    let Some(id) = attempt.await? else { return Ok(None) };
    let find = sqlx::query_as("SELECT * FROM accounts WHERE id = ?").bind(id);
    find.fetch_optional(database).await.map_err(Error::from)
}

/// Whether a code is right, and not one that was used before: each step of time counts once.
async fn is_right(
    code: &str,
    account: &Account,
    database: &SqlitePool,
    locals: &Locals,
) -> actix_web::Result<bool> {
    let seconds = u64::try_from(locals.auth().now().as_millis() / 1000).unwrap_or(0);
    let Some(step) = totp(account)?.check(code, seconds) else { return Ok(false) };
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let take = "UPDATE accounts SET totp_step = ? WHERE id = ? AND totp_step < ?";
    let take = sqlx::query(take).bind(step).bind(account.id).bind(step);
    Ok(take.execute(database).await.map_err(Error::from)?.rows_affected() == 1)
}

/// The codes of an account: six digits, half a minute each; the one before and the one after count.
fn totp(account: &Account) -> actix_web::Result<Totp> {
    let codes = Builder::new().with_secret(account.totp_secret.clone()).build();
    codes.map_err(ErrorInternalServerError)
}
