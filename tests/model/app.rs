//! The app: one handler for each thing that a user can do.

use std::time::Duration;

use actix_web::{HttpResponse, Responder, delete, get, post, web};
use locals::{
    AuthUser, Error, Lifetime, Locals, LogInOptions, Session, SessionId, SessionInfo, User,
    require_user, with_session,
};
use serde::{Deserialize, Serialize};

use crate::command::Stay;

#[derive(Debug, Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts", session = Notes)]
pub struct Account {
    pub id: i64,
    pub is_enabled: bool,
}

impl Account {
    fn is_enabled(&self) -> bool {
        self.is_enabled
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Notes {
    numbers: Vec<u32>,
}

/// Its ends come about often: the absolute one after two renewals, the second of which is cut short.
pub fn lifetime() -> Lifetime {
    let [active, idle, max] = [1, 3, 6].map(Duration::from_hours);
    Lifetime::default().active(active).idle(idle).max(max)
}

fn short_lifetime() -> Lifetime {
    let [active, idle] = [10, 20].map(Duration::from_mins);
    Lifetime::default().active(active).idle(idle).max(Duration::from_hours(1))
}

pub fn handlers(config: &mut web::ServiceConfig) {
    config.service((me, home, seen, recent, sessions, end, write_down)).service((
        log_in,
        log_out,
        log_out_others,
        log_out_everywhere,
        reauthenticate,
    ));
}

#[get("/me")]
#[require_user(check = Account::is_enabled)]
async fn me(user: User<Account>, session: Session) -> String {
    format!("{} {:?}", user.id, session.data::<Notes>().numbers)
}

#[get("/home")]
#[with_session]
async fn home(user: Option<User<Account>>) -> String {
    user.map_or("nobody".to_owned(), |user| user.id.to_string())
}

#[get("/seen")]
#[with_session]
async fn seen(session: Option<Session>) -> String {
    session.map_or("nobody".to_owned(), |session| session.user_id().to_string())
}

#[get("/recent")]
#[require_user(recent = "10m")]
async fn recent() -> &'static str {
    "recent"
}

#[get("/sessions")]
#[with_session]
async fn sessions(locals: Locals) -> Result<web::Json<Vec<SessionInfo>>, Error> {
    Ok(web::Json(locals.sessions().await?))
}

#[delete("/sessions/{id}")]
#[require_user]
async fn end(id: web::Path<SessionId>, locals: Locals) -> Result<impl Responder, Error> {
    let found = locals.end_session(*id).await?;
    Ok(if found { HttpResponse::NoContent() } else { HttpResponse::NotFound() })
}

#[post("/write/{number}")]
#[require_user]
async fn write_down(number: web::Path<u32>, locals: Locals) -> Result<String, Error> {
    let add = |notes: &mut Notes| {
        notes.numbers.push(*number);
        format!("{:?}", notes.numbers)
    };
    locals.update_session(add).await
}

/// What the app makes of the password stands in the path.
#[post("/login/{id}/{password_is_right}/{stay}")]
#[with_session]
async fn log_in(path: web::Path<(i64, bool, Stay)>, locals: Locals) -> Result<&'static str, Error> {
    let (id, password_is_right, stay) = path.into_inner();
    if !password_is_right {
        return Err(Error::Unauthenticated);
    }
    let options = match stay {
        Stay::Remembered => LogInOptions::new(),
        Stay::UntilTheBrowserCloses => LogInOptions::new().remember(false),
        Stay::Shortly => LogInOptions::new().lifetime(short_lifetime()),
    };
    locals.log_in_with(&Account { id, is_enabled: true }, options).await?;
    Ok("in")
}

#[post("/logout")]
#[with_session]
async fn log_out(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

#[post("/logout-others")]
#[with_session]
async fn log_out_others(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_other_sessions().await?.to_string())
}

#[post("/logout-everywhere")]
#[with_session]
async fn log_out_everywhere(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_everywhere().await?.to_string())
}

#[post("/reauthenticate")]
#[require_user]
async fn reauthenticate(locals: Locals) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    Ok("proved")
}
