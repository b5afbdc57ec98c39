//! What the benchmarks share: their users, the handlers they compare, and the clock.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::{
    cell::Cell,
    error::Error,
    future::ready,
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    rc::Rc,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    App, HttpRequest, HttpResponse, Route,
    dev::{Service, ServiceResponse},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, COOKIE, HeaderValue, ToStrError, VARY},
    },
    test::{TestRequest, call_and_read_body, call_service, init_service},
    web,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{FutureExt, future::LocalBoxFuture};
use locals::{Auth, AuthUser, Session, User, require_user};
use sha2::{Digest, Sha256};
use sqlx::{Database, FromRow, Pool};
use subtle::ConstantTimeEq;

pub mod database;

pub const BODY: &str = "Hello";

/// How many requests are made at a time, before the clock runs.
const CHUNK: u32 = 50;
const WARM_UP: Duration = Duration::from_millis(300);

#[derive(FromRow, AuthUser)]
#[auth_user(table = "accounts")]
pub struct Account {
    pub id: i64,
    pub email: String,
    pub name: String,
}

#[require_user]
pub async fn with_user(session: Session, user: User<Account>) -> &'static str {
    black_box((session.id(), user.id, &user.email, &user.name));
    BODY
}

pub fn private(body: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok().body(body);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Cookie"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// A session and its user, as the hand-written handlers read them.
#[derive(FromRow)]
pub struct Found {
    secret_hash: Vec<u8>,
    user_id: i64,
    active_expires_at: i64,
    idle_expires_at: i64,
    absolute_expires_at: i64,
    #[sqlx(flatten)]
    user: Account,
}

/// Responds as `#[require_user]` does, without the library: `look_up` runs the query.
pub async fn answer(
    request: &HttpRequest,
    look_up: impl AsyncFnOnce(&[u8]) -> sqlx::Result<Option<Found>>,
) -> HttpResponse {
    match find(request, look_up).await {
        Ok(Some(found)) => {
            black_box((found.user_id, found.user.id, &found.user.email, &found.user.name));
            private(BODY)
        }
        Ok(None) => HttpResponse::Unauthorized().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn find(
    request: &HttpRequest,
    look_up: impl AsyncFnOnce(&[u8]) -> sqlx::Result<Option<Found>>,
) -> sqlx::Result<Option<Found>> {
    let Some((id, secret_hash)) = presented(request) else {
        return Ok(None);
    };
    let found = look_up(&id).await?;
    let now = now();
    Ok(found.filter(|found| {
        bool::from(found.secret_hash.ct_eq(&secret_hash))
            // A session past its active period would be renewed; here there is none.
            && now < found.active_expires_at
            && now < found.idle_expires_at
            && now < found.absolute_expires_at
    }))
}

/// What the hashes that are stored begin with.
static TABLE_DIGEST: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest("accounts").into());

/// The id and the hash of the secret, of the session cookie.
fn presented(request: &HttpRequest) -> Option<([u8; 16], [u8; 32])> {
    let header = request.headers().get(COOKIE)?.to_str().ok()?;
    let token = header.split(';').find_map(|pair| pair.trim().strip_prefix("__Host-session="))?;
    let mut bytes = [0; 48];
    if token.len() != 64 || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) != Ok(48) {
        return None;
    }
    let (id, secret) = bytes.split_at(16);
    let hash = Sha256::new().chain_update(*TABLE_DIGEST).chain_update(secret).finalize();
    Some((id.try_into().ok()?, hash.into()))
}

/// Whether this is `cargo bench`. `cargo test --benches` runs the benchmarks too, and has no use for
/// their figures.
pub fn is_cargo_bench() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// UTC, in milliseconds.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// One handler in an app of its own, and its requests.
pub struct Side {
    pub name: &'static str,
    /// Sends so many requests, checks that all are answered, and says how long that took.
    pub send: Box<dyn Fn(u32) -> LocalBoxFuture<'static, Duration>>,
}

impl Side {
    /// `cookies` take turns; without any, the requests have none.
    pub async fn new<D: Database>(
        name: &'static str,
        route: Route,
        cookies: &[HeaderValue],
        (auth, pool): (&Auth<Account>, &Pool<D>),
    ) -> Self {
        // All apps are alike but for the handler, and all handlers have the same path.
        let app = App::new()
            .configure(auth.configure())
            .app_data(web::Data::new(pool.clone()))
            .route("/", route);
        let service = Rc::new(init_service(app).await);
        let requests = Rc::new(Requests { cookies: cookies.to_vec(), next: Cell::new(0) });
        let body = call_and_read_body(&*service, requests.next().to_request()).await;
        assert_eq!(body, BODY, "{name}");
        let send = move |count: u32| {
            let (service, requests) = (Rc::clone(&service), Rc::clone(&requests));
            async move {
                let mut took = Duration::ZERO;
                let mut left = count;
                while left > 0 {
                    let chunk = left.min(CHUNK);
                    let chunk_requests = (0..chunk).map(|_| requests.next().to_request());
                    took += send(&*service, chunk_requests.collect()).await;
                    left -= chunk;
                }
                took
            }
            .boxed_local()
        };
        Self { name, send: Box::new(send) }
    }

    /// The handler with this path, served on loopback.
    pub fn served(
        name: &'static str,
        path: &str,
        cookies: &[HeaderValue],
        address: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let cookie = |cookie: &HeaderValue| Ok(format!("Cookie: {}\r\n", cookie.to_str()?));
        let mut cookies = cookies.iter().map(cookie).collect::<Result<Vec<_>, ToStrError>>()?;
        if cookies.is_empty() {
            cookies.push(String::new());
        }
        let request = |cookie| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n");
        let requests: Vec<_> = cookies.into_iter().map(request).collect();
        let next = Cell::new(0);
        let send = move |count: u32| {
            let (mut stream, mut buffer) = (&stream, [0; 4_096]);
            let started = Instant::now();
            for _ in 0..count {
                let request = &requests[next.replace((next.get() + 1) % requests.len())];
                // This thread has nothing else to do than to wait for the answer.
                let answered = stream
                    .write_all(request.as_bytes())
                    .and_then(|()| stream.read(&mut buffer))
                    .is_ok_and(|read| buffer[..read].ends_with(BODY.as_bytes()));
                assert!(answered, "{name}");
            }
            ready(started.elapsed()).boxed_local()
        };
        Ok(Self { name, send: Box::new(send) })
    }

    /// The time of one request, in microseconds.
    pub async fn time(&self, requests: u32) -> f64 {
        micros((self.send)(requests).await) / f64::from(requests)
    }
}

/// How long it takes to answer these requests. Making them is not measured.
async fn send<R>(
    service: &impl Service<R, Response = ServiceResponse, Error = actix_web::Error>,
    requests: Vec<R>,
) -> Duration {
    let started = Instant::now();
    for request in requests {
        let response = black_box(call_service(service, request).await);
        assert_eq!(response.status(), StatusCode::OK);
    }
    started.elapsed()
}

struct Requests {
    cookies: Vec<HeaderValue>,
    next: Cell<usize>,
}

impl Requests {
    fn next(&self) -> TestRequest {
        let next = self.next.get();
        self.next.set(if next + 1 < self.cookies.len() { next + 1 } else { 0 });
        match self.cookies.get(next) {
            Some(cookie) => TestRequest::get().insert_header((COOKIE, cookie.clone())),
            None => TestRequest::get(),
        }
    }
}

/// How two sides are compared.
pub struct Plan {
    pub rounds: u32,
    /// How long one side runs in one round, in microseconds.
    pub batch: f64,
    /// The ratio that should not be passed.
    pub target: Option<f64>,
}

impl Plan {
    /// Warms both sides up; says how many requests are a batch.
    async fn requests(&self, side: &Side, other: &Side) -> u32 {
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < WARM_UP {
            times.push(side.time(CHUNK).await);
            times.push(other.time(CHUNK).await);
        }
        let requests = (self.batch / quantile(&mut times, 50)).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "thousands")]
        let requests = requests as u32;
        requests
    }
}

