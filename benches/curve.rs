//! Whether a look-up takes longer where there are more sessions.
//!
//! ```text
//! cargo bench --bench curve
//! cargo bench --features postgres --bench curve
//! ```
//!
//! Databases with 1,000, 10,000, 100,000 and 1,000,000 sessions of 10,000 users stand side by
//! side, and a session is looked up with its user in each in turn, for many rounds. Up to 10,000
//! sessions of each take turns, in random order. A line shows the median time of a look-up in
//! each, and how much longer it takes in the last than in the first.

use std::{error::Error, hint::black_box, time::Instant};

use locals::{
    SessionId,
    store::{SessionUserStore, SqlStore},
};
use sqlx::{ColumnIndex, Database, Decode, Executor, IntoArguments, Sqlite, Type};

mod support;

use support::{
    Account,
    database::{Engine, Filled},
    is_cargo_bench, micros, quantile,
};

const SIZES: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const ROUNDS: usize = 200;
const LOOKUPS: u16 = 200;

async fn curve<E: Engine>() -> Result<(), Box<dyn Error>>
where
    SqlStore<E, Account>: SessionUserStore<Account>,
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'r> Vec<u8>: Decode<'r, E> + Type<E>,
    usize: ColumnIndex<<E as Database>::Row>,
{
    let mut databases = Vec::new();
    for sessions in SIZES {
        let filled = Filled::<E>::new(sessions).await?;
        let sql = "SELECT id FROM user_sessions ORDER BY random() LIMIT 10000";
        let ids = sqlx::query_scalar(sql).fetch_all(&filled.pool).await?;
        let ids =
            ids.into_iter().map(|id: Vec<u8>| Ok(SessionId::from_bytes(id.as_slice().try_into()?)));
        let ids = ids.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        databases.push((filled, ids.into_iter().cycle()));
    }
    let mut times = SIZES.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for ((filled, ids), times) in databases.iter_mut().zip(&mut times) {
            let started = Instant::now();
            for id in ids.take(LOOKUPS.into()) {
                assert!(black_box(filled.store.find_with_user(id).await?).is_some());
            }
            // The first rounds warm up.
            if round >= ROUNDS / 10 {
                times.push(micros(started.elapsed()) / f64::from(LOOKUPS));
            }
        }
    }
    let medians = times.map(|mut times| quantile(&mut times, 50));
    print!("{:<34}", E::NAME);
    for median in medians {
        print!(" {median:>10.2}");
    }
    println!(" {:>7.2}", medians[3] / medians[0]);
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if !is_cargo_bench() {
        return Ok(());
    }
    print!("{:<34}", "µs for a look-up, among sessions");
    for size in SIZES {
        print!(" {size:>10}");
    }
    println!(" {:>7}", "ratio");
    curve::<Sqlite>().await?;
    #[cfg(feature = "postgres")]
    curve::<sqlx::Postgres>().await?;
    Ok(())
}
