//! The app behind the socket.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, Responder, get,
    http::Method,
    post,
    web::{self, Data, ServiceConfig},
};
use locals::{Error, Locals, Session, User, require_user, with_session};
use tokio::sync::Notify;

use crate::{
    routes,
    support::{Account, Gate},
};

#[require_user]
async fn me(user: User<Account>) -> String {
    user.name.clone()
}

/// Answers every method, and says which one it saw.
#[require_user]
async fn any(method: Method, user: User<Account>) -> String {
    format!("{method} {}", user.name)
}

/// As `any`, and for anybody.
#[with_session]
async fn public(method: Method, user: Option<User<Account>>) -> String {
    format!("{method} {}", user.as_ref().map_or("nobody", |user| &user.name))
}

#[post("/stream")]
#[with_session]
async fn stream(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_in(&Account::of(1)).await?;
    let chunks = ["one", "two"].map(|chunk| Ok::<_, Error>(web::Bytes::from(chunk)));
    Ok(HttpResponse::Ok().streaming(futures_util::stream::iter(chunks)))
}

#[post("/upload")]
#[require_user]
async fn upload(_session: Session, body: web::Bytes) -> String {
    body.len().to_string()
}

/// Reads a body, and only then signs the session out.
#[post("/upload-and-leave")]
#[require_user]
async fn upload_and_leave(body: web::Bytes, locals: Locals) -> Result<String, Error> {
    locals.log_out().await?;
    Ok(body.len().to_string())
}

#[get("/ws")]
#[require_user]
async fn websocket(
    request: HttpRequest,
    body: web::Payload,
    _session: Session,
) -> actix_web::Result<impl Responder> {
    let (response, connection, _messages) = actix_ws::handle(&request, body)?;
    connection.close(None).await.ok();
    Ok(response)
}

/// Where the slow login stands, for the test that looks on.
#[derive(Default)]
pub struct Watched {
    pub before: Gate,
    pub after: Gate,
    /// The handler is no more: at its end, or dropped.
    pub gone: Notify,
    pub ended: Notify,
}

/// Says that it is gone, however it goes.
struct Presence(Arc<Watched>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.gone.notify_one();
    }
}

#[post("/slow-login")]
#[with_session]
async fn slow_login(watched: Data<Watched>, locals: Locals) -> Result<&'static str, Error> {
    let watched = watched.into_inner();
    let _presence = Presence(Arc::clone(&watched));
    watched.before.pass().await;
    locals.log_in(&Account::of(1)).await?;
    watched.after.pass().await;
    watched.ended.notify_one();
    Ok("in")
}

/// All handlers.
pub fn handlers(config: &mut ServiceConfig) {
    config
        .service((stream, upload, upload_and_leave, websocket, slow_login))
        .service((routes::login, routes::logout))
        .route("/me", web::get().to(me))
        .route("/me", web::head().to(me))
        .service(web::resource("/any").to(any))
        .service(web::resource("/public").to(public));
}
