//! A database for one test.

use std::{env, thread};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A database, dropped together with this value.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Creates one. Without a server the test fails and says what to do.
    pub async fn new() -> Self {
        let server = env::var("LOCALS_TEST_POSTGRES_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let name = format!("locals_test_{}", uuid::Uuid::new_v4().simple());
        if let Err(error) = run(&server, format!("CREATE DATABASE {name}")).await {
            panic!(
                "no PostgreSQL server at {server} ({error}): start one, for example with `docker compose \
                 up postgres`, or set another in LOCALS_TEST_POSTGRES_URL"
            );
        }
        Self { server, name }
    }

    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("an address with a database");
        format!("{server}/{}", self.name)
    }

    /// Runs this SQL outside of the app.
    pub async fn run(&self, sql: &str) {
        run(&self.url(), sql.to_owned()).await.unwrap();
    }
}

async fn run(url: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) =
            (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // The runtime of the test may already be shutting down.
        let dropped = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async { run(&server, sql).await })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("could not drop the database {}", self.name);
        }
    }
}
