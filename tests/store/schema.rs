//! `migrate`, `migration_sql` and `check`.

use futures_util::future::join_all;
use locals::{
    Auth, SecretHash, SessionId, SessionRecord, StoreError, Timestamp,
    store::{SessionStore, SqlStore},
};
use sqlx::Sqlite;
use uuid::Uuid;

use crate::{Account, KeyIn, database, run};

const ACCOUNTS: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY)";

#[actix_web::test]
async fn migrate_can_be_called_again_and_keeps_what_is_there() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    run(&store, "INSERT INTO accounts VALUES (1)").await;
    let auth = Auth::<Account<i64>>::builder(store.clone()).build().unwrap();
    let session = auth.create_session(&Account { id: 1 }).await.unwrap();

    store.migrate().await.unwrap();
    store.migrate().await.unwrap();

    let found = auth.validate_session(session.token().expose_secret()).await.unwrap();
    assert_eq!(found.map(|found| found.id()), Some(session.id()));
}

#[actix_web::test]
async fn ten_processes_may_migrate_one_file_at_the_same_time() {
    let (directory, _) = database::<i64>(ACCOUNTS).await;
    let url = directory.path().join("app.db").display().to_string();
    let start = || async {
        let store = SqlStore::<Sqlite, Account<i64>>::sqlite(&url).await?;
        store.migrate().await
    };
    for started in join_all((0..10).map(|_| start())).await {
        started.unwrap();
    }
}

#[actix_web::test]
async fn a_missing_table_of_users_is_named() {
    let (_directory, store) = database::<i64>("").await;
    let expected = "the table of users `accounts` is missing: create it before `user_sessions`, \
                    or name the right one with `#[auth_user(table = \"..\")]`";
    assert_eq!(complaint(store.migrate().await), expected);
    assert_eq!(complaint(store.check().await), expected);
    assert_eq!(complaint(store.migration_sql().await), expected);
}

#[actix_web::test]
async fn a_missing_column_of_ids_is_named() {
    let (_directory, store) =
        database::<i64>("CREATE TABLE accounts (number INTEGER PRIMARY KEY)").await;
    let expected = "the table of users `accounts` has no column `id`: mark the field of the id \
                    with `#[auth_user(id)]`, or name its column with `#[auth_user(id = \"..\")]`";
    assert_eq!(complaint(store.migrate().await), expected);
    assert_eq!(complaint(store.check().await), expected);
}

#[actix_web::test]
async fn check_before_migrate_says_what_to_do() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    assert_eq!(
        complaint(store.check().await),
        "the table `user_sessions` is missing; the table `guest_sessions` is missing; call \
         `store.migrate()` at start-up, or see the SQL of `store.migration_sql()`"
    );
}

#[actix_web::test]
async fn the_printed_sql_makes_what_check_expects() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    let sql = store.migration_sql().await.unwrap();
    run(&store, &sql).await;
    store.check().await.unwrap();
    assert_eq!(store.migration_sql().await.unwrap(), sql, "it does not depend on what is there");
}

#[actix_web::test]
async fn check_names_what_differs() {
    for (right, wrong, complaint) in [
        ("user_agent TEXT,", "", "the column `user_agent` is missing"),
        ("    address TEXT", "    address TEXT, colour TEXT NOT NULL", COLOUR),
        ("rotation BLOB", "rotation TEXT", "`rotation` is TEXT and should be BLOB"),
        ("credential BLOB", "credential TEXT", "`credential` is TEXT and should be BLOB"),
        (
            "is_persistent INTEGER NOT NULL",
            "is_persistent INTEGER",
            "`is_persistent` must be NOT NULL",
        ),
        ("created_at INTEGER", "created_at TEXT", "`created_at` is TEXT and should be INTEGER"),
        ("user_id INTEGER", "user_id TEXT", "`user_id` is TEXT and should be INTEGER"),
        ("hash BLOB NOT NULL,\n    user", "hash BLOB,\n    user", "`secret_hash` must be NOT NULL"),
        ("address TEXT", "address TEXT NOT NULL", "`address` may be null"),
        (
            ",\n    FOREIGN KEY (user_id) REFERENCES \"accounts\" (\"id\") ON DELETE CASCADE",
            "",
            "`user_id` does not reference `accounts` with `ON DELETE CASCADE`",
        ),
        (
            " ON DELETE CASCADE",
            "",
            "`user_id` does not reference `accounts` with `ON DELETE CASCADE`",
        ),
        (
            " ON DELETE CASCADE",
            " ON DELETE RESTRICT",
            "`user_id` does not reference `accounts` with `ON DELETE CASCADE`",
        ),
        (
            "id BLOB NOT NULL PRIMARY KEY,\n    secret_hash BLOB NOT NULL,\n    user",
            "id BLOB NOT NULL,\n    secret_hash BLOB NOT NULL PRIMARY KEY,\n    user",
            "`id` is not the primary key",
        ),
        (
            "FOREIGN KEY (user_id) REFERENCES",
            "FOREIGN KEY (created_at) REFERENCES",
            "`user_id` does not reference `accounts` with `ON DELETE CASCADE`",
        ),
    ] {
        let found = differences("user_sessions", right, wrong).await;
        assert_eq!(found, complaint, "{right:?} became {wrong:?}");
    }
}

