//! Databases full of users and sessions.

use std::error::Error;

use actix_web::http::header::HeaderValue;
use futures_util::future::try_join_all;
use locals::{
    Auth,
    store::{Dialect, SqlStore},
};
use sqlx::{AssertSqlSafe, Pool, Sqlite};

use super::Account;

#[cfg(any(feature = "postgres", feature = "mysql"))]
#[path = "../../tests/store/servers.rs"]
pub mod servers;

pub const USERS: i64 = 10_000;
pub const SESSIONS: i64 = 100_000;
/// How many sessions take turns.
pub const COOKIES: i64 = 1_000;

/// A kind of database that is measured.
pub trait Engine: Dialect {
    /// The type of an integer key.
    const ID: &'static str;
    /// Sixteen random bytes.
    const RANDOM: &'static str;
    /// What is run once a database is full, so that nothing of that is done later.
    const SETTLE: &'static [&'static str];
    /// Holds the database, which goes with it.
    type Place;

    /// An empty database.
    async fn open() -> Result<(Self::Place, SqlStore<Self, Account>), Box<dyn Error>>;

    async fn run(pool: &Pool<Self>, sql: &str) -> sqlx::Result<()>;
}

impl Engine for Sqlite {
    type Place = tempfile::TempDir;

    const ID: &'static str = "INTEGER";
    const RANDOM: &'static str = "randomblob(16)";
    const SETTLE: &'static [&'static str] = &["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"];

    async fn open() -> Result<(Self::Place, SqlStore<Self, Account>), Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("app.db");
        let store = SqlStore::sqlite(path.to_str().ok_or("a path that is not text")?).await?;
        Ok((directory, store))
    }

    async fn run(pool: &Pool<Self>, sql: &str) -> sqlx::Result<()> {
        // Keys come in no order: with the usual cache, filling would take minutes.
        let sql = format!("PRAGMA cache_size = -400000; {sql}; PRAGMA cache_size = -2000");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(drop)
    }
}

#[cfg(feature = "postgres")]
impl Engine for sqlx::Postgres {
    type Place = servers::TestDatabase<Self>;

    const ID: &'static str = "BIGINT";
    const RANDOM: &'static str = "uuid_send(gen_random_uuid())";
    const SETTLE: &'static [&'static str] = &["VACUUM ANALYZE", "CHECKPOINT"];

    async fn open() -> Result<(Self::Place, SqlStore<Self, Account>), Box<dyn Error>> {
        let database = servers::TestDatabase::new().await;
        let store = SqlStore::postgres(&database.url()).await?;
        Ok((database, store))
    }

    async fn run(pool: &Pool<Self>, sql: &str) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.map(drop)
    }
}

/// A database with [`USERS`] users and many sessions.
pub struct Filled<E: Engine> {
    pub pool: Pool<E>,
    pub store: SqlStore<E, Account>,
    pub auth: Auth<Account>,
    /// The cookies of the sessions that take turns.
    pub cookies: Vec<HeaderValue>,
    pub place: E::Place,
}

impl<E: Engine> Filled<E>
where
    SqlStore<E, Account>: locals::store::SessionUserStore<Account>,
{
    pub async fn new(sessions: i64) -> Result<Self, Box<dyn Error>> {
        let (place, store) = E::open().await?;
        let pool = store.pool().clone();
        let accounts = "CREATE TABLE accounts \
                        (id BIGINT PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL)";
        E::run(&pool, &accounts.replace("BIGINT", E::ID)).await?;
        store.migrate().await?;
        let auth = Auth::<Account>::builder(store.clone()).build()?;
        let mut filled = Self { pool, store, auth, cookies: Vec::new(), place };
        filled.fill(sessions).await?;
        Ok(filled)
    }

    async fn fill(&mut self, sessions: i64) -> Result<(), Box<dyn Error>> {
        let numbers = numbers(USERS);
        self.run(&format!(
            "INSERT INTO accounts {numbers} \
             SELECT n, 'user' || n || '@example.com', 'User ' || n FROM n"
        ))
        .await?;
        for number in 0..COOKIES {
            let id = number * (USERS / COOKIES) + 1;
            let user = Account { id, email: String::new(), name: String::new() };
            let session = self.auth.create_session(&user).await?;
            let cookie = format!("theme=dark; __Host-session={}", session.token().expose_secret());
            self.cookies.push(HeaderValue::try_from(cookie)?);
        }
        // The others differ from these in their keys alone.
        if sessions > COOKIES {
            self.add(sessions - COOKIES, "idle_expires_at").await?;
        }
        self.settle().await
    }

    /// Adds so many sessions, whose idle period ends by this expression; `n` counts them.
    pub async fn add(&self, sessions: i64, idle_expires_at: &str) -> Result<(), Box<dyn Error>> {
        let (numbers, random) = (numbers(sessions), E::RANDOM);
        self.run(&format!(
            "INSERT INTO user_sessions (id, secret_hash, user_id, created_at, authenticated_at, \
             renewed_at, active_expires_at, idle_expires_at, absolute_expires_at, user_agent, \
             address) {numbers} \
             SELECT {random}, {random} || {random}, n % {USERS} + 1, created_at, \
             authenticated_at, renewed_at, active_expires_at, {idle_expires_at}, \
             absolute_expires_at, user_agent, address \
             FROM n, (SELECT * FROM user_sessions LIMIT 1) AS one"
        ))
        .await
    }

    /// Does now what the database would do later, and opens all connections.
    pub async fn settle(&self) -> Result<(), Box<dyn Error>> {
        for sql in E::SETTLE {
            self.run(sql).await?;
        }
        let size = self.pool.options().get_max_connections();
        drop(try_join_all((0..size).map(|_| self.pool.acquire())).await?);
        Ok(())
    }

    pub async fn run(&self, sql: &str) -> Result<(), Box<dyn Error>> {
        Ok(E::run(&self.pool, sql).await?)
    }
}

/// The table `n`, of so many numbers.
fn numbers(count: i64) -> String {
    format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})")
}
