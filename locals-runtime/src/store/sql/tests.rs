//! Tests of the query plans of each database, and of statements in a transaction of the app.

#[cfg(any(feature = "postgres", feature = "mysql"))]
use sqlx::Pool;
use sqlx::{AssertSqlSafe, Row, SqlSafeStr};

use crate::{
    model::{
        error::StoreError,
        hashes::SecretHash,
        record::{GuestRecord, SessionRecord, TokenChange, test_record::record},
        time::Timestamp,
        user::test_user::Account,
    },
    store::{Dialect, End, Ends, GuestChange, SessionStore, SqlStore},
};

#[cfg(feature = "sqlite")]
#[actix_web::test]
async fn sqlite_uses_an_index_for_every_statement() {
    let store = SqlStore::<sqlx::Sqlite, Account>::sqlite("sqlite::memory:").await.unwrap();
    let accounts = sqlx::query("CREATE TABLE accounts (id INTEGER PRIMARY KEY)");
    accounts.execute(store.pool()).await.unwrap();
    store.migrate().await.unwrap();

    let session = "SEARCH s USING PRIMARY KEY (id=?)";
    let user = "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)";
    let key = "SEARCH user_sessions USING PRIMARY KEY (id=?)";
    let by_user = "SEARCH user_sessions USING INDEX user_sessions_by_user (user_id=?)";
    let listed = "SEARCH s USING INDEX user_sessions_by_user (user_id=?)";
    let ended = "SEARCH user_sessions USING COVERING INDEX user_sessions_by_expiry \
                 (idle_expires_at<?)";
    let guest = "SEARCH guest_sessions USING PRIMARY KEY (id=?)";
    let ended_guests = "SEARCH guest_sessions USING COVERING INDEX guest_sessions_by_expiry \
                        (expires_at<?)";
    let statements = &store.shared.statements;
    let users = store.users().await.unwrap();
    for (sql, expected) in [
        (&statements.find, &[session, user][..]),
        (&users.find_with_user, &[session, user]),
        (&users.find_user, &[user]),
        (&statements.renew, &[key]),
        (&statements.change_token, &[key]),
        (&statements.bind_credential, &[key]),
        (&statements.write_data, &[key]),
        (&statements.delete, &[key]),
        (&statements.delete_unchanged, &[key]),
        (&statements.delete_by_user, &[by_user]),
        (&statements.delete_others, &[by_user]),
        (&statements.list_by_user, &[listed]),
        (&statements.list_times_by_user, &[by_user]),
        (&statements.delete_expired, &[key, ended]),
        (&statements.find_guest, &[guest]),
        (&statements.write_guest, &[guest]),
        (&statements.delete_guest, &[guest]),
        (&statements.delete_expired_guests, &[guest, ended_guests]),
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
        let plan = sqlx::query(explain).fetch_all(store.pool()).await.unwrap();
        let steps = plan.iter().map(|step| step.get::<&str, _>("detail"));
        // The other steps sort and collect rows.
        let reads = |step: &&str| step.starts_with("SEARCH") || step.starts_with("SCAN");
        assert_eq!(steps.filter(reads).collect::<Vec<_>>(), expected, "{}", sql.as_str());
    }
}

/// The environment variable with the address of a server, and the default address.
#[cfg(feature = "postgres")]
const POSTGRES: (&str, &str) =
    ("LOCALS_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres");
#[cfg(feature = "mysql")]
const MYSQL: (&str, &str) = ("LOCALS_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql");

/// Runs a test in a database of its own, whose address it is given, on the server named by the variable
/// or at the default address.
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
async fn postgres_uses_an_index_for_every_statement() {
    on_server::<sqlx::Postgres, _>(POSTGRES, explain_postgres).await;
}

