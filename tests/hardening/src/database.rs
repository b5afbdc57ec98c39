//! A database that is made for one run and removed after it, and what is in it at the end.

use std::{collections::BTreeMap, env, error::Error, path::Path, thread};

use locals::SessionId;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, query_as, raw_sql};
use tempfile::TempDir;

use crate::app::Notes;

/// A database.
#[derive(Debug)]
pub enum Database {
    /// A file in a directory of its own.
    Sqlite(TempDir),
    /// A database on a server.
    Postgres {
        /// The address of the server.
        server: String,
        /// The name of the database.
        name: String,
    },
}

/// A row of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its user.
    pub user: i64,
    /// Its notes.
    pub notes: Vec<u64>,
}

/// The server that is used unless another one is named: that of the environment, or the local one.
pub fn default_server() -> String {
    let named = env::var("LOCALS_TEST_POSTGRES_URL");
    named.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
}

impl Database {
    /// A file of SQLite, somewhere in this directory.
    pub fn sqlite(directory: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self::Sqlite(TempDir::new_in(directory)?))
    }

    /// A database on the server of `postgres://user@host:port/database`.
    pub async fn postgres(server: &str) -> Result<Self, Box<dyn Error>> {
        let name = format!("locals_hardening_{:016x}", fastrand::u64(..));
        let created = run(server, format!("CREATE DATABASE {name}")).await;
        created.map_err(|error| {
            format!(
                "no PostgreSQL server at {server} ({error}): start one, as by `docker compose up \
                 postgres`, or name another in LOCALS_TEST_POSTGRES_URL"
            )
        })?;
        Ok(Self::Postgres { server: server.to_owned(), name })
    }

    /// Its address.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => {
                format!("sqlite://{}", directory.path().join("app.db").display())
            }
            Self::Postgres { server, name } => {
                let (front, _) = server.rsplit_once('/').expect("an address with a database");
                format!("{front}/{name}")
            }
        }
    }

    /// The sessions that are in it.
    pub async fn rows(&self) -> Result<BTreeMap<SessionId, Row>, Box<dyn Error>> {
        const ROWS: &str = "SELECT id, user_id, data FROM user_sessions";
        let url = self.url();
        let rows: Vec<(Vec<u8>, i64, Option<String>)> = match self {
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&url).await?;
                query_as(ROWS).fetch_all(&mut connection).await?
            }
            Self::Postgres { .. } => {
                let mut connection = PgConnection::connect(&url).await?;
                query_as(ROWS).fetch_all(&mut connection).await?
            }
        };
        let read = |(id, user, data): (Vec<u8>, i64, Option<String>)| {
            let id = <[u8; 16]>::try_from(id).map_err(|id| format!("{} bytes of id", id.len()))?;
            let notes: Option<Notes> = data.map(|data| serde_json::from_str(&data)).transpose()?;
            let notes = notes.unwrap_or_default().notes;
            Ok((SessionId::from_bytes(id), Row { user, notes }))
        };
        rows.into_iter().map(read).collect()
    }
}

async fn run(url: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Postgres { server, name } = self else { return };
        let (server, sql) = (server.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
        // The runtime of the run may be on its way out.
        let dropped = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async { run(&server, sql).await })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("the database {name} is left on the server");
        }
    }
}
