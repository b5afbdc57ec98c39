//! What a request costs with `locals` on PostgreSQL, beside the same request by hand.
//!
//! ```text
//! cargo bench --features postgres --bench postgres
//! ```
//!
//! The server is looked for at `LOCALS_TEST_POSTGRES_URL`, or else on this machine; the database
//! is made, and goes at the end. It holds 10,000 users and 100,000 sessions, of which 1,000 take
//! turns. Handlers are compared as the benchmark `request` compares them, in this process: under
//! `#[require_user]`, and by hand with one prepared query of `sqlx`, on one pool.
//!
//! Then the server's own statistics say what a request costs it: how many transactions it has
//! committed, and a query outside a transaction is one, and how often it has looked into either
//! primary key. What the reading of these numbers adds to them is taken off.

use std::{error::Error, time::Instant};

use actix_web::{HttpRequest, HttpResponse, web, web::get};
use futures_util::future::try_join_all;
use sqlx::{PgPool, Postgres};

mod support;

use support::{
    Plan, Side, answer, compare,
    database::{Filled, SESSIONS, USERS},
    heading, is_cargo_bench, with_user,
};

const COUNTED: u32 = 1_000;

const QUERY: &str = "SELECT s.secret_hash, s.user_id, s.active_expires_at, s.idle_expires_at, \
                     s.absolute_expires_at, u.* FROM user_sessions AS s \
                     JOIN accounts AS u ON u.id = s.user_id WHERE s.id = $1";

async fn by_hand(request: HttpRequest, pool: web::Data<PgPool>) -> HttpResponse {
    answer(&request, async |id| sqlx::query_as(QUERY).bind(id).fetch_optional(&**pool).await).await
}

/// What the server has counted in this database: transactions, and look-ups in the primary keys
/// of sessions and of users.
async fn counted(pool: &PgPool) -> sqlx::Result<[i64; 3]> {
    // Each connection counts for itself, and adds to the whole when it is told to, if its
    // statement has read a table.
    let size = pool.options().get_max_connections();
    let mut connections = try_join_all((0..size).map(|_| pool.acquire())).await?;
    for connection in &mut connections {
        let flush = sqlx::query("SELECT pg_stat_force_next_flush() FROM accounts LIMIT 1");
        flush.execute(&mut **connection).await?;
    }
    let (transactions, sessions, users) = sqlx::query_as(
        "SELECT pg_stat_get_db_xact_commit(oid), \
         pg_stat_get_numscans('user_sessions_pkey'::regclass), \
         pg_stat_get_numscans('accounts_pkey'::regclass) \
         FROM pg_database WHERE datname = current_database()",
    )
    .fetch_one(&mut *connections[0])
    .await?;
    Ok([transactions, sessions, users])
}

/// What the server counts while a side answers so many requests.
async fn costs(side: &Side, requests: u32, pool: &PgPool) -> sqlx::Result<[i64; 3]> {
    let before = counted(pool).await?;
    (side.send)(requests).await;
    let after = counted(pool).await?;
    Ok(std::array::from_fn(|index| after[index] - before[index]))
}

/// Prints how many of each a request costs.
async fn count(side: &Side, pool: &PgPool) -> sqlx::Result<()> {
    let reading = costs(side, 0, pool).await?;
    let costs = costs(side, COUNTED, pool).await?;
    print!("{:<34}", side.name);
    for (cost, reading) in costs.into_iter().zip(reading) {
        let cost = i32::try_from(cost - reading).unwrap_or(i32::MAX);
        print!(" {:>21.2}", f64::from(cost) / f64::from(COUNTED));
    }
    println!();
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if !is_cargo_bench() {
        return Ok(());
    }
    let started = Instant::now();
    let filled = Filled::<Postgres>::new(SESSIONS).await?;
    let Filled { pool, auth, cookies, .. } = &filled;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(pool).await?;
    println!(
        "PostgreSQL {version}: {USERS} users, {SESSIONS} sessions, filled in {:.1} s\n",
        started.elapsed().as_secs_f64()
    );

    let app = (auth, pool);
    let user = Side::new("#[require_user]", get().to(with_user), cookies, app).await;
    let hand = Side::new("by hand", get().to(by_hand), cookies, app).await;
    heading("in process");
    compare(&user, &hand, &Plan { rounds: 1_000, batch: 10_000.0, target: Some(1.05) }).await;

    println!(
        "\n{:<34} {:>21} {:>21} {:>21}",
        "the server's count for a request", "transactions", "look-ups of a session", "of a user"
    );
    for side in [&user, &hand] {
        count(side, pool).await?;
    }
    println!("\nfinished in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