#[cfg(feature = "postgres")]
async fn explain_postgres(url: String) {
    let store = SqlStore::<sqlx::Postgres, Account>::postgres(&url).await.unwrap();
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(store.pool()).await.unwrap();
    run("CREATE TABLE accounts (id BIGINT PRIMARY KEY, email TEXT NOT NULL)").await;
    store.migrate().await.unwrap();
    // A small table is scanned, whatever indexes it has.
    run("INSERT INTO accounts SELECT n, 'a@b' FROM generate_series(1, 2000) AS n; \
         INSERT INTO user_sessions (id, secret_hash, user_id, created_at, authenticated_at, \
         active_expires_at, idle_expires_at, absolute_expires_at, renewed_at) \
         SELECT uuid_send(gen_random_uuid()), '', n % 2000 + 1, 0, 0, n, n, n, 0 \
         FROM generate_series(1, 20000) AS n; \
         INSERT INTO guest_sessions (id, secret_hash, data_revision, expires_at, data) \
         SELECT uuid_send(gen_random_uuid()), '', 0, n, '{}' FROM generate_series(1, 20000) AS n; \
         ANALYZE")
    .await;

    let id = r"'\x00112233445566778899aabbccddeeff'::bytea";
    let (hash, text) = ("'\\x00'::bytea", "'{}'::text");
    let session = ("user_sessions_pkey", "id =");
    let guest = ("guest_sessions_pkey", "id =");
    let user = ("accounts_pkey", "id =");
    let by_user = ("user_sessions_by_user", "user_id =");
    let statements = &store.shared.statements;
    let users = store.users().await.unwrap();
    for (sql, values, expected) in [
        (&statements.find, &[id][..], &[session, user][..]),
        (&users.find_with_user, &[id], &[session, user]),
        (&users.find_user, &["7"], &[user]),
        (&statements.renew, &["1", "1", "1", id, "1", hash], &[session]),
        (&statements.change_token, &[hash, hash, "1", hash, id, hash], &[session]),
        (&statements.bind_credential, &[hash, id], &[session]),
        (&statements.write_data, &[text, id, "1"], &[session]),
        (&statements.find_guest, &[id], &[guest]),
        (&statements.write_guest, &[text, "1", "1", id, "1"], &[guest]),
        (&statements.delete_guest, &[id], &[guest]),
        (
            &statements.delete_expired_guests,
            &["2000", "1000"],
            &[guest, ("guest_sessions_by_expiry", "expires_at <=")],
        ),
        (&statements.delete, &[id], &[session]),
        (&statements.delete_by_user, &["7"], &[by_user]),
        (&statements.delete_others, &["7", id], &[by_user]),
        (&statements.list_by_user, &["7"], &[by_user]),
        (&statements.list_times_by_user, &["7"], &[by_user]),
        (
            &statements.delete_expired,
            &["2000", "1000"],
            &[session, ("user_sessions_by_expiry", "idle_expires_at <=")],
        ),
    ] {
        // A generic plan, as for a statement that is prepared once and run often.
        let types =
            values.iter().map(|value| value.split_once("::").map_or("bigint", |(_, ty)| ty));
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
async fn mysql_uses_an_index_for_every_statement() {
    on_server::<sqlx::MySql, _>(MYSQL, explain_mysql).await;
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
    // A small table is scanned, whatever indexes it has. Numbers are generated by joining digits, which
    // works on both servers.
    let digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
                  UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    let thousands = format!(
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n \
         FROM {digits} AS a, {digits} AS b, {digits} AS c, {digits} AS e) AS numbers"
    );
    run(&format!("INSERT INTO accounts SELECT n, 'a@b' FROM {thousands} WHERE n < 2000")).await;
    for offset in [0, 10_000] {
        run(&format!(
            "INSERT INTO user_sessions (id, secret_hash, user_id, created_at, authenticated_at, \
             active_expires_at, idle_expires_at, absolute_expires_at, renewed_at) \
             SELECT UNHEX(MD5(n + {offset})), REPEAT('h', 32), n % 2000, 0, 0, n, n, n, 0 \
             FROM {thousands}"
        ))
        .await;
        run(&format!(
            "INSERT INTO guest_sessions (id, secret_hash, data_revision, expires_at, data) \
             SELECT UNHEX(MD5(n + {offset})), REPEAT('h', 32), 0, n, '{{}}' FROM {thousands}"
        ))
        .await;
    }
    run("ANALYZE TABLE accounts, user_sessions, guest_sessions").await;

    let id = "x'00112233445566778899aabbccddeeff'";
    // A lookup of a missing row already ends while it is planned.
    let living: String = sqlx::query_scalar("SELECT HEX(MIN(id)) FROM user_sessions")
        .fetch_one(store.pool())
        .await
        .unwrap();
    let living = format!("x'{living}'");
    let living = living.as_str();
    let session = ("PRIMARY", "16");
    let by_user = ("user_sessions_by_user", "8");
    let statements = &store.shared.statements;
    let users = store.users().await.unwrap();
    for (sql, values, expected) in [
        (&statements.find, &[living][..], &[session, ("PRIMARY", "8")][..]),
        (&users.find_with_user, &[living], &[session, ("PRIMARY", "8")]),
        (&users.find_user, &["1"], &[("PRIMARY", "8")]),
        (&statements.renew, &["1", "1", "1", id, "1", id], &[session]),
        (&statements.change_token, &[id, id, "1", id, id, id], &[session]),
        (&statements.bind_credential, &[id, id], &[session]),
        (&statements.write_data, &["'{}'", id, "1"], &[session]),
        (&statements.find_guest, &[living], &[session]),
        (&statements.write_guest, &["'{}'", "1", "1", id, "1"], &[session]),
        (&statements.delete_guest, &[id], &[session]),
        (
            &statements.delete_expired_guests,
            &["1000", "1000"],
            &[("guest_sessions_by_expiry", "8")],
        ),
        (&statements.delete, &[id], &[session]),
        (&statements.delete_by_user, &["7"], &[by_user]),
        (&statements.delete_others, &["7", id], &[by_user]),
        (&statements.list_by_user, &["7"], &[by_user]),
        (&statements.list_times_by_user, &["7"], &[by_user]),
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

fn session(number: u8) -> SessionRecord {
    let at = Timestamp::from_millis;
    record(number, at(0), [1, 2, 3].map(at))
}

/// Statements in a transaction of the app are committed or rolled back with it. A failed one changes
/// nothing, and the transaction can continue.
async fn in_a_transaction_of_the_app<D: Dialect>(store: SqlStore<D, Account>) {
    for sql in [
        "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY)",
        "INSERT INTO accounts VALUES (1)",
    ] {
        store.execute(&sql.into_sql_str(), &[]).await.unwrap();
    }
    store.migrate().await.unwrap();
    let (old, new) = (session(1), session(2));
    store.create(&old, Ends::default()).await.unwrap();
    let taken = SessionRecord { id: old.id, ..session(3) };
    let guest = GuestRecord::new(old.id, old.secret_hash, "{}", old.idle_expires_at);
    let left = GuestRecord { data: String::new(), data_revision: 1, ..guest.clone() };
    store.write_guest(&guest, None).await.unwrap();
    let taken_over = Some(GuestChange::new(0, &left));
    let ends = Ends { sessions: &[End::new(old.id)], guest: taken_over };
    let changed = Ends { sessions: &[End::at_revision(old.id, 7)], guest: None };
    let change = TokenChange {
        authenticated_at: Timestamp::from_millis(1),
        ..TokenChange::new(&new, SecretHash::from_bytes([9; 32]))
    };
    for commit in [false, true] {
        let mut transaction = store.pool.begin().await.unwrap();
        let refused = store.create_on(&mut transaction, &taken, ends).await;
        assert!(matches!(refused, Err(StoreError::Collision)), "{refused:?}");
        assert!(!store.create_on(&mut transaction, &new, changed).await.unwrap());
        assert!(store.create_on(&mut transaction, &new, ends).await.unwrap());
        for expected in [true, false] {
            let changed = store.change_token_on(&mut transaction, new.id, &change).await;
            assert_eq!(changed.unwrap(), expected, "it has this token once");
        }
        if commit {
            transaction.commit().await.unwrap();
            assert_eq!(store.find(old.id).await.unwrap(), None);
            let found = store.find(new.id).await.unwrap().map(|found| found.secret_hash);
            assert_eq!(found, Some(change.secret_hash));
            assert_eq!(store.find_guest(guest.id).await.unwrap().as_ref(), Some(&left));
        } else {
            transaction.rollback().await.unwrap();
            assert_eq!(store.find(old.id).await.unwrap().as_ref(), Some(&old));
            assert_eq!(store.find(new.id).await.unwrap(), None);
            assert_eq!(store.find_guest(guest.id).await.unwrap().as_ref(), Some(&guest));
        }
    }
}

#[cfg(feature = "sqlite")]
#[actix_web::test]
async fn sqlite_statements_are_part_of_the_transaction_of_the_app() {
    in_a_transaction_of_the_app(SqlStore::sqlite("sqlite::memory:").await.unwrap()).await;
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn postgres_statements_are_part_of_the_transaction_of_the_app() {
    on_server::<sqlx::Postgres, _>(POSTGRES, |url| async move {
        in_a_transaction_of_the_app(SqlStore::postgres(&url).await.unwrap()).await;
    })
    .await;
}

#[cfg(feature = "mysql")]
#[actix_web::test]
async fn mysql_statements_are_part_of_the_transaction_of_the_app() {
    on_server::<sqlx::MySql, _>(MYSQL, |url| async move {
        in_a_transaction_of_the_app(SqlStore::mysql(&url).await.unwrap()).await;
    })
    .await;
}
