//! A database for one test.

use std::{env, thread};

use sqlx::{AnyConnection, AssertSqlSafe, Connection, any::install_default_drivers};

/// A kind of server.
#[derive(Debug)]
pub struct Server {
    pub variable: &'static str,
    pub default: &'static str,
    pub start: &'static str,
    /// What to append to `DROP DATABASE` so that it works despite open connections.
    pub removal: &'static str,
}

pub const POSTGRES: Server = Server {
    variable: "LOCALS_TEST_POSTGRES_URL",
    default: "postgres://postgres@127.0.0.1:5432/postgres",
    start: "docker compose up postgres",
    removal: " WITH (FORCE)",
};

pub const MYSQL: Server = Server {
    variable: "LOCALS_TEST_MYSQL_URL",
    default: "mysql://root@127.0.0.1:3306/mysql",
    start: "docker compose up mysql",
    removal: "",
};

/// A database on a server, dropped together with this value.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    removal: &'static str,
}

impl Database {
    pub async fn on(server: Server) -> Self {
        let address = env::var(server.variable).unwrap_or_else(|_| server.default.to_owned());
        let name = format!("locals_accounts_{}", std::process::id());
        if let Err(error) = run(&address, format!("CREATE DATABASE {name}")).await {
            let Server { variable, start, .. } = server;
            panic!(
                "no server at {address} ({error}): start one, for example with `{start}`, or set another in \
                 {variable}"
            );
        }
        Self { server: address, name, removal: server.removal }
    }

    pub fn url(&self) -> String {
        let (front, _) = self.server.rsplit_once('/').expect("an address with a database");
        format!("{front}/{}", self.name)
    }
}

async fn run(url: &str, sql: String) -> sqlx::Result<()> {
    install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {}{}", self.name, self.removal);
        let server = self.server.clone();
        // The runtime of the test may already be shutting down.
        let dropped = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async { run(&server, sql).await })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("could not drop the database {}", self.name);
        }
    }
}
