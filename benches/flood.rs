//! What one visitor waits for while others ask for nobody and go away, thousands of times a second.
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
//! An answer other than 200 counts as failed, and its time like any other. The flood is also
//! counted in the app, to show that its requests get there: what is reset sooner would cost nothing.
//! Then the server's statistics say how many backends it has started for these connections. They
//! should be none: a request that goes away must not take a connection with it.

use std::{
    error::Error,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicU32, Ordering},
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
    quantile, with_user,
};

const ROUNDS: usize = 2;
/// How long a visitor asks at a time.
const PHASE: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(1);
/// After each time, for what is left of the flood, and for the server to count.
const PAUSE: Duration = Duration::from_secs(1);
const WORKERS: usize = 2;
const FLOODERS: usize = 2;
/// The ratio of the medians under the flood that should not be passed.
const TARGET: f64 = 2.0;

const QUERY: &str = "SELECT s.secret_hash, s.user_id, s.active_expires_at, s.idle_expires_at, \
                     s.absolute_expires_at, u.* FROM user_sessions AS s \
                     JOIN accounts AS u ON u.id = s.user_id WHERE s.id = $1";

/// How many requests the apps have been handed.
static ARRIVED: AtomicU32 = AtomicU32::new(0);

async fn by_hand(request: HttpRequest, pool: web::Data<PgPool>) -> HttpResponse {
    answer(&request, async |id| sqlx::query_as(QUERY).bind(id).fetch_optional(&**pool).await).await
}

/// Serves a handler on a free port, with a pool of its own.
fn serve(url: String, route: fn() -> Route) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    // It ends with the process. The pool is opened here, since it is this thread that then waits for
    // the answers of the server.
    thread::spawn(move || {
        let served = System::new().block_on(run(url, listener, route));
        if let Err(error) = served {
            eprintln!("not served: {error}");
        }
    });
    Ok(address)
}

async fn run(
    url: String,
    listener: TcpListener,
    route: fn() -> Route,
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
    HttpServer::new(app).workers(WORKERS).disable_signals().listen(listener)?.run().await?;
    Ok(())
}

fn request(cookie: &str) -> String {
    format!("GET /me HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n")
}

/// Sends tokens of nobody and goes away at once, again and again; says how often.
async fn flood(address: SocketAddr, end: Instant) -> io::Result<u32> {
    let mut sent = 0;
    while Instant::now() < end {
        let random = [(); 3].map(|()| Uuid::new_v4().into_bytes()).concat();
        let request = request(&format!("__Host-session={}", URL_SAFE_NO_PAD.encode(random)));
        let t = Instant::now();
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        if t.elapsed() > Duration::from_millis(300) {
            eprintln!("DBG slow connect {:?} after {sent}", t.elapsed());
        }
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
    /// The visitor asks until then.
    fn ask(&mut self, address: SocketAddr, cookie: &str, end: Instant) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (request, mut buffer) = (request(cookie), [0; 4_096]);
        while Instant::now() < end {
            let started = Instant::now();
            stream.write_all(request.as_bytes())?;
            let read = stream.read(&mut buffer)?;
            self.times.push(started.elapsed().as_secs_f64() * 1e6);
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let is_answered = buffer[..read].starts_with(b"HTTP/1.1 200")
                && buffer[..read].ends_with(BODY.as_bytes());
            self.failed += usize::from(!is_answered);
        }
        Ok(())
    }

    /// The same beside so many clients of the flood.
    fn ask_beside(
        &mut self,
        flooders: usize,
        address: SocketAddr,
        cookie: &str,
        length: Duration,
    ) -> io::Result<()> {
        let started = Instant::now();
        let end = started + length;
        thread::scope(|scope| {
            let flooders: Vec<_> = (0..flooders)
                .map(|_| scope.spawn(move || Runtime::new()?.block_on(flood(address, end))))
                .collect();
            let asked = self.ask(address, cookie, end);
            for flooder in flooders {
                let sent = flooder.join().map_err(|_| io::Error::other("a client panicked"))?;
                self.flood += sent?;
            }
            asked
        })?;
        self.lasted += started.elapsed();
        Ok(())
    }

    fn quantiles(&mut self) -> [f64; 2] {
        [50, 99].map(|percent| quantile(&mut self.times, percent))
    }
}

