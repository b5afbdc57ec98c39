//! What becomes of the errors of the app's own queries: real ones, of each database.

use std::time::Duration;

use actix_web::{ResponseError, http::StatusCode};
use locals::{Error, StoreError};
use sqlx::{AssertSqlSafe, ConnectOptions, Database, Executor, IntoArguments, Pool, Sqlite};

use crate::database;

/// The tables that the statements are about.
const TABLES: &str = "CREATE TABLE parents (id INT PRIMARY KEY, name VARCHAR(9) NOT NULL UNIQUE, \
                      age INT CHECK (age > 0)); \
                      CREATE TABLE children (parent INT NOT NULL, \
                      FOREIGN KEY (parent) REFERENCES parents (id)); \
                      INSERT INTO parents VALUES (1, 'ada', 1)";

/// Statements that fail however often they are tried.
const FAULTS: [&str; 8] = [
    "INSERT INTO parents VALUES (1, 'bob', 1)",
    "INSERT INTO parents VALUES (2, 'ada', 1)",
    "INSERT INTO parents VALUES (2, NULL, 1)",
    "INSERT INTO parents VALUES (2, 'bob', -1)",
    "INSERT INTO children VALUES (7)",
    "SELECT FROM WHERE",
    "SELECT * FROM nowhere",
    "SELECT nothing FROM parents",
];

fn is_query(error: sqlx::Error) {
    let text = error.to_string();
    let error = Error::from(error);
    assert!(matches!(error, Error::Query(_)), "{text}: {error:?}");
    let answer = (error.status_code(), error.code());
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, "internal"), "{text}");
    assert!(error.error_response().headers().get("Retry-After").is_none(), "{text}");
}

fn is_outage(error: sqlx::Error) {
    let text = error.to_string();
    let error = Error::from(error);
    assert!(matches!(error, Error::Store(StoreError::Backend(_))), "{text}: {error:?}");
    let answer = (error.status_code(), error.code());
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{text}");
    assert_eq!(error.error_response().headers().get("Retry-After").unwrap(), "1", "{text}");
}

async fn fails<D: Database>(pool: &Pool<D>, sql: &str) -> sqlx::Error
where
    for<'c> &'c Pool<D>: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
{
    match pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await {
        Err(error) => error,
        Ok(_) => panic!("no error: {sql}"),
    }
}

/// What is alike on all databases. The tables are there.
async fn faults_are_no_outages<D: Database>(pool: &Pool<D>)
where
    for<'c> &'c Pool<D>: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    (i32,): for<'r> sqlx::FromRow<'r, D::Row>,
    (String,): for<'r> sqlx::FromRow<'r, D::Row>,
{
    for sql in FAULTS {
        is_query(fails(pool, sql).await);
    }
    let missing = sqlx::query_as::<D, (i32,)>("SELECT id FROM parents WHERE id = 9");
    is_query(missing.fetch_one(pool).await.unwrap_err());
    let of_another_type = sqlx::query_as::<D, (String,)>("SELECT id FROM parents");
    is_query(of_another_type.fetch_one(pool).await.unwrap_err());
    pool.close().await;
    is_outage(fails(pool, "SELECT 1").await);
}

#[actix_web::test]
async fn faults_of_a_query_on_sqlite_are_no_outages() {
    let (_directory, store) = database::<i64>(TABLES).await;
    faults_are_no_outages(store.pool()).await;
}

