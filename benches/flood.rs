//! How long one visitor waits while others send random tokens and disconnect, thousands of times a second.
//!
//! ```text
//! cargo bench --features postgres --bench flood
//! ```
//!
//! The server is looked for at `LOCALS_TEST_POSTGRES_URL`, or else on this machine; the database
//! is made, and goes at the end. It is filled as that of the benchmark `postgres`.
//!
//! Two apps ask it, on loopback, each with two workers and a pool of its own: one under
//! `#[require_user]`, and one by hand with one prepared query of `sqlx`. The pools are opened alike,
//! so that only the handlers differ. A visitor with a session asks again and again on one
//! connection, for a few seconds each time and in turns, alone and under a flood: two clients that
//! send random tokens of the right form, and reset the connection without waiting for the answer.
//!
//! The flood sends 1,700 requests a second, or as many as `LOCALS_BENCH_FLOOD_RATE` says. Without a limit it
//! would take all of a small machine, and hardly anybody would be answered, by either app. There is a
//! verdict only where both floods were alike and the visitor had enough answers.
//!
//! An answer other than 200 counts as failed, and its time like any other. The flood is also
//! counted in the app, to show that its requests get there: what is reset sooner would cost nothing.
//! Then the server's statistics say how many backends it has started for these connections. They
//! should be none: a request that goes away must not take a connection with it.

