//! The app under attack: each route is one thing that an app does with its sessions.

use actix_web::{HttpResponse, Responder, delete, get, post, web};
use locals::{
    Auth, AuthBuilder, AuthUser, CookieConfig, Error, Locals, SafeRedirect, Session, SessionId,
    User, require_user, store::SqlStore, with_session,
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Database, Executor, IntoArguments, Pool};

/// How many users there are, numbered from 1.
pub const ACCOUNTS: i64 = 100;

/// A user.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts", session = Notes)]
pub struct Account {
    /// The number of the user.
    pub id: i64,
    /// `name-` and the number.
    pub name: String,
}

/// What is kept with a session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Notes {
    /// What was written, in order.
    pub notes: Vec<u64>,
}

/// Opens the database at `postgres://..` or of a file of SQLite, and makes its tables where they
/// are missing.
pub async fn open(url: &str) -> Result<AuthBuilder<Account>, Box<dyn std::error::Error>> {
    if url.starts_with("postgres:") {
        let store = SqlStore::postgres(url).await?;
        populate(store.pool()).await?;
        store.migrate().await?;
        Ok(Auth::builder(store))
    } else {
        let store = SqlStore::sqlite(url).await?;
        populate(store.pool()).await?;
        store.migrate().await?;
        Ok(Auth::builder(store))
    }
}

async fn populate<D: Database>(pool: &Pool<D>) -> sqlx::Result<()>
where
    for<'c> &'c Pool<D>: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
{
    let table = "CREATE TABLE IF NOT EXISTS accounts (id BIGINT PRIMARY KEY, name TEXT NOT NULL)";
    sqlx::query(table).execute(pool).await?;
    let rows: Vec<_> = (1..=ACCOUNTS).map(|id| format!("({id}, 'name-{id}')")).collect();
    let rows = format!("INSERT INTO accounts VALUES {} ON CONFLICT DO NOTHING", rows.join(", "));
    sqlx::query(AssertSqlSafe(rows)).execute(pool).await?;
    Ok(())
}

/// The cookie of an app that is spoken to over plain HTTP.
pub fn plain_cookie() -> CookieConfig {
    CookieConfig::default().secure(false)
}

/// All routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service((public, me, page, login_page, login, logout, logout_everywhere, logout_others))
        .service((
            sessions,
            end_session,
            reauthenticate,
            notes,
            note,
            cacheable,
            fail_after_log_in,
        ));
}

#[get("/public")]
#[with_session]
async fn public(user: Option<User<Account>>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.name.clone())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.name.clone()
}

#[get("/page")]
#[require_user(redirect = "/login")]
async fn page(user: User<Account>) -> impl Responder {
    web::Html::new(format!(
        "<!doctype html><title>page</title><h1>{}</h1>\
         <form method=post action=/logout><button id=logout>Log out</button></form>",
        user.name
    ))
}

#[get("/login")]
#[with_session]
async fn login_page(next: SafeRedirect, user: Option<User<Account>>) -> impl Responder {
    let who = user.map_or_else(|| "nobody".to_owned(), |user| user.name.clone());
    web::Html::new(format!(
        "<!doctype html><title>login</title><p id=who>{who}</p>\
         <form method=post action=/login><input name=user>\
         <input type=hidden name=next value=\"{}\"><button id=login>Log in</button></form>",
        next.as_str().replace('&', "&amp;")
    ))
}

#[derive(Deserialize)]
struct LogIn {
    user: i64,
    next: Option<SafeRedirect>,
}

#[post("/login")]
#[with_session]
async fn login(form: web::Form<LogIn>, locals: Locals) -> Result<HttpResponse, Error> {
    let LogIn { user, next } = form.into_inner();
    locals.log_in(&Account { id: user, name: String::new() }).await?;
    let next = next.unwrap_or_default().or("/page");
    Ok(HttpResponse::SeeOther().insert_header(("Location", next.as_str())).finish())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

#[post("/logout-everywhere")]
#[require_user]
async fn logout_everywhere(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_everywhere().await?.to_string())
}

#[post("/logout-others")]
#[require_user]
async fn logout_others(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_other_sessions().await?.to_string())
}

#[get("/sessions")]
#[require_user]
async fn sessions(locals: Locals) -> Result<impl Responder, Error> {
    Ok(web::Json(locals.sessions().await?))
}

#[delete("/sessions/{id}")]
#[require_user]
async fn end_session(id: web::Path<SessionId>, locals: Locals) -> Result<HttpResponse, Error> {
    let ended = locals.end_session(*id).await?;
    Ok(if ended { HttpResponse::NoContent() } else { HttpResponse::NotFound() }.finish())
}

#[post("/reauthenticate")]
#[require_user]
async fn reauthenticate(locals: Locals) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    Ok("again")
}

#[get("/notes")]
#[require_user]
async fn notes(session: Session) -> impl Responder {
    web::Json(session.data::<Notes>())
}

#[post("/notes/{note}")]
#[require_user]
async fn note(note: web::Path<u64>, locals: Locals) -> Result<&'static str, Error> {
    locals.update_session(|kept: &mut Notes| kept.notes.push(*note)).await?;
    Ok("noted")
}

#[get("/cacheable")]
#[with_session]
async fn cacheable(user: Option<User<Account>>) -> impl Responder {
    let body = user.map_or_else(|| "nobody".to_owned(), |user| user.name.clone());
    HttpResponse::Ok().insert_header(("Cache-Control", "public, max-age=60")).body(body)
}

#[post("/fail-after-log-in")]
#[with_session]
async fn fail_after_log_in(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_in(&Account { id: 1, name: String::new() }).await?;
    Ok(HttpResponse::InternalServerError().finish())
}
