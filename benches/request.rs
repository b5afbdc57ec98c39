//! What a request costs with `locals`, beside the same request without it.
//!
//! ```text
//! cargo bench
//! ```
//!
//! Each line of the output compares two handlers that answer the same small body:
//!
//! - one that needs a user, under `#[require_user]`, with one that does the same by hand: it
//!   reads the cookie, hashes the secret, runs one query of its own with `sqlx`, compares,
//!   checks the expiries and sets the same headers;
//! - one that anyone may call, under `#[with_session]`, with one that has no attribute; once
//!   without a cookie, once with a malformed one.
//!
//! The database is an SQLite file with 10,000 users and 100,000 sessions, of which 1,000 take
//! turns. Both handlers of a line share one pool and get equal requests, through a whole Actix
//! service in this process. There is no network, and neither parsing a request nor writing a
//! response is measured: what is left of a handler without attribute is a fraction of a
//! microsecond, and a served request takes many times that.
//!
//! The two are run in turns, in many short batches, and each round gives one ratio, so that
//! whatever else the machine does meets both. A line shows the median time of a request on
//! either side, what lies between them, the median ratio, and the ratios between which eight of
//! ten rounds lie. Times differ from machine to machine; ratios do less. Behind the ratio stands
//! the target, and whether it is kept. A line without a target explains another: what `= ?`
//! costs in place of `= +?`, and what the two headers alone cost that keep a response with a
//! session out of shared caches.
//!
//! Queries are counted afterwards, in a run of their own, as `sqlx` logs them.

use std::{
    cell::Cell,
    error::Error,
    future::ready,
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Route,
    dev::{Service, ServiceResponse},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, COOKIE, HeaderValue, ToStrError, VARY},
    },
    rt::{System, time::sleep},
    test::{TestRequest, call_and_read_body, call_service, init_service},
    web::{self, get},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, try_join_all},
};
use locals::{Auth, AuthUser, Session, User, require_user, store::SqlStore, with_session};
use sha2::{Digest, Sha256};
use sqlx::{FromRow, SqlitePool};
use subtle::ConstantTimeEq;
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

const USERS: i64 = 10_000;
const SESSIONS: i64 = 100_000;
/// How many sessions take turns.
const COOKIES: i64 = 1_000;

/// How many requests are made at a time, before the clock runs.
const CHUNK: u32 = 50;
const WARM_UP: Duration = Duration::from_millis(300);
const COUNTED: u32 = 200;

const BODY: &str = "Hello";

#[derive(FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    email: String,
    name: String,
}

#[require_user]
async fn with_user(session: Session, user: User<Account>) -> &'static str {
    black_box((session.id(), user.id, &user.email, &user.name));
    BODY
}

#[with_session]
async fn with_optional_user(user: Option<User<Account>>) -> &'static str {
    black_box(user.is_some());
    BODY
}

async fn plain() -> &'static str {
    BODY
}

/// Without attribute, but with the headers that the attribute sets.
async fn with_headers() -> HttpResponse {
    private(BODY)
}

