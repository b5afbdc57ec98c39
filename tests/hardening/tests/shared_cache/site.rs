//! The app behind the cache.

use std::net::SocketAddr;

use actix_web::{
    App, Error, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{ServerHandle, ServiceRequest, ServiceResponse},
    get,
    http::header::{CACHE_CONTROL, VARY},
    middleware::{Condition, Next, from_fn},
};
use hardening::app::{Account, open, plain_cookie, routes};
use locals::{Locals, ManualClock, Timestamp, with_session};
use tempfile::TempDir;

/// What becomes of the headers for caches on their way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Headers {
    Kept,
    /// As if the library had forgotten them.
    Stripped,
}

/// The app, until it is dropped.
pub struct Site {
    pub address: SocketAddr,
    pub clock: ManualClock,
    server: ServerHandle,
    _database: TempDir,
}

impl Site {
    pub async fn start(headers: Headers) -> Self {
        let database = TempDir::new().unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let url = database.path().join("app.db").display().to_string();
        let auth = open(&url).await.unwrap().cookie(plain_cookie()).clock(clock.clone());
        let auth = auth.build().unwrap();
        let app = move || {
            App::new()
                .configure(auth.configure())
                .configure(routes)
                .service((picture, enter))
                .wrap(Condition::new(headers == Headers::Stripped, from_fn(strip)))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, clock, server: handle, _database: database }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn strip(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    response.headers_mut().remove(CACHE_CONTROL);
    response.headers_mut().remove(VARY);
    Ok(response)
}

/// What is the same for everybody.
#[get("/picture")]
async fn picture() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=60")).body("a picture")
}

/// A link that logs in, with headers that would have it stored.
#[get("/enter")]
#[with_session]
async fn enter(locals: Locals) -> Result<HttpResponse, locals::Error> {
    locals.log_in(&Account { id: 1, name: String::new() }).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .insert_header(("X-Accel-Expires", "60"))
        .insert_header(("Surrogate-Control", "max-age=60"))
        .finish())
}
