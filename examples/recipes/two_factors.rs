//! Login with a password and a code from an authenticator app (TOTP, RFC 6238). `docs/recipes.md` explains it.

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

/// The guest data between the two factors. A guest is not logged in.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    pending: Option<PendingLogin>,
}

/// The account whose password was correct, until when the code is accepted, and how many attempts
/// are left.
#[derive(Clone, Serialize, Deserialize)]
struct PendingLogin {
    account: i64,
    expires_at: i64,
    attempts_left: u8,
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
    config.service((check_password, check_code));
}

/// The first factor.
#[post("/login")]
#[with_session]
async fn check_password(
    form: web::Form<Credentials>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let Credentials { email, password } = form.into_inner();
    let find = sqlx::query_as("SELECT * FROM accounts WHERE email = ?").bind(email);
    let account: Option<Account> = find.fetch_optional(&**database).await.map_err(Error::from)?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let (true, Some(account)) = (password::verify(password, hash).await?, account) else {
        return Ok(HttpResponse::Unauthorized().body("Wrong e-mail or password."));
    };
    let expires_at = (locals.auth().now() + Duration::from_mins(5)).as_millis();
    let pending = PendingLogin { account: account.id, expires_at, attempts_left: 5 };
    locals.update_guest(|visitor: &mut Visitor| visitor.pending = Some(pending.clone())).await?;
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/login/code")).finish())
}

/// The second factor.
#[post("/login/code")]
#[with_session]
async fn check_code(
    form: web::Form<Code>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let Some(account) = count_attempt(&database, &locals).await? else {
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/login")).finish());
    };
    if !verify_code(&form.code, &account, &database, &locals).await? {
        return Ok(HttpResponse::Unauthorized().body("Wrong code."));
    }
    locals.update_guest(|visitor: &mut Visitor| visitor.pending = None).await?;
    locals.log_in(&account).await?;
    Ok(locals.return_to().into())
}

/// Counts an attempt and returns its account, if any attempts are left. It counts before the code is
/// verified, so that simultaneous requests have no more attempts.
async fn count_attempt(database: &SqlitePool, locals: &Locals) -> Result<Option<Account>, Error> {
    if locals.guest::<Visitor>().await?.pending.is_none() {
        return Ok(None);
    }
    let now = locals.auth().now().as_millis();
    let attempt = locals.update_guest(|visitor: &mut Visitor| {
        visitor.pending.take_if(|pending| now >= pending.expires_at || pending.attempts_left == 0);
        let pending = visitor.pending.as_mut()?;
        pending.attempts_left -= 1;
        Some(pending.account)
    });
    let Some(id) = attempt.await? else { return Ok(None) };
    let find = sqlx::query_as("SELECT * FROM accounts WHERE id = ?").bind(id);
    find.fetch_optional(database).await.map_err(Error::from)
}

/// Returns whether the code is correct and has not been used: each time step is accepted once.
async fn verify_code(
    code: &str,
    account: &Account,
    database: &SqlitePool,
    locals: &Locals,
) -> actix_web::Result<bool> {
    let seconds = u64::try_from(locals.auth().now().as_millis() / 1000).unwrap_or(0);
    let Some(step) = totp(account)?.check(code, seconds) else { return Ok(false) };
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let update = "UPDATE accounts SET totp_step = ? WHERE id = ? AND totp_step < ?";
    let update = sqlx::query(update).bind(step).bind(account.id).bind(step);
    Ok(update.execute(database).await.map_err(Error::from)?.rows_affected() == 1)
}

/// The TOTP of an account: six digits, for 30 seconds. The codes before and after are accepted too.
fn totp(account: &Account) -> actix_web::Result<Totp> {
    let totp = Builder::new().with_secret(account.totp_secret.clone()).build();
    totp.map_err(ErrorInternalServerError)
}
