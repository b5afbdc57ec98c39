//! Whether statements wait for the network: over TCP, and over a Unix socket beside it.
//!
//! ```text
//! cargo bench --features postgres,mysql --bench tcp
//! ```
//!
//! The servers are those of the tests, at `LOCALS_TEST_POSTGRES_URL` and `LOCALS_TEST_MYSQL_URL` or
//! else on this machine; their sockets are at `LOCALS_BENCH_POSTGRES_SOCKET`, a directory, and
//! `LOCALS_BENCH_MYSQL_SOCKET`, or else where Debian has them. Each database is made, and goes at
//! the end.
//!
//! sqlx 0.9.0 does not set `TCP_NODELAY`. A client that sends a small message, and then another one
//! before the first is acknowledged, waits for that, which a server may put off for 40 ms. So what
//! matters is not only the middle but the slowest of a hundred, and how many took 35 ms or more.
//! 10,000 sessions are created, looked up with their user and ended in each way, a hundred at a time
//! and in turns. A busy machine has a few slow ones in both ways.
//!
//! Then the same with a cache of one statement on MySQL, whose driver says without waiting for an
//! answer that a statement is not used any more, and then sends the next: there each of them stalls.

use std::{env, error::Error, hint::black_box, time::Instant};

use locals::{
    Auth,
    store::{Dialect, SessionUserStore, SqlStore},
};
use sqlx::{MySql, Postgres};

mod support;

use support::{
    Account,
    database::servers::{Server, TestDatabase},
    is_cargo_bench, micros, quantile,
};

const ROUNDS: usize = 100;
const SESSIONS: usize = 100;
/// In microseconds.
const STALL: f64 = 35_000.0;
/// How many sessions are created, looked up and ended where each statement may stall.
const UNCACHED_SESSIONS: usize = 100;

/// One way to a server, and how long each statement took in microseconds.
struct Way<D: Dialect> {
    store: SqlStore<D, Account>,
    auth: Auth<Account>,
    /// Of logins, look-ups and logouts.
    times: [Vec<f64>; 3],
}

impl<D: Dialect> Way<D>
where
    SqlStore<D, Account>: SessionUserStore<Account>,
{
    fn new(store: SqlStore<D, Account>) -> Result<Self, Box<dyn Error>> {
        let auth = Auth::<Account>::builder(store.clone()).build()?;
        Ok(Self { store, auth, times: Default::default() })
    }

    /// Creates so many sessions, looks them up and ends them.
    async fn round(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let user = Account { id: 1, email: String::new(), name: String::new() };
        let [log_ins, look_ups, log_outs] = &mut self.times;
        let mut sessions = Vec::new();
        for _ in 0..count {
            let started = Instant::now();
            sessions.push(self.auth.create_session(&user).await?.id());
            log_ins.push(micros(started.elapsed()));
        }
        for &session in &sessions {
            let started = Instant::now();
            let found = black_box(self.store.find_with_user(session).await?);
            look_ups.push(micros(started.elapsed()));
            assert!(found.is_some());
        }
        for session in sessions {
            let started = Instant::now();
            self.auth.invalidate_session(session).await?;
            log_outs.push(micros(started.elapsed()));
        }
        Ok(())
    }
}

/// Measures both ways to a server, and prints what comes of it.
async fn compare<D: Dialect>(
    tcp: SqlStore<D, Account>,
    socket: SqlStore<D, Account>,
) -> Result<(), Box<dyn Error>>
where
    SqlStore<D, Account>: SessionUserStore<Account>,
{
    tcp.migrate().await?;
    let mut ways = [Way::new(tcp)?, Way::new(socket)?];
    for way in &mut ways {
        way.round(SESSIONS).await?;
        way.times = Default::default();
    }
    for round in 0..ROUNDS {
        let (tcp, socket) = ways.split_at_mut(1);
        let in_turn = if round % 2 == 0 { [tcp, socket] } else { [socket, tcp] };
        for way in in_turn.into_iter().flatten() {
            way.round(SESSIONS).await?;
        }
    }

    let [tcp, socket] = ways.map(|way| way.times);
    print(D::NAME, tcp, socket);
    Ok(())
}

/// Each statement in turn, so that none is in a cache of one.
async fn without_cache(tcp: &str, socket: &str) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for url in [tcp, socket] {
        let url =
            format!("{url}{}statement-cache-capacity=1", if url.contains('?') { '&' } else { '?' });
        let mut way = Way::new(SqlStore::mysql(&url).await?)?;
        for _ in 0..UNCACHED_SESSIONS {
            way.round(1).await?;
        }
        times.push(way.times);
    }
    let [tcp, socket] = times.try_into().map_err(|_| "two ways")?;
    print("no cache", tcp, socket);
    Ok(())
}

/// Prints how long the statements took over TCP and over the socket.
fn print(name: &str, tcp: [Vec<f64>; 3], socket: [Vec<f64>; 3]) {
    println!(
        "\n{name:<12} {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}   {:>9}  {:>6}",
        "p50 TCP", "socket", "ratio", "p99 TCP", "socket", "ratio", "stalls TCP", "socket"
    );
    let names = ["login", "look-up", "logout"].into_iter();
    for (name, ways) in names.zip(tcp.into_iter().zip(socket)) {
        let mut ways = <[_; 2]>::from(ways);
        let [middle, other_middle] = ways.each_mut().map(|times| quantile(times, 50));
        let [slow, other_slow] = ways.each_mut().map(|times| quantile(times, 99));
        let [stalls, other_stalls] =
            ways.map(|times| times.iter().filter(|&&time| time >= STALL).count());
        println!(
            "{name:<12} {middle:>9.1} {other_middle:>9.1} {:>6.2}   {slow:>9.1} {other_slow:>9.1} \
             {:>6.2}   {stalls:>9}  {other_stalls:>6}",
            middle / other_middle,
            slow / other_slow,
        );
    }
}

/// A database with one user, its address, and the same by way of a socket.
async fn database<D: Server>(
    variable: &str,
    default: &str,
    parameter: &str,
) -> Result<(TestDatabase<D>, String, String), Box<dyn Error>> {
    let path = env::var(variable).unwrap_or_else(|_| default.to_owned());
    let database = TestDatabase::<D>::new().await;
    let url = database.url();
    for sql in [
        "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, email VARCHAR(255) NOT NULL, \
         name VARCHAR(255) NOT NULL)",
        "INSERT INTO accounts VALUES (1, 'ada@example.com', 'Ada')",
    ] {
        D::run(&url, sql.to_owned()).await?;
    }
    let socket = format!("{url}?{parameter}={path}");
    Ok((database, url, socket))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if !is_cargo_bench() {
        return Ok(());
    }
    let started = Instant::now();
    println!("{} of each, in µs; a stall is {STALL} µs or more", ROUNDS * SESSIONS);

    let (_database, tcp, socket) =
        database::<Postgres>("LOCALS_BENCH_POSTGRES_SOCKET", "/var/run/postgresql", "host").await?;
    compare(SqlStore::postgres(&tcp).await?, SqlStore::postgres(&socket).await?).await?;

    let (_database, tcp, socket) =
        database::<MySql>("LOCALS_BENCH_MYSQL_SOCKET", "/run/mysqld/mysqld.sock", "socket").await?;
    compare(SqlStore::mysql(&tcp).await?, SqlStore::mysql(&socket).await?).await?;
    without_cache(&tcp, &socket).await?;

    println!("\nfinished in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