fn private(body: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok().body(body);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Cookie"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// A session and its user, as the handlers by hand read them.
#[derive(FromRow)]
struct Found {
    secret_hash: Vec<u8>,
    user_id: i64,
    active_expires_at: i64,
    idle_expires_at: i64,
    absolute_expires_at: i64,
    #[sqlx(flatten)]
    user: Account,
}

macro_rules! query {
    ($key:literal) => {
        concat!(
            "SELECT s.secret_hash, s.user_id, s.active_expires_at, s.idle_expires_at, \
             s.absolute_expires_at, u.* FROM user_sessions AS s \
             JOIN accounts AS u ON u.id = s.user_id WHERE s.id = ",
            $key
        )
    };
}

async fn by_hand(request: HttpRequest, pool: web::Data<SqlitePool>) -> HttpResponse {
    answer(&request, &pool, query!("+?")).await
}

/// With the key as one writes it first. SQLite then prepares the query at every request, once
/// the database has been analysed.
async fn by_hand_naively(request: HttpRequest, pool: web::Data<SqlitePool>) -> HttpResponse {
    answer(&request, &pool, query!("?")).await
}

async fn answer(request: &HttpRequest, pool: &SqlitePool, query: &'static str) -> HttpResponse {
    match find(request, pool, query).await {
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
    pool: &SqlitePool,
    query: &'static str,
) -> sqlx::Result<Option<Found>> {
    let Some((id, secret_hash)) = presented(request) else {
        return Ok(None);
    };
    let found: Option<Found> =
        sqlx::query_as(query).bind(id.as_slice()).fetch_optional(pool).await?;
    let now = now();
    Ok(found.filter(|found| {
        bool::from(found.secret_hash.ct_eq(&secret_hash))
            // A session past its active period would be renewed; here there is none.
            && now < found.active_expires_at
            && now < found.idle_expires_at
            && now < found.absolute_expires_at
    }))
}

/// The id and the hash of the secret, of the session cookie.
fn presented(request: &HttpRequest) -> Option<([u8; 16], [u8; 32])> {
    let header = request.headers().get(COOKIE)?.to_str().ok()?;
    let token = header.split(';').find_map(|pair| pair.trim().strip_prefix("__Host-session="))?;
    let mut bytes = [0; 48];
    if token.len() != 64 || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) != Ok(48) {
        return None;
    }
    let (id, secret) = bytes.split_at(16);
    Some((id.try_into().ok()?, Sha256::digest(secret).into()))
}

/// UTC, in milliseconds.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Fills the database; gives the cookies of the sessions that take turns.
async fn fill(pool: &SqlitePool, auth: &Auth<Account>) -> Result<Vec<HeaderValue>, Box<dyn Error>> {
    const NUMBERS: &str =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT ?)";
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO accounts {NUMBERS} SELECT n, 'user' || n || '@example.com', 'User ' || n FROM n"
    )))
    .bind(USERS)
    .execute(pool)
    .await?;
    let mut cookies = Vec::new();
    for number in 0..COOKIES {
        let id = number * (USERS / COOKIES) + 1;
        let user = Account { id, email: String::new(), name: String::new() };
        let session = auth.create_session(&user).await?;
        let cookie = format!("theme=dark; __Host-session={}", session.token().expose_secret());
        cookies.push(HeaderValue::try_from(cookie)?);
    }
    // The others differ from these in their keys alone.
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO user_sessions {NUMBERS} \
         SELECT randomblob(16), randomblob(32), n % ? + 1, created_at, authenticated_at, \
         active_expires_at, idle_expires_at, absolute_expires_at, user_agent, address \
         FROM n, (SELECT * FROM user_sessions LIMIT 1)"
    )))
    .bind(SESSIONS - COOKIES)
    .bind(USERS)
    .execute(pool)
    .await?;
    sqlx::query("ANALYZE").execute(pool).await?;
    // No connection is opened any more while something is measured.
    let size = pool.options().get_max_connections();
    drop(try_join_all((0..size).map(|_| pool.acquire())).await?);
    Ok(cookies)
}

/// One handler in an app of its own, and its requests.
struct Side {
    name: &'static str,
    /// Sends so many requests, checks that all are answered, and says how long that took.
    send: Box<dyn Fn(u32) -> LocalBoxFuture<'static, Duration>>,
}