#[actix_web::test]
async fn check_names_what_differs_in_the_table_of_guests() {
    for (right, wrong, complaint) in [
        ("    data_revision INTEGER NOT NULL,\n", "", "the column `data_revision` is missing"),
        ("data TEXT NOT NULL", "data BLOB NOT NULL", "`data` is BLOB and should be TEXT"),
        ("data TEXT NOT NULL", "data TEXT", "`data` must be NOT NULL"),
        ("data TEXT NOT NULL", "data TEXT NOT NULL, colour TEXT NOT NULL", COLOUR),
        (
            "PRIMARY KEY,\n    secret_hash BLOB NOT NULL,\n    data",
            ",\n    secret_hash BLOB NOT NULL PRIMARY KEY,\n    data",
            "`id` is not the primary key",
        ),
    ] {
        let found = differences("guest_sessions", right, wrong).await;
        assert!(found.starts_with(complaint), "{right:?} became {wrong:?}: {found}");
    }
}

#[actix_web::test]
async fn check_reports_the_differences_of_both_tables_together() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    run(
        &store,
        "ALTER TABLE user_sessions DROP COLUMN data; ALTER TABLE guest_sessions DROP COLUMN data",
    )
    .await;
    assert_eq!(
        complaint(store.check().await),
        "the table `user_sessions` differs from what this version of `locals` expects: the column \
         `data` is missing; the table `guest_sessions` differs from what this version of `locals` \
         expects: the column `data` is missing"
            .to_owned()
            + REMEDIES[1]
    );
    run(&store, "DROP TABLE guest_sessions").await;
    let complaint = complaint(store.check().await);
    assert!(complaint.contains("; the table `guest_sessions` is missing; call"), "{complaint}");
    store.migrate().await.unwrap();
}

/// The table as the first version made it.
const FIRST: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY); \
    CREATE TABLE user_sessions (
        id BLOB NOT NULL PRIMARY KEY,
        secret_hash BLOB NOT NULL,
        user_id INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        active_expires_at INTEGER NOT NULL,
        idle_expires_at INTEGER NOT NULL,
        absolute_expires_at INTEGER NOT NULL,
        FOREIGN KEY (user_id) REFERENCES accounts (id) ON DELETE CASCADE
    ) WITHOUT ROWID; \
    INSERT INTO accounts VALUES (1); \
    INSERT INTO user_sessions VALUES (zeroblob(16), zeroblob(32), 1, 7, 8, 9, 10)";

#[actix_web::test]
async fn migrate_brings_the_first_table_up_to_date_and_keeps_its_row() {
    let (_directory, store) = database::<i64>(FIRST).await;
    store.migrate().await.unwrap();
    let at = Timestamp::from_millis;
    let (id, hash) = (SessionId::from_bytes([0; 16]), SecretHash::from_bytes([0; 32]));
    let mut session = SessionRecord::new(id, hash, 1_i64, at(7));
    session.active_expires_at = at(8);
    session.idle_expires_at = at(9);
    session.absolute_expires_at = at(10);
    assert_eq!(store.find(session.id).await.unwrap(), Some(session));
}

