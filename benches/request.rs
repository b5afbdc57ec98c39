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
    error::Error,
    hint::black_box,
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::header::HeaderValue,
    rt::{System, time::sleep},
    web::{self, get},
};
use locals::{Auth, User, with_session};
use sqlx::{Sqlite, SqlitePool};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

mod support;

use support::{
    Account, BODY, Plan, Side, answer, compare,
    database::{Filled, SESSIONS, USERS},
    heading, is_cargo_bench, private, with_user,
};

const COUNTED: u32 = 200;

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
    answer(&request, async |id| sqlx::query_as(query!("+?")).bind(id).fetch_optional(&**pool).await)
        .await
}

/// With the key as one writes it first. SQLite then prepares the query at every request, once
/// the database has been analysed.
async fn by_hand_naively(request: HttpRequest, pool: web::Data<SqlitePool>) -> HttpResponse {
    answer(&request, async |id| sqlx::query_as(query!("?")).bind(id).fetch_optional(&**pool).await)
        .await
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
    if !is_cargo_bench() {
        return Ok(());
    }
    let started = Instant::now();
    let Filled { pool, auth, cookies, .. } = Filled::<Sqlite>::new(SESSIONS).await?;
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
