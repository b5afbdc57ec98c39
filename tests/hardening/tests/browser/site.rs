//! The app on several host names and two ports, with pages that attack it, and a log of what
//! Chromium has sent.
//!
//! Chromium trusts `http://localhost` and all names below it as it trusts HTTPS, so the cookie is the
//! default one, `__Host-session`. `localhost` is a public suffix: `app.localhost` is a site, which
//! `sub.app.localhost` is of, and `evil.localhost` is not.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer, Responder,
    body::MessageBody,
    dev::{ServerHandle, ServiceRequest, ServiceResponse},
    get,
    http::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE},
    middleware::{Next, from_fn},
    post, web,
};
use hardening::app::{Account, open, routes};
use locals::{Auth, Locals, LogInOptions, User, require_user, with_session};
use programs::PATIENCE;
use tempfile::TempDir;
use tokio::{sync::Notify, time::timeout};

pub const APP: &str = "app.localhost";
/// Of the same site, and not trusted.
pub const SIBLING: &str = "sub.app.localhost";
/// Of the same site, and trusted.
pub const TRUSTED: &str = "trusted.app.localhost";
pub const EVIL: &str = "evil.localhost";

/// A request, and what became of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// With the query.
    pub path: String,
    pub sec_fetch_site: Option<String>,
    pub cookies: String,
    pub status: u16,
}

impl Seen {
    pub fn has_session(&self) -> bool {
        self.cookies.split("; ").any(|cookie| cookie.starts_with("__Host-session="))
    }
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    grown: Notify,
}

/// The app, until it is dropped.
pub struct Site {
    pub auth: Auth<Account>,
    log: Arc<Log>,
    port: u16,
    other_port: u16,
    server: ServerHandle,
    _database: TempDir,
}

impl Site {
    pub async fn start() -> Self {
        let database = TempDir::new().unwrap();
        let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [port, other_port] =
            listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let url = database.path().join("app.db").display().to_string();
        let auth = open(&url).await.unwrap().trusted_origin(format!("http://{TRUSTED}:{port}"));
        let auth = auth.build().unwrap();
        let log = Arc::<Log>::default();
        let (known, kept) = (auth.clone(), web::Data::from(Arc::clone(&log)));
        let mut server = HttpServer::new(move || {
            App::new()
                .app_data(kept.clone())
                .configure(known.configure())
                .configure(routes)
                .service((blank, toss, login_briefly, private, live))
                .wrap(from_fn(record))
        })
        .workers(1)
        .disable_signals();
        for listener in listeners {
            server = server.listen(listener).unwrap();
        }
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { auth, log, port, other_port, server: handle, _database: database }
    }

    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// The same host at another port, which is another origin of the same site.
    pub fn url_of_other_port(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.other_port)
    }

    /// The request for a path that is asked for once, when it has been answered.
    pub async fn seen(&self, path: &str) -> Seen {
        let answered = async {
            loop {
                let grown = self.log.grown.notified();
                let found = self.all_seen().into_iter().find(|seen| seen.path == path);
                match found {
                    Some(seen) => return seen,
                    None => grown.await,
                }
            }
        };
        timeout(PATIENCE, answered)
            .await
            .unwrap_or_else(|_| panic!("{path} was never asked for: {:#?}", self.all_seen()))
    }

    pub fn all_seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn record(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let text = |name: HeaderName| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let log = request.app_data::<web::Data<Log>>().unwrap().clone();
    let mut seen = Seen {
        path: request.uri().to_string(),
        sec_fetch_site: text(HeaderName::from_static("sec-fetch-site")),
        cookies: text(COOKIE).unwrap_or_default(),
        status: 0,
    };
    let response = next.call(request).await?;
    seen.status = response.status().as_u16();
    log.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    log.grown.notify_waiters();
    Ok(response)
}

/// Where an attacker's scripts run, and the app's own.
#[get("/blank")]
async fn blank() -> impl Responder {
    web::Html::new("<!doctype html><title>blank</title><p>blank")
}

/// Sets whatever cookie it is told to.
#[get("/toss")]
async fn toss(request: HttpRequest) -> HttpResponse {
    let line = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).unwrap();
    let line = HeaderValue::from_bytes(line[0].1.as_bytes()).unwrap();
    HttpResponse::Ok().insert_header((SET_COOKIE, line)).body("tossed")
}

#[post("/login-briefly")]
#[with_session]
async fn login_briefly(locals: Locals) -> Result<&'static str, locals::Error> {
    let account = Account { id: 1, name: String::new() };
    locals.log_in_with(&account, LogInOptions::new().remember(false)).await?;
    Ok("in")
}

/// With the script of the guide's page about logins.
#[get("/private")]
#[require_user(redirect = "/login")]
async fn private(user: User<Account>) -> impl Responder {
    web::Html::new(format!(
        "<!doctype html><title>private</title><h1>{}</h1>\
         <form method=post action=/logout><button id=logout>Log out</button></form>\
         <script>addEventListener(\"pageshow\", \
         event => {{ if (event.persisted) location.reload() }})</script>",
        user.name
    ))
}

#[get("/live")]
#[require_user]
async fn live(
    user: User<Account>,
    request: HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let (response, mut socket, _messages) = actix_ws::handle(&request, body)?;
    socket.text(user.name.clone()).await.map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(response)
}