/// One app, and what was seen of it: alone, and under the flood.
struct Side {
    name: &'static str,
    address: SocketAddr,
    seen: [Seen; 2],
}

impl Side {
    fn new(name: &'static str, url: String, route: fn() -> Route) -> io::Result<Self> {
        Ok(Self { name, address: serve(url, route)?, seen: Default::default() })
    }

    /// Asks once, alone or under the flood, and adds to what was seen.
    async fn phase(
        &mut self,
        is_flooded: bool,
        cookie: &str,
        length: Duration,
        pool: &PgPool,
    ) -> Result<(), Box<dyn Error>> {
        let seen = &mut self.seen[usize::from(is_flooded)];
        let flooders = if is_flooded { FLOODERS } else { 0 };
        let (asked, arrived) = (seen.times.len(), ARRIVED.load(Ordering::Relaxed));
        let backends = backends(pool).await?;
        seen.ask_beside(flooders, self.address, cookie, length)?;
        sleep(PAUSE).await;
        seen.backends += self::backends(pool).await? - backends;
        let mut last = seen.times[asked..].to_vec();
        eprintln!(
            "DBG {} flooded={is_flooded} n={} p50={:.0} p99={:.0} max={:.0} flood_total={}",
            self.name,
            last.len(),
            quantile(&mut last, 50),
            quantile(&mut last, 99),
            quantile(&mut last.clone(), 99).max(last[last.len() - 1]),
            seen.flood
        );
        let own = u32::try_from(seen.times.len() - asked)?;
        seen.arrived += ARRIVED.load(Ordering::Relaxed) - arrived - own;
        Ok(())
    }

    fn print(&mut self) {
        let [alone, flooded] = &mut self.seen;
        let [middle, slow] = alone.quantiles();
        let [flooded_middle, flooded_slow] = flooded.quantiles();
        let seconds = flooded.lasted.as_secs_f64();
        println!(
            "{:<22} {middle:>9.1} {slow:>9.1}   {flooded_middle:>9.1} {flooded_slow:>9.1}   {:>6} \
             of {:<7} {:>9.0} {:>9.0}   {:>8}",
            self.name,
            alone.failed + flooded.failed,
            alone.times.len() + flooded.times.len(),
            f64::from(flooded.flood) / seconds,
            f64::from(flooded.arrived) / seconds,
            alone.backends + flooded.backends,
        );
    }
}

/// How many backends the server has started for this database, ever.
async fn backends(pool: &PgPool) -> sqlx::Result<i64> {
    let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar(sql).fetch_one(pool).await
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let started = Instant::now();
    let Filled { pool, cookies, place, .. } = Filled::<Postgres>::new(SESSIONS).await?;
    let cookie = cookies.first().ok_or("no session")?.to_str()?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
    println!(
        "PostgreSQL {version}: {USERS} users, {SESSIONS} sessions, filled in {:.1} s\n",
        started.elapsed().as_secs_f64()
    );

    let mut sides = [
        Side::new("#[require_user]", place.url(), || get().to(with_user))?,
        Side::new("by hand", place.url(), || get().to(by_hand))?,
    ];
    // All connections are open after that.
    for side in &mut sides {
        side.phase(true, cookie, WARM_UP, &pool).await?;
        side.seen = Default::default();
    }
    for round in 0..ROUNDS {
        let in_turn = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for is_flooded in [false, true] {
            for index in in_turn {
                sides[index].phase(is_flooded, cookie, PHASE, &pool).await?;
            }
        }
    }

    println!(
        "{:<22} {:>9} {:>9}   {:>9} {:>9}   {:>17} {:>9} {:>9}   {:>8}",
        "µs for a request",
        "alone p50",
        "p99",
        "flood p50",
        "p99",
        "failed",
        "flood/s",
        "arrived/s",
        "backends"
    );
    for side in &mut sides {
        side.print();
    }
    let [user, hand] = &mut sides;
    let ratio = user.seen[1].quantiles()[0] / hand.seen[1].quantiles()[0];
    println!(
        "\nratio of the medians under the flood: {ratio:.2}, target {TARGET:.2} {}",
        if ratio <= TARGET { "OK" } else { "over" }
    );
    println!("\nfinished in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
