//! How each database plans the statements of a store.

use sqlx::{AssertSqlSafe, Row, SqlSafeStr};

use super::*;

struct Account;

impl AuthUser for Account {
    type Id = i64;

    const ID_COLUMN: &'static str = "id";
    const TABLE: &'static str = "accounts";

    fn id(&self) -> &i64 {
        &1
    }
}

#[cfg(feature = "sqlite")]
#[actix_web::test]
async fn sqlite_finds_the_rows_of_every_statement_by_a_key() {
    let store = SqlStore::<sqlx::Sqlite, Account>::sqlite("sqlite::memory:").await.unwrap();
    let accounts = sqlx::query("CREATE TABLE accounts (id INTEGER PRIMARY KEY)");
    accounts.execute(store.pool()).await.unwrap();
    store.migrate().await.unwrap();

    let session = "SEARCH s USING PRIMARY KEY (id=?)";
    let user = "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)";
    let key = "SEARCH user_sessions USING PRIMARY KEY (id=?)";
    let by_user = "SEARCH user_sessions USING INDEX user_sessions_by_user (user_id=?)";
    let ended = "SEARCH user_sessions USING COVERING INDEX user_sessions_by_expiry \
                 (idle_expires_at<?)";
    let statements = &store.statements;
    let users = store.users().await.unwrap();
    for (sql, expected) in [
        (&statements.find, &[session, user][..]),
        (&users.find_with_user, &[session, user]),
        (&statements.renew, &[key]),
        (&statements.delete, &[key]),
        (&statements.delete_by_user, &[by_user]),
        (&statements.delete_others, &[by_user]),
        (&statements.list_by_user, &[by_user]),
        (&statements.delete_expired, &[key, ended]),
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
        let plan = sqlx::query(explain).fetch_all(store.pool()).await.unwrap();
        let steps = plan.iter().map(|step| step.get::<&str, _>("detail"));
        // The other steps sort and gather what has been read.
        let reads = |step: &&str| step.starts_with("SEARCH") || step.starts_with("SCAN");
        assert_eq!(steps.filter(reads).collect::<Vec<_>>(), expected, "{}", sql.as_str());
    }
}