impl Side {
    /// `cookies` take turns; without any, the requests have none.
    async fn new(
        name: &'static str,
        route: Route,
        cookies: &[HeaderValue],
        (auth, pool): (&Auth<Account>, &SqlitePool),
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
    fn served(
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
    async fn time(&self, requests: u32) -> f64 {
        (self.send)(requests).await.as_secs_f64() * 1e6 / f64::from(requests)
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
struct Plan {
    rounds: u32,
    /// How long one side runs in one round, in microseconds.
    batch: f64,
    /// The ratio that should not be passed.
    target: Option<f64>,
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
async fn compare(side: &Side, other: &Side, plan: &Plan) {
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

fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

/// Counts the queries that `sqlx` logs.
struct QueryCounter;

static QUERIES: AtomicU32 = AtomicU32::new(0);

impl Subscriber for QueryCounter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        QUERIES.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Prints how many queries a request costs.
async fn count(side: &Side) {
    let before = QUERIES.load(Ordering::Relaxed);
    side.time(COUNTED).await;
    // The thread of the database may log the last one after its answer.
    sleep(Duration::from_millis(50)).await;
    let queries = QUERIES.load(Ordering::Relaxed) - before;
    println!("{:<34} {:>7}", side.name, f64::from(queries) / f64::from(COUNTED));
}

fn heading(how: &str) {
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

/// Serves all handlers on a free port, by one worker.
fn serve(auth: &Auth<Account>, pool: &SqlitePool) -> std::io::Result<SocketAddr> {
    let (auth, pool) = (auth.clone(), pool.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let app = move || {
        App::new()
            .configure(auth.configure())
            .app_data(web::Data::new(pool.clone()))
            .route("/user", get().to(with_user))
            .route("/hand", get().to(by_hand))
            .route("/open", get().to(with_optional_user))
            .route("/bare", get().to(plain))
    };
    // It ends with the process.
    thread::spawn(move || {
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?;
        System::new().block_on(server.run())
    });
    Ok(address)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let started = Instant::now();
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("app.db");
    let store = SqlStore::sqlite(path.to_str().ok_or("a path that is not text")?).await?;
    let pool = store.pool().clone();
    sqlx::query(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL)",
    )
    .execute(&pool)
    .await?;
    store.migrate().await?;
    let auth = Auth::<Account>::builder(store).build()?;
    let cookies = fill(&pool, &auth).await?;
    println!(
        "{USERS} users, {SESSIONS} sessions, filled in {:.1} s\n",
        started.elapsed().as_secs_f64()
    );

    let app = (&auth, &pool);
    let malformed = HeaderValue::try_from(format!("theme=dark; __Host-session={:A<63}!", ""))?;
    let (none, malformed) = (&[][..], &[malformed][..]);
    let user = Side::new("#[require_user]", get().to(with_user), &cookies, app).await;
    let hand = Side::new("by hand", get().to(by_hand), &cookies, app).await;
    let naive = Side::new("by hand, with `= ?`", get().to(by_hand_naively), &cookies, app).await;
    let anyone = || get().to(with_optional_user);
    let absent = Side::new("#[with_session], no cookie", anyone(), none, app).await;
    let junk = Side::new("#[with_session], malformed cookie", anyone(), malformed, app).await;
    let bare = Side::new("no attribute", get().to(plain), none, app).await;
    let bare_junk = Side::new("no attribute, same cookie", get().to(plain), malformed, app).await;
    let headers = Side::new("no attribute, same headers", get().to(with_headers), none, app).await;

    let query = Plan { rounds: 1_000, batch: 5_000.0, target: Some(1.05) };
    let no_query = Plan { rounds: 400, batch: 2_000.0, target: Some(1.1) };
    let explained = Plan { target: None, ..no_query };

    let address = serve(&auth, &pool)?;
    let served = |name, path, cookies| Side::served(name, path, cookies, address);
    heading("served");
    let side = served(user.name, "/user", &*cookies)?;
    compare(&side, &served(hand.name, "/hand", &cookies)?, &query).await;
    let side = served(absent.name, "/open", none)?;
    compare(&side, &served(bare.name, "/bare", none)?, &no_query).await;
    let side = served(junk.name, "/open", malformed)?;
    compare(&side, &served(bare_junk.name, "/bare", malformed)?, &no_query).await;

    println!();
    heading("in process");
    compare(&user, &hand, &query).await;
    compare(&absent, &bare, &explained).await;
    compare(&junk, &bare_junk, &explained).await;
    compare(&headers, &bare, &explained).await;
    compare(&absent, &headers, &explained).await;
    compare(&naive, &hand, &Plan { rounds: 200, target: None, ..query }).await;

    tracing::subscriber::set_global_default(QueryCounter)?;
    println!("\nqueries for a request");
    for side in [&user, &hand, &absent, &junk] {
        count(side).await;
    }
    println!("\nfinished in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