#[actix_web::test]
async fn check_reports_all_differences_together() {
    let columns = "    user_agent TEXT,\n    address TEXT,\n";
    let found = differences("user_sessions", columns, "    address INTEGER NOT NULL,\n").await;
    assert_eq!(
        found,
        "the column `user_agent` is missing, `address` is INTEGER and should be TEXT, `address` \
         may be null"
    );
}

#[actix_web::test]
async fn check_names_a_dropped_index_and_migrate_restores_it() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    for index in ["user_sessions_by_user", "user_sessions_by_expiry", "guest_sessions_by_expiry"] {
        run(&store, &format!("DROP INDEX {index}")).await;
        let complaint = complaint(store.check().await);
        assert!(complaint.contains(&format!("the index `{index}` is missing")), "{complaint}");
        store.migrate().await.unwrap();
    }
}

#[actix_web::test]
async fn migrate_refuses_a_table_that_is_not_its_own() {
    let (_directory, store) = database::<i64>(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY); \
         CREATE TABLE user_sessions (user_id INTEGER, idle_expires_at INTEGER)",
    )
    .await;
    let complaint = complaint(store.migrate().await);
    assert!(complaint.contains("the column `secret_hash` is missing"), "{complaint}");
}

#[actix_web::test]
async fn the_key_takes_the_declared_type_of_the_id() {
    key_is_declared_as::<i64>("BIGINT", 1).await;
    key_is_declared_as::<i32>("INTEGER", 1).await;
    key_is_declared_as::<String>("VARCHAR(36)", "ada".to_owned()).await;
    key_is_declared_as::<Uuid>("BLOB", Uuid::from_u128(7)).await;
    key_is_declared_as::<Uuid>("UUID", Uuid::from_u128(7)).await;
    key_is_declared_as::<i64>("", 1).await;
}

async fn key_is_declared_as<I: KeyIn<Sqlite>>(declared: &str, id: I) {
    let users = format!("CREATE TABLE accounts (id {declared} NOT NULL PRIMARY KEY)");
    let (_directory, store) = database::<I>(&users).await;
    store.migrate().await.unwrap();
    let sql = "SELECT type FROM pragma_table_info('user_sessions') WHERE name = 'user_id'";
    let found: String = sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap();
    assert_eq!(found, declared);

    let added = sqlx::query("INSERT INTO accounts VALUES (?)").bind(id.clone());
    added.execute(store.pool()).await.unwrap();
    let auth = Auth::<Account<I>>::builder(store).build().unwrap();
    let session = auth.create_session(&Account { id }).await.unwrap();
    let found = auth.validate_session(session.token().expose_secret()).await.unwrap();
    assert_eq!(found.map(|found| found.id()), Some(session.id()), "declared as {declared:?}");
}

/// A column that no version has left a way around.
const COLOUR: &str = "the column `colour` is unknown, must not be null and has no default";

/// What to do about differences that `migrate` removes, and about others.
const REMEDIES: [&str; 2] = [
    "; call `store.migrate()` at start-up, or see the SQL of `store.migration_sql()`",
    "; `migrate` cannot change this: rename or drop the table (all users have to log in again), use another name \
     with `#[auth_user(sessions = \"..\")]`, or see the SQL of `store.migration_sql()`",
];

/// What `check` says of a table where something right in the SQL is replaced by something wrong.
async fn differences(table: &str, right: &str, wrong: &str) -> String {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    let sql = store.migration_sql().await.unwrap();
    assert_eq!(sql.matches(right).count(), 1, "{right:?} in {sql}");
    run(&store, &sql.replace(right, wrong)).await;
    let complaint = complaint(store.check().await);
    let differences = complaint
        .strip_prefix(&format!(
            "the table `{table}` differs from what this version of `locals` expects: "
        ))
        .and_then(|text| REMEDIES.iter().find_map(|remedy| text.strip_suffix(remedy)));
    differences.unwrap_or(&complaint).to_owned()
}

fn complaint<T>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Schema(complaint)) => complaint,
        Err(other) => panic!("not of the schema: {other:?}"),
        Ok(_) => panic!("the schema is not found wanting"),
    }
}