/// Runs two sides in turns and prints what comes of it.
pub async fn compare(side: &Side, other: &Side, plan: &Plan) {
    let requests = plan.requests(side, other).await;
    let (mut times, mut other_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let (time, other_time) = if round % 2 == 0 {
            let time = side.time(requests).await;
            (time, other.time(requests).await)
        } else {
            let other_time = other.time(requests).await;
            (side.time(requests).await, other_time)
        };
        times.push(time);
        other_times.push(other_time);
        ratios.push(time / other_time);
    }
    let (time, other_time) = (quantile(&mut times, 50), quantile(&mut other_times, 50));
    let ratio = quantile(&mut ratios, 50);
    let target = plan.target.map_or(String::new(), |target| {
        format!("{target:.2} {}", if ratio <= target { "OK" } else { "over" })
    });
    println!(
        "{:<34} {time:>7.2}  {:<27} {other_time:>7.2} {:>+7.2}  {ratio:>5.3}  {:.2} to {:.2}  {target}",
        side.name,
        other.name,
        time - other_time,
        quantile(&mut ratios, 10),
        quantile(&mut ratios, 90),
    );
}

pub fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

pub fn heading(how: &str) {
    println!(
        "{:<34} {:>7}  {:<27} {:>7} {:>7}  {:>5}  {:<12}  target",
        format!("µs for a request, {how}"),
        "",
        "beside",
        "",
        "more",
        "ratio",
        "8 of 10"
    );
}