#[actix_web::test]
async fn an_outage_of_sqlite_is_an_outage_for_queries_of_the_app_too() {
    let (directory, store) = database::<i64>(TABLES).await;
    let options = (*store.pool().connect_options()).clone();
    let mut one = options.connect().await.unwrap();
    let mut other = options.clone().busy_timeout(Duration::ZERO).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut one).await.unwrap();
    let busy = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await;
    is_outage(busy.unwrap_err());

    let mut reading = options.clone().read_only(true).connect().await.unwrap();
    let written = sqlx::query("DELETE FROM parents").execute(&mut reading).await;
    is_outage(written.unwrap_err());

    let nowhere = options.clone().filename(directory.path().join("none/app.db"));
    is_outage(nowhere.connect().await.unwrap_err());

    let file = directory.path().join("no_database");
    std::fs::write(&file, "this is no database at all".repeat(100)).unwrap();
    is_outage(options.filename(file).connect().await.unwrap_err());

    // A connection that is never ready: the pool gives up waiting, however fast the machine is.
    let pool = sqlx::pool::PoolOptions::<Sqlite>::new()
        .acquire_timeout(Duration::from_millis(1))
        .after_connect(|_, _| Box::pin(std::future::pending()))
        .connect_lazy_with((*store.pool().connect_options()).clone());
    is_outage(fails(&pool, "SELECT 1").await);
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::{Connection, PgConnection, PgPool, Postgres};

    use super::*;
    use crate::servers::TestDatabase;

    #[actix_web::test]
    async fn faults_of_a_query_on_postgres_are_no_outages() {
        let database = TestDatabase::<Postgres>::new().await;
        let pool = PgPool::connect(&database.url()).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        for sql in [
            "SELECT 1 / 0",
            "SELECT 'x'::int",
            "INSERT INTO parents VALUES (2, 'a name that is too long', 1)",
            "DO $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        ] {
            is_query(fails(&pool, sql).await);
        }
        faults_are_no_outages(&pool).await;
    }

    #[actix_web::test]
    async fn an_outage_of_postgres_is_an_outage_for_queries_of_the_app_too() {
        let database = TestDatabase::<Postgres>::new().await;
        let pool = PgPool::connect(&database.url()).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        for sql in [
            "SET statement_timeout = 1; SELECT pg_sleep(30)",
            "SELECT pg_terminate_backend(pg_backend_pid())",
            "BEGIN READ ONLY; INSERT INTO parents VALUES (3, 'c', 1)",
        ] {
            let mut connection = PgConnection::connect(&database.url()).await.unwrap();
            let failed = sqlx::raw_sql(sql).execute(&mut connection).await;
            is_outage(failed.unwrap_err());
        }
        // Two transactions, of which one cannot be ordered beside the other.
        let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM children";
        let mut one = PgConnection::connect(&database.url()).await.unwrap();
        let mut other = PgConnection::connect(&database.url()).await.unwrap();
        for connection in [&mut one, &mut other] {
            sqlx::raw_sql(begin).execute(&mut *connection).await.unwrap();
            let write = sqlx::raw_sql("INSERT INTO children VALUES (1)");
            write.execute(&mut *connection).await.unwrap();
        }
        sqlx::raw_sql("COMMIT").execute(&mut one).await.unwrap();
        is_outage(sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap_err());

        let nobody = database.url().replace("127.0.0.1:5432", "127.0.0.1:1");
        is_outage(PgConnection::connect(&nobody).await.unwrap_err());
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use sqlx::{Connection, MySql, MySqlConnection, MySqlPool};

    use super::*;
    use crate::servers::TestDatabase;

    #[actix_web::test]
    async fn faults_of_a_query_on_mysql_are_no_outages() {
        let database = TestDatabase::<MySql>::new().await;
        let pool = MySqlPool::connect(&database.url()).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        for sql in [
            "INSERT INTO parents VALUES (2, 'a name that is too long', 1)",
            "SELECT (SELECT id FROM parents UNION SELECT 2)",
            "SIGNAL SQLSTATE '45000'",
        ] {
            is_query(fails(&pool, sql).await);
        }
        faults_are_no_outages(&pool).await;
    }

    #[actix_web::test]
    async fn an_outage_of_mysql_is_an_outage_for_queries_of_the_app_too() {
        let database = TestDatabase::<MySql>::new().await;
        let mut one = MySqlConnection::connect(&database.url()).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&mut one).await.unwrap();
        let mut other = MySqlConnection::connect(&database.url()).await.unwrap();
        for sql in ["SET innodb_lock_wait_timeout = 0", "BEGIN"] {
            sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        }
        let update = "UPDATE parents SET age = age + 1";
        sqlx::raw_sql("BEGIN").execute(&mut one).await.unwrap();
        sqlx::raw_sql(update).execute(&mut one).await.unwrap();
        is_outage(sqlx::raw_sql(update).execute(&mut other).await.unwrap_err());

        let kill = "KILL CONNECTION_ID()";
        is_outage(sqlx::raw_sql(kill).execute(&mut other).await.unwrap_err());
        let stranger = database.url().replace("root@", "nobody:wrong@");
        is_outage(MySqlConnection::connect(&stranger).await.unwrap_err());
        let nobody = database.url().replace("127.0.0.1:3306", "127.0.0.1:1");
        is_outage(MySqlConnection::connect(&nobody).await.unwrap_err());
    }
}