/// Runs a test in a database of its own, which it is given the address of, on the server at the
/// address in this variable, or else at this one.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn on_server<D: Dialect, F: Future<Output = ()> + 'static>(
    (variable, default): (&str, &str),
    test: impl FnOnce(String) -> F,
) {
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let server = match Pool::connect(&url).await {
        Ok(pool) => SqlStore::<D, Account>::new(pool),
        Err(error) => panic!("no {} at {url}, which {variable} may name: {error}", D::NAME),
    };
    let mut number = [0; 8];
    getrandom::fill(&mut number).unwrap();
    let name = format!("locals_test_{:016x}", u64::from_be_bytes(number));
    let run = async |sql: String| server.execute(&AssertSqlSafe(sql).into_sql_str(), &[]).await;
    run(format!("CREATE DATABASE {name}")).await.unwrap();
    let (address, _) = url.rsplit_once('/').unwrap();
    let done = actix_web::rt::spawn(test(format!("{address}/{name}"))).await;
    let force = if D::NAME == "PostgreSQL" { " WITH (FORCE)" } else { "" };
    run(format!("DROP DATABASE {name}{force}")).await.unwrap();
    done.unwrap();
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn postgres_finds_the_rows_of_every_statement_by_a_key() {
    let server = ("LOCALS_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres");
    on_server::<sqlx::Postgres, _>(server, explain_postgres).await;
}

#[cfg(feature = "postgres")]
async fn explain_postgres(url: String) {
    let store = SqlStore::<sqlx::Postgres, Account>::postgres(&url).await.unwrap();
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(store.pool()).await.unwrap();
    run("CREATE TABLE accounts (id BIGINT PRIMARY KEY, email TEXT NOT NULL)").await;
    store.migrate().await.unwrap();
    // A small table is read as a whole, whatever indexes it has.
    run("INSERT INTO accounts SELECT n, 'a@b' FROM generate_series(1, 2000) AS n; \
         INSERT INTO user_sessions \
         SELECT uuid_send(gen_random_uuid()), '', n % 2000 + 1, 0, 0, n, n, n, NULL, NULL \
         FROM generate_series(1, 20000) AS n; \
         ANALYZE")
    .await;

    let id = r"'\x00112233445566778899aabbccddeeff'::bytea";
    let session = ("user_sessions_pkey", "id =");
    let user = ("accounts_pkey", "id =");
    let by_user = ("user_sessions_by_user", "user_id =");
    let statements = &store.statements;
    let users = store.users().await.unwrap();
    for (sql, values, expected) in [
        (&statements.find, &[id][..], &[session, user][..]),
        (&users.find_with_user, &[id], &[session, user]),
        (&statements.renew, &["1", "1", id, "1"], &[session]),
        (&statements.delete, &[id], &[session]),
        (&statements.delete_by_user, &["7"], &[by_user]),
        (&statements.delete_others, &["7", id], &[by_user]),
        (&statements.list_by_user, &["7"], &[by_user]),
        (
            &statements.delete_expired,
            &["2000", "1000"],
            &[session, ("user_sessions_by_expiry", "idle_expires_at <=")],
        ),
    ] {
        // Planned for any value, as a statement is that is prepared once and run often.
        let types = values.iter().map(|value| if *value == id { "bytea" } else { "bigint" });
        let sql = format!(
            "SET plan_cache_mode = force_generic_plan; \
             PREPARE planned ({}) AS {}; \
             EXPLAIN EXECUTE planned ({}); \
             DEALLOCATE planned",
            types.collect::<Vec<_>>().join(", "),
            sql.as_str(),
            values.join(", ")
        );
        let plan = sqlx::raw_sql(AssertSqlSafe(sql.clone())).fetch_all(store.pool()).await;
        let plan = plan.unwrap_or_else(|error| panic!("{error}: {sql}"));
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{sql}\n{plan}");
        for (index, condition) in expected {
            let is_used = plan.contains(&format!("using {index} on"))
                || plan.contains(&format!("Bitmap Index Scan on {index}"));
            let by = plan.contains(&format!("Index Cond: ({condition}"));
            assert!(is_used && by, "{index} by {condition}: {sql}\n{plan}");
        }
    }
}

#[cfg(feature = "mysql")]
#[actix_web::test]
async fn mysql_finds_the_rows_of_every_statement_by_a_key() {
    let server = ("LOCALS_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql");
    on_server::<sqlx::MySql, _>(server, explain_mysql).await;
}

#[cfg(feature = "mysql")]
async fn explain_mysql(url: String) {
    let store = SqlStore::<sqlx::MySql, Account>::mysql(&url).await.unwrap();
    let run = async |sql: &str| {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(store.pool()).await;
        done.unwrap();
    };
    run("CREATE TABLE accounts (id BIGINT PRIMARY KEY, email VARCHAR(64) NOT NULL)").await;
    store.migrate().await.unwrap();
    // A small table is read as a whole, whatever indexes it has. Both servers can count by
    // joining digits.
    let digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
                  UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    let thousands = format!(
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n \
         FROM {digits} AS a, {digits} AS b, {digits} AS c, {digits} AS e) AS numbers"
    );
    run(&format!("INSERT INTO accounts SELECT n, 'a@b' FROM {thousands} WHERE n < 2000")).await;
    for offset in [0, 10_000] {
        run(&format!(
            "INSERT INTO user_sessions \
             SELECT UNHEX(MD5(n + {offset})), REPEAT('h', 32), n % 2000, 0, 0, n, n, n, NULL, NULL \
             FROM {thousands}"
        ))
        .await;
    }
    run("ANALYZE TABLE accounts, user_sessions").await;

    let id = "x'00112233445566778899aabbccddeeff'";
    // A look-up of a row that is not there ends with its planning.
    let living: String = sqlx::query_scalar("SELECT HEX(MIN(id)) FROM user_sessions")
        .fetch_one(store.pool())
        .await
        .unwrap();
    let living = format!("x'{living}'");
    let living = living.as_str();
    let session = ("PRIMARY", "16");
    let by_user = ("user_sessions_by_user", "8");
    let statements = &store.statements;
    let users = store.users().await.unwrap();
    for (sql, values, expected) in [
        (&statements.find, &[living][..], &[session, ("PRIMARY", "8")][..]),
        (&users.find_with_user, &[living], &[session, ("PRIMARY", "8")]),
        (&statements.renew, &["1", "1", id, "1"], &[session]),
        (&statements.delete, &[id], &[session]),
        (&statements.delete_by_user, &["7"], &[by_user]),
        (&statements.delete_others, &["7", id], &[by_user]),
        (&statements.list_by_user, &["7"], &[by_user]),
        (&statements.delete_expired, &["1000", "1000"], &[("user_sessions_by_expiry", "8")]),
    ] {
        let mut explain = format!("EXPLAIN {}", sql.as_str());
        for value in values {
            explain = explain.replacen('?', value, 1);
        }
        let plan = sqlx::raw_sql(AssertSqlSafe(explain.clone())).fetch_all(store.pool()).await;
        let plan = plan.unwrap_or_else(|error| panic!("{error}: {explain}"));
        let steps: Vec<_> = plan
            .iter()
            .map(|step| {
                (step.get::<Option<String>, _>("key"), step.get::<Option<String>, _>("key_len"))
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, length)| (Some((*key).to_owned()), Some((*length).to_owned())))
            .collect();
        assert_eq!(steps, expected, "{explain}");
    }
}