use std::{
    error::Error,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroU32,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{self, RecvError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Route,
    dev::Service,
    rt::{Runtime, System, time::sleep},
    web::{self, get},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use locals::{Auth, store::SqlStore};
use sqlx::{PgPool, Postgres};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

mod support;

use support::{
    Account, BODY, answer,
    database::{Filled, SESSIONS, USERS},
    is_cargo_bench, micros, quantile, with_user,
};

const ROUNDS: usize = 2;
/// How long a visitor asks at a time.
const PHASE: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(1);
/// After each time, for what is left of the flood, and for the server to count.
const PAUSE: Duration = Duration::from_secs(1);
const WORKERS: usize = 2;
const FLOODERS: usize = 2;
/// Requests a second of all of them.
const RATE: NonZeroU32 = NonZeroU32::new(1_700).unwrap();
/// The ratio of the medians under the flood that should not be passed.
const TARGET: f64 = 2.0;
/// How many answers of either app say something.
const MIN_RESPONSES: usize = 1_000;
/// By how much the rates of the two floods may differ.
const MAX_FLOOD_RATIO: f64 = 1.5;

const QUERY: &str = "SELECT s.secret_hash, s.user_id, s.active_expires_at, s.idle_expires_at, \
                     s.absolute_expires_at, u.* FROM user_sessions AS s \
                     JOIN accounts AS u ON u.id = s.user_id WHERE s.id = $1";

/// How many requests the apps have been handed.
static ARRIVED: AtomicU32 = AtomicU32::new(0);

async fn by_hand(request: HttpRequest, pool: web::Data<PgPool>) -> HttpResponse {
    answer(&request, async |id| sqlx::query_as(QUERY).bind(id).fetch_optional(&**pool).await).await
}

/// Serves a handler on a free port, with a pool of its own.
fn serve(url: String, route: fn() -> Route) -> Result<SocketAddr, RecvError> {
    let (sender, address) = mpsc::channel();
    // It ends with the process. The pool is opened here, since it is this thread that then waits for
    // the answers of the server.
    thread::spawn(move || {
        if let Err(error) = System::new().block_on(run(url, route, sender)) {
            eprintln!("not served: {error}");
        }
    });
    address.recv()
}

async fn run(
    url: String,
    route: fn() -> Route,
    sender: Sender<SocketAddr>,
) -> Result<(), Box<dyn Error>> {
    let store = SqlStore::<Postgres, Account>::postgres(&url).await?;
    let pool = store.pool().clone();
    let auth = Auth::<Account>::builder(store).build()?;
    // Both apps are alike but for the handler.
    let app = move || {
        App::new()
            .configure(auth.configure())
            .app_data(web::Data::new(pool.clone()))
            .wrap_fn(|request, app| {
                ARRIVED.fetch_add(1, Ordering::Relaxed);
                app.call(request)
            })
            .route("/me", route())
    };
    // On a listener of the standard library 128 connections may wait, and the flood stops for a second
    // when the queue is full.
    let server = HttpServer::new(app).workers(WORKERS).disable_signals().bind(("127.0.0.1", 0))?;
    for address in server.addrs() {
        sender.send(address)?;
    }
    drop(sender);
    Ok(server.run().await?)
}

fn request(cookie: &str) -> String {
    format!("GET /me HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n")
}

/// Sends random tokens and disconnects immediately, again and again; returns how often.
async fn flood(address: SocketAddr, pace: Duration, end: Instant) -> io::Result<u32> {
    let started = Instant::now();
    let mut sent = 0;
    while Instant::now() < end {
        // Even no time at all would be slept for a millisecond.
        if let Some(ahead) = (pace * sent).checked_sub(started.elapsed())
            && !ahead.is_zero()
        {
            sleep(ahead).await;
        }
        let random = [(); 3].map(|()| Uuid::new_v4().into_bytes()).concat();
        let request = request(&format!("__Host-session={}", URL_SAFE_NO_PAD.encode(random)));
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        // Its end is a reset.
        stream.set_zero_linger()?;
        stream.write_all(request.as_bytes()).await?;
        sent += 1;
    }
    Ok(sent)
}

/// What was seen of one app, alone or under the flood.
#[derive(Default)]
struct Seen {
    /// Of each request of the visitor, in microseconds.
    times: Vec<f64>,
    failed: usize,
    /// How many requests the flood has sent, and how many of them the app was handed.
    flood: u32,
    arrived: u32,
    backends: i64,
    lasted: Duration,
}

impl Seen {
    /// The visitor asks once.
    fn ask(&mut self, mut stream: &TcpStream, request: &str) -> io::Result<()> {
        let mut buffer = [0; 4_096];
        let started = Instant::now();
        stream.write_all(request.as_bytes())?;
        let read = stream.read(&mut buffer)?;
        self.times.push(micros(started.elapsed()));
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let answer = &buffer[..read];
        let is_right = answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(BODY.as_bytes());
        self.failed += usize::from(!is_right);
        Ok(())
    }

    /// The visitor asks for so long, beside so many clients of the flood, each with such a pace.
    fn ask_beside(
        &mut self,
        flooders: usize,
        address: SocketAddr,
        cookie: &str,
        (length, pace): (Duration, Duration),
    ) -> io::Result<()> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let request = request(cookie);
        // The flood begins when the app answers.
        self.ask(&stream, &request)?;
        let started = Instant::now();
        let end = started + length;
        thread::scope(|scope| {
            let flooders: Vec<_> = (0..flooders)
                .map(|_| scope.spawn(move || Runtime::new()?.block_on(flood(address, pace, end))))
                .collect();
            let mut asked = Ok(());
            while asked.is_ok() && Instant::now() < end {
                asked = self.ask(&stream, &request);
            }
            for flooder in flooders {
                let sent = flooder.join().map_err(|_| io::Error::other("a client panicked"))?;
                self.flood += sent?;
            }
            asked
        })?;
        self.lasted += started.elapsed();
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.failed += other.failed;
        self.flood += other.flood;
        self.arrived += other.arrived;
        self.backends += other.backends;
        self.lasted += other.lasted;
    }

    fn median(&mut self) -> f64 {
        quantile(&mut self.times, 50)
    }

    /// How many requests the flood has sent in a second.
    fn rate(&self) -> f64 {
        f64::from(self.flood) / self.lasted.as_secs_f64()
    }

    fn print(&mut self, name: &str, beside: &str) {
        println!(
            "{name:<16} {beside:<6} {:>9.1} {:>9.1}   {:>6} of {:<7} {:>9.0} {:>9.0}   {:>8}",
            self.median(),
            quantile(&mut self.times, 99),
            self.failed,
            self.times.len(),
            self.rate(),
            f64::from(self.arrived) / self.lasted.as_secs_f64(),
            self.backends,
        );
    }
}

/// One app, and what was seen of it: alone, and under the flood.
struct Side {
    name: &'static str,
    address: SocketAddr,
    seen: [Seen; 2],
}

impl Side {
    fn new(name: &'static str, url: String, route: fn() -> Route) -> Result<Self, RecvError> {
        Ok(Self { name, address: serve(url, route)?, seen: Default::default() })
    }

    /// Asks once, alone or under the flood, and adds to what was seen.
    async fn phase(
        &mut self,
        is_flooded: bool,
        cookie: &str,
        times: (Duration, Duration),
        pool: &PgPool,
    ) -> Result<(), Box<dyn Error>> {
        let mut seen = Seen::default();
        let flooders = if is_flooded { FLOODERS } else { 0 };
        let (arrived, backends) = (ARRIVED.load(Ordering::Relaxed), backends(pool).await?);
        seen.ask_beside(flooders, self.address, cookie, times)?;
        sleep(PAUSE).await;
        seen.backends = self::backends(pool).await? - backends;
        let own = u32::try_from(seen.times.len())?;
        seen.arrived = ARRIVED.load(Ordering::Relaxed) - arrived - own;
        seen.print(self.name, if is_flooded { "flood" } else { "alone" });
        self.seen[usize::from(is_flooded)].add(seen);
        Ok(())
    }
}

/// How many backends the server has started for this database, ever.
async fn backends(pool: &PgPool) -> sqlx::Result<i64> {
    let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar(sql).fetch_one(pool).await
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if !is_cargo_bench() {
        return Ok(());
    }
    let rate = match std::env::var("LOCALS_BENCH_FLOOD_RATE") {
        Ok(rate) => rate.parse()?,
        Err(_) => RATE,
    };
    // Of each of them.
    let pace = Duration::from_secs(u64::try_from(FLOODERS)?) / rate.get();
    let started = Instant::now();
    let Filled { pool, cookies, place, .. } = Filled::<Postgres>::new(SESSIONS).await?;
    let cookie = cookies.first().ok_or("no session")?.to_str()?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
    println!(
        "PostgreSQL {version}: {USERS} users, {SESSIONS} sessions, filled in {:.1} s\n",
        started.elapsed().as_secs_f64()
    );

    println!(
        "{:<23} {:>9} {:>9}   {:>17} {:>9} {:>9}   {:>8}",
        "µs for a request", "p50", "p99", "failed", "flood/s", "arrived/s", "backends"
    );
    let mut sides = [
        Side::new("#[require_user]", place.url(), || get().to(with_user))?,
        Side::new("by hand", place.url(), || get().to(by_hand))?,
    ];
    // All connections are open after these first lines, which do not count.
    for side in &mut sides {
        side.phase(true, cookie, (WARM_UP, pace), &pool).await?;
        side.seen = Default::default();
    }
    for round in 0..ROUNDS {
        let in_turn = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for is_flooded in [false, true] {
            for index in in_turn {
                sides[index].phase(is_flooded, cookie, (PHASE, pace), &pool).await?;
            }
        }
    }

    println!("\ntogether");
    for side in &mut sides {
        let [alone, flooded] = &mut side.seen;
        alone.print(side.name, "alone");
        flooded.print(side.name, "flood");
    }
    let [[_, user], [_, hand]] = sides.each_mut().map(|side| &mut side.seen);
    let (ratio, floods) = (user.median() / hand.median(), user.rate() / hand.rate());
    let answers = user.times.len().min(hand.times.len());
    let verdict = if answers < MIN_RESPONSES {
        format!("but of {answers} answers this says nothing")
    } else if !(1.0 / MAX_FLOOD_RATIO..=MAX_FLOOD_RATIO).contains(&floods) {
        format!("but the floods were not alike, {floods:.2} to 1")
    } else {
        format!("target {TARGET:.2} {}", if ratio <= TARGET { "OK" } else { "over" })
    };
    println!("\nratio of the medians under the flood: {ratio:.2}, {verdict}");
    println!("\nfinished in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
