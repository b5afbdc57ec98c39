//! Databases of real servers: each test makes its own and removes it.

use std::{env, future::Future, thread};

use sqlx::{AssertSqlSafe, Connection, Database, Executor, IntoArguments};

/// A database of its own on a server, removed with this value.
pub struct TestDatabase<D: Server> {
    server: String,
    name: String,
    kind: std::marker::PhantomData<D>,
}

/// A kind of server that tests find at an address.
pub trait Server: Database {
    /// The environment variable that names the address.
    const VARIABLE: &'static str;
    /// Where it is looked for without the variable.
    const DEFAULT: &'static str;
    /// How one is started.
    const HINT: &'static str;

    /// Runs a statement on a connection of its own.
    fn run(url: &str, sql: String) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Removes a database, although connections of the test are still in it.
    fn remove(url: &str, name: &str) -> impl Future<Output = sqlx::Result<()>> + Send;
}

macro_rules! server {
    (
        $database:ty, $connection:ty, $variable:literal, $default:literal, $hint:literal,
        |$url:ident, $name:ident| $remove:expr
    ) => {
        impl Server for $database {
            const DEFAULT: &'static str = $default;
            const HINT: &'static str = $hint;
            const VARIABLE: &'static str = $variable;

            async fn run(url: &str, sql: String) -> sqlx::Result<()> {
                run::<$connection>(url, sql).await
            }

            async fn remove($url: &str, $name: &str) -> sqlx::Result<()> {
                $remove
            }
        }
    };
}

#[cfg(feature = "postgres")]
server!(
    sqlx::Postgres,
    sqlx::PgConnection,
    "LOCALS_TEST_POSTGRES_URL",
    "postgres://postgres@127.0.0.1:5432/postgres",
    "docker compose up postgres",
    |url, name| Self::run(url, format!("DROP DATABASE {name} WITH (FORCE)")).await
);

#[cfg(feature = "mysql")]
server!(
    sqlx::MySql,
    sqlx::MySqlConnection,
    "LOCALS_TEST_MYSQL_URL",
    "mysql://root@127.0.0.1:3306/mysql",
    "docker compose up mysql",
    |url, name| {
        // A connection in the middle of a transaction would be waited for.
        let mut connection = sqlx::MySqlConnection::connect(url).await?;
        let sql = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ?";
        let open: Vec<i64> = sqlx::query_scalar(sql).bind(name).fetch_all(&mut connection).await?;
        for id in open {
            // It may have ended by now.
            let _ = Self::run(url, format!("KILL {id}")).await;
        }
        Self::run(url, format!("DROP DATABASE {name}")).await
    }
);

async fn run<C>(url: &str, sql: String) -> sqlx::Result<()>
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    <C::Database as Database>::Arguments: IntoArguments<C::Database>,
{
    let mut connection = C::connect(url).await?;
    (&mut connection).execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    connection.close().await
}

impl<D: Server> TestDatabase<D> {
    /// Makes a database.
    ///
    /// # Panics
    /// If the server cannot be reached: these tests need it, and say how to start it.
    pub async fn new() -> Self {
        let server = env::var(D::VARIABLE).unwrap_or_else(|_| D::DEFAULT.to_owned());
        let name = format!("locals_test_{}", uuid::Uuid::new_v4().simple());
        if let Err(error) = D::run(&server, format!("CREATE DATABASE {name}")).await {
            panic!(
                "no {} server at {server} ({error}): start one, as by `{}`, or name another in {}",
                D::NAME,
                D::HINT,
                D::VARIABLE
            );
        }
        Self { server, name, kind: std::marker::PhantomData }
    }

    /// The address of the database.
    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("an address with a database");
        format!("{server}/{}", self.name)
    }
}

impl<D: Server> Drop for TestDatabase<D> {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // The runtime of the test may be on its way out.
        let dropped = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async { D::remove(&server, &name).await })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("the database {} is left on the server", self.name);
        }
    }
}
