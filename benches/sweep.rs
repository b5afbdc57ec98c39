//! What the sweeper costs the requests that are answered meanwhile.
//!
//! ```text
//! cargo bench --bench sweep
//! cargo bench --features postgres --bench sweep
//! ```
//!
//! A database holds 10,000 users, 10,000 open sessions and 1,000,000 that have ended. Logged-in
//! requests go one after the other through a whole Actix service in this process: some before
//! the sweeper is started; then for a second while it works and for a second while it does not,
//! in turns, so that whatever else the machine does meets both; and some afterwards. That ends
//! when the last ended session is gone, or when the sweeper has worked for half a minute. It runs
//! on the same thread and the same pool as the requests.
//!
//! A line shows how long a request takes, in microseconds, at some percentiles. Below stand how
//! many times the 99th percentile of the quiet times that of the sweep is, and the target.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use actix_web::{rt::time::sleep, web::get};
use locals::store::{SessionStore, SessionUserStore, SqlStore};
use sqlx::{ColumnIndex, Database, Decode, Executor, IntoArguments, Sqlite, Type};

mod support;

use support::{
    Account, Side,
    database::{Engine, Filled, USERS},
    is_cargo_bench, now, with_user,
};

const OPEN: i64 = 10_000;
const ENDED: i64 = 1_000_000;
/// How many requests are timed before and after.
const BASELINE_REQUESTS: usize = 20_000;
/// How many requests lie between two looks for the end.
const CHECK_INTERVAL: usize = 200;
/// How long the sweeper works, and does not, in turns.
const WINDOW: Duration = Duration::from_secs(1);
/// How long the sweeper works in all, at most.
const MAX_SWEEP_TIME: Duration = Duration::from_secs(30);
const TARGET: f64 = 2.0;

async fn sweep<E: Engine>() -> Result<(), Box<dyn Error>>
where
    SqlStore<E, Account>: SessionUserStore<Account>,
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'r> i64: Decode<'r, E> + Type<E>,
    usize: ColumnIndex<<E as Database>::Row>,
{
    let started = Instant::now();
    let filled = Filled::<E>::new(OPEN).await?;
    let start = now() - ENDED - 10_000;
    filled.add(ENDED, &format!("{start} + n")).await?;
    // The last one to go.
    let user = Account { id: USERS, email: String::new(), name: String::new() };
    let last = filled.auth.create_session(&user).await?;
    let ended = start + ENDED + 1;
    filled
        .run(&format!(
            "UPDATE user_sessions SET idle_expires_at = {ended} \
             WHERE user_id = {USERS} AND created_at = {}",
            last.created_at().as_millis()
        ))
        .await?;
    filled.settle().await?;
    let side =
        Side::new(E::NAME, get().to(with_user), &filled.cookies, (&filled.auth, &filled.pool))
            .await;
    println!(
        "{}: {OPEN} open sessions, {ENDED} ended, filled in {:.0} s",
        E::NAME,
        started.elapsed().as_secs_f64()
    );
    println!("{:<20} {:>8} {:>8} {:>8} {:>8} {:>9}", "", "p50", "p90", "p99", "p99.9", "requests");

    times(&side, CHECK_INTERVAL).await;
    let before = print("before", times(&side, BASELINE_REQUESTS).await);
    let (mut during, mut between, mut swept) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut is_done = false;
    while !is_done && swept < MAX_SWEEP_TIME {
        let started = Instant::now();
        let sweeper = filled.auth.spawn_sweeper(Duration::from_hours(1))?;
        while !is_done && started.elapsed() < WINDOW {
            during.extend(times(&side, CHECK_INTERVAL).await);
            is_done = filled.store.find(last.id()).await?.is_none();
        }
        drop(sweeper);
        swept += started.elapsed();
        // The statement that was under way may still be.
        sleep(WINDOW / 4).await;
        let started = Instant::now();
        while started.elapsed() < WINDOW {
            between.extend(times(&side, CHECK_INTERVAL).await);
        }
    }
    let during = print("during the sweep", during);
    let between = print("between", between);
    print("after", times(&side, BASELINE_REQUESTS).await);
    for (name, quiet) in [("between", between), ("before", before)] {
        let ratio = during / quiet;
        let verdict = if ratio <= TARGET { "OK" } else { "over" };
        println!("p99 during the sweep is {ratio:.2} times that {name}; {TARGET:.2} {verdict}");
    }
    let left: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM user_sessions").fetch_one(&filled.pool).await?;
    println!("{} rows swept in {:.0} s\n", OPEN + ENDED + 1 - left, swept.as_secs_f64());
    Ok(())
}

/// The time of each of so many requests, in microseconds.
async fn times(side: &Side, requests: usize) -> Vec<f64> {
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        times.push(side.time(1).await);
    }
    times
}

/// Prints a line; gives the 99th percentile.
fn print(name: &str, mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = |per_mille| times[times.len() * per_mille / 1_000];
    println!(
        "{name:<20} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>9}",
        at(500),
        at(900),
        at(990),
        at(999),
        times.len()
    );
    at(990)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if !is_cargo_bench() {
        return Ok(());
    }
    sweep::<Sqlite>().await?;
    #[cfg(feature = "postgres")]
    sweep::<sqlx::Postgres>().await?;
    Ok(())
}
