//! What happens to sessions when users are changed on a connection that enforces no foreign keys, as
//! that of the `sqlite3` shell.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use locals::{
    Auth, AuthUser, Session, StoreError,
    store::{SessionUserStore, SqlStore},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, FromRow, Sqlite, SqliteConnection};
use tempfile::TempDir;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{Account, KeyIn, database, run};

const ACCOUNTS: &str = "CREATE TABLE accounts \
                        (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT)";
const TRIGGERS: [&str; 3] =
    ["user_sessions_user_deleted", "user_sessions_user_changed", "user_sessions_user_added"];

/// A plain connection to the same file, on which foreign keys are not enforced.
async fn plain<T: AuthUser>(store: &SqlStore<Sqlite, T>) -> SqliteConnection {
    let options = (*store.pool().connect_options()).clone().foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    let enforced: i64 =
        sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut connection).await.unwrap();
    assert_eq!(enforced, 0);
    connection
}

/// Runs SQL as a tool does that knows nothing of sessions.
async fn by_hand<T: AuthUser>(store: &SqlStore<Sqlite, T>, sql: &str) {
    let mut connection = plain(store).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn opens<T>(auth: &Auth<T>, session: &Session) -> bool
where
    T: AuthUser,
{
    let token = session.token().expose_secret();
    auth.validate_session_user(token).await.unwrap().is_some()
}

async fn left(store: &SqlStore<Sqlite, Account<i64>>) -> Vec<i64> {
    let sql = "SELECT user_id FROM user_sessions ORDER BY user_id";
    sqlx::query_scalar(sql).fetch_all(store.pool()).await.unwrap()
}

#[actix_web::test]
async fn the_cookie_of_a_deleted_account_opens_nothing_even_if_its_id_is_reused() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    run(&store, "INSERT INTO accounts (email) VALUES ('ada')").await;
    let auth = Auth::<Account<i64>>::builder(store.clone()).build().unwrap();
    let session = auth.create_session(&Account { id: 1 }).await.unwrap();
    assert!(opens(&auth, &session).await);

    by_hand(&store, "DELETE FROM accounts WHERE email = 'ada'").await;
    assert_eq!(left(&store).await, [0_i64; 0], "the trigger has ended the session");
    by_hand(&store, "INSERT INTO accounts (email) VALUES ('mallory')").await;

    let id: i64 =
        sqlx::query_scalar("SELECT id FROM accounts").fetch_one(store.pool()).await.unwrap();
    assert_eq!(id, 1, "SQLite gives the id again");
    assert!(!opens(&auth, &session).await);
}

/// Statements beside the users 1, 2 and 3 with the e-mail addresses a, b and c: who of them is still
/// logged in afterwards, once all three ids have been used again.
const STATEMENTS: [(&str, &[i64]); 16] = [
    ("DELETE FROM accounts WHERE id = 1", &[2, 3]),
    ("DELETE FROM accounts WHERE email <> 'b'", &[2]),
    ("DELETE FROM accounts", &[]),
    ("UPDATE accounts SET id = 9 WHERE id = 1", &[2, 3]),
    ("UPDATE accounts SET rowid = 9 WHERE id = 1", &[2, 3]),
    ("UPDATE accounts SET id = -id", &[]),
    ("UPDATE OR REPLACE accounts SET id = 2 WHERE id = 1", &[3]),
    ("UPDATE OR REPLACE accounts SET email = 'b' WHERE id = 1", &[1, 3]),
    ("INSERT OR REPLACE INTO accounts (id, email) VALUES (1, 'q')", &[2, 3]),
    ("INSERT OR REPLACE INTO accounts (id, email) VALUES (7, 'a')", &[2, 3]),
    ("REPLACE INTO accounts (id, email) VALUES (1, 'b')", &[3]),
    // These leave the user as they are.
    ("UPDATE accounts SET id = id, email = email || 'x'", &[1, 2, 3]),
    ("UPDATE accounts SET name = 'new'", &[1, 2, 3]),
    ("INSERT OR IGNORE INTO accounts (id, email) VALUES (1, 'q')", &[1, 2, 3]),
    (
        "INSERT INTO accounts (id, email) VALUES (1, 'q') \
         ON CONFLICT (id) DO UPDATE SET email = excluded.email",
        &[1, 2, 3],
    ),
    ("INSERT INTO accounts (id, email) VALUES (8, 'h')", &[1, 2, 3]),
];

#[actix_web::test]
async fn no_statement_on_the_users_gives_a_session_to_another_user() {
    for accounts in [
        ACCOUNTS,
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE, name TEXT)",
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT) WITHOUT ROWID",
        "CREATE TABLE accounts (email TEXT UNIQUE, name TEXT, id BIGINT NOT NULL UNIQUE)",
    ] {
        for (statement, expected) in STATEMENTS {
            let has_rowid = !accounts.contains("WITHOUT ROWID") && accounts.contains("INTEGER");
            if statement.contains("rowid") && !has_rowid {
                continue;
            }
            for enforced in [false, true] {
                let (_directory, store) = database::<i64>(accounts).await;
                store.migrate().await.unwrap();
                run(&store, "INSERT INTO accounts (id, email) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
                    .await;
                let auth = Auth::<Account<i64>>::builder(store.clone()).build().unwrap();
                let mut sessions = Vec::new();
                for id in [1, 2, 3] {
                    sessions.push(auth.create_session(&Account { id }).await.unwrap());
                }

                if enforced {
                    run(&store, statement).await;
                } else {
                    by_hand(&store, statement).await;
                }
                // Whoever is not there any more has a successor.
                by_hand(&store, "INSERT OR IGNORE INTO accounts (id) VALUES (1), (2), (3)").await;

                let mut logged_in = Vec::new();
                for (id, session) in (1_i64..).zip(&sessions) {
                    if opens(&auth, session).await {
                        logged_in.push(id);
                    }
                }
                assert_eq!(logged_in, expected, "{statement}, enforced: {enforced}, {accounts}");
                assert_eq!(left(&store).await, expected, "rows: {statement}, {enforced}");
            }
        }
    }
}

/// Deletes a user and makes another of the same id, by plain SQL; `id` is a literal of SQL.
async fn ends_with_its_user<T>(store: SqlStore<Sqlite, T>, user: T, [table, column, id]: [&str; 3])
where
    T: AuthUser,
    SqlStore<Sqlite, T>: SessionUserStore<T>,
{
    store.migrate().await.unwrap();
    run(&store, &format!("INSERT INTO {table} ({column}) VALUES ({id})")).await;
    let auth = Auth::<T>::builder(store.clone()).build().unwrap();
    let session = auth.create_session(&user).await.unwrap();
    assert!(opens(&auth, &session).await, "{table}, {id}");
    by_hand(&store, &format!("DELETE FROM {table}; INSERT INTO {table} ({column}) VALUES ({id})"))
        .await;
    assert!(!opens(&auth, &session).await, "{table}, {id}");
    store.check().await.unwrap();
    store.migrate().await.unwrap();
}

async fn ends_with_its_key<I: KeyIn<Sqlite>>(declared: &str, id: I, literal: &str) {
    let users = format!("CREATE TABLE accounts (id {declared} NOT NULL PRIMARY KEY)");
    let (_directory, store) = database::<I>(&users).await;
    ends_with_its_user(store, Account { id }, ["accounts", "id", literal]).await;
}

#[actix_web::test]
async fn ids_of_every_type_end_with_their_user() {
    let uuid = Uuid::from_u128(0xabc);
    let bytes = format!("x'{}'", uuid.simple());
    let text = format!("'{}'", uuid.hyphenated());
    ends_with_its_key("BIGINT", 7_i64, "7").await;
    ends_with_its_key("INTEGER", 7_i32, "7").await;
    ends_with_its_key("INTEGER", i64::MIN, "-9223372036854775808").await;
    ends_with_its_key("TEXT", "it's \"Ada\"".to_owned(), "'it''s \"Ada\"'").await;
    ends_with_its_key("VARCHAR(36)", String::new(), "''").await;
    ends_with_its_key("TEXT COLLATE NOCASE", "ada".to_owned(), "'ada'").await;
    ends_with_its_key("BLOB", uuid, &bytes).await;
    ends_with_its_key("UUID", uuid, &bytes).await;
    let (_directory, accounts) =
        database::<Uuid>("CREATE TABLE accounts (id TEXT PRIMARY KEY)").await;
    let store = SqlStore::<Sqlite, Textual>::new(accounts.pool().clone());
    ends_with_its_user(store, Textual { id: uuid }, ["accounts", "id", &text]).await;
}

/// A user whose UUID is kept as text.
#[derive(Debug, Clone, FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Textual {
    #[sqlx(try_from = "Hyphenated")]
    id: Uuid,
}

/// A user of a table and a column whose names have to be quoted.
#[derive(Debug, Clone, FromRow)]
struct Odd {
    #[sqlx(rename = "ID of it's")]
    number: i64,
}

impl AuthUser for Odd {
    type Id = i64;

    const ID_COLUMN: &'static str = "ID of it's";
    const TABLE: &'static str = "the \"users\"; --";

    fn id(&self) -> &i64 {
        &self.number
    }
}

/// A user of a table named by a word of SQL.
#[derive(Debug, Clone, FromRow, AuthUser)]
#[auth_user(table = "group")]
struct Member {
    #[auth_user(id = "order")]
    #[sqlx(rename = "order")]
    number: i64,
}

#[actix_web::test]
async fn tables_of_any_name_end_sessions_with_their_users() {
    let directory = TempDir::new().unwrap();
    let url = |name: &str| directory.path().join(name).display().to_string();
    let store = SqlStore::<Sqlite, Odd>::sqlite(&url("odd.db")).await.unwrap();
    let [table, column] = [r#""the ""users""; --""#, r#""ID of it's""#];
    run(&store, &format!("CREATE TABLE {table} ({column} INTEGER PRIMARY KEY)")).await;
    ends_with_its_user(store, Odd { number: 7 }, [table, column, "7"]).await;

    let store = SqlStore::<Sqlite, Member>::sqlite(&url("member.db")).await.unwrap();
    let [table, column] = [r#""group""#, r#""order""#];
    run(&store, &format!("CREATE TABLE {table} ({column} INTEGER PRIMARY KEY)")).await;
    ends_with_its_user(store, Member { number: 7 }, [table, column, "7"]).await;
}

#[actix_web::test]
async fn another_spelling_of_an_id_is_another_id() {
    let users = "CREATE TABLE accounts (id TEXT NOT NULL COLLATE NOCASE PRIMARY KEY)";
    let (_directory, store) = database::<String>(users).await;
    store.migrate().await.unwrap();
    run(&store, "INSERT INTO accounts VALUES ('ada')").await;
    let auth = Auth::<Account<String>>::builder(store.clone()).build().unwrap();
    let session = auth.create_session(&Account { id: "ada".to_owned() }).await.unwrap();
    by_hand(&store, "UPDATE accounts SET id = 'ADA'").await;
    assert!(!opens(&auth, &session).await);
}

#[actix_web::test]
async fn check_names_a_trigger_that_is_missing_and_migrate_puts_it_back() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    for trigger in TRIGGERS {
        run(&store, &format!("DROP TRIGGER {trigger}")).await;
        assert_eq!(
            complaint(&store).await,
            format!(
                "the table `user_sessions` differs from what this version of `locals` expects: the \
                 trigger `{trigger}` on `accounts` is missing; call `store.migrate()` at start-up, \
                 or see the SQL of `store.migration_sql()`"
            )
        );
        store.migrate().await.unwrap();
        store.check().await.unwrap();
    }
}

#[actix_web::test]
async fn a_trigger_that_does_something_else_is_named_and_replaced() {
    for (other, says) in [
        ("AFTER DELETE ON accounts BEGIN SELECT 1; END", "differs"),
        (
            "AFTER DELETE ON accounts WHEN OLD.id > 7 \
             BEGIN DELETE FROM user_sessions WHERE OLD.id = user_id; END",
            "differs",
        ),
        ("AFTER DELETE ON elsewhere BEGIN SELECT 1; END", "is missing"),
    ] {
        let (_directory, store) = database::<i64>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        let sql = format!(
            "CREATE TABLE elsewhere (id INTEGER); DROP TRIGGER user_sessions_user_deleted; \
             CREATE TRIGGER user_sessions_user_deleted {other}"
        );
        run(&store, &sql).await;
        let said = complaint(&store).await;
        let expected = format!("the trigger `user_sessions_user_deleted` on `accounts` {says};");
        assert!(said.contains(&expected), "{said}");
        store.migrate().await.unwrap();
    }
}

#[actix_web::test]
async fn a_migration_that_finds_the_triggers_changes_nothing() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    let version = async || -> i64 {
        sqlx::query_scalar("PRAGMA schema_version").fetch_one(store.pool()).await.unwrap()
    };
    let before = version().await;
    store.migrate().await.unwrap();
    assert_eq!(version().await, before);
}

/// Rebuilds the table of users as SQLite's manual says for changes that `ALTER TABLE` does not know.
const REBUILD: &str = "BEGIN; \
    CREATE TABLE new (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT NOT NULL DEFAULT ''); \
    INSERT INTO new (id, email) SELECT id, email FROM accounts; \
    DROP TABLE accounts; \
    ALTER TABLE new RENAME TO accounts; \
    COMMIT";

#[actix_web::test]
async fn rebuilding_the_table_of_users_keeps_the_sessions_and_migrate_restores_the_triggers() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    run(&store, "INSERT INTO accounts (id, email) VALUES (1, 'a'), (2, 'b')").await;
    let auth = Auth::<Account<i64>>::builder(store.clone()).build().unwrap();
    let first = auth.create_session(&Account { id: 1 }).await.unwrap();
    let second = auth.create_session(&Account { id: 2 }).await.unwrap();

    by_hand(&store, REBUILD).await;

    assert!(opens(&auth, &first).await && opens(&auth, &second).await, "the same users");
    let said = complaint(&store).await;
    for trigger in TRIGGERS {
        assert!(
            said.contains(&format!("the trigger `{trigger}` on `accounts` is missing")),
            "{said}"
        );
    }
    // Before the triggers are back one user goes, and after it comes their successor.
    by_hand(&store, "DELETE FROM accounts WHERE id = 1").await;
    store.migrate().await.unwrap();
    by_hand(&store, "INSERT INTO accounts (id) VALUES (1)").await;
    assert!(!opens(&auth, &first).await);
    by_hand(&store, "DELETE FROM accounts WHERE id = 2; INSERT INTO accounts (id) VALUES (2)")
        .await;
    assert!(!opens(&auth, &second).await);
}

/// What is logged while it is there.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `migrate` logs.
async fn said_by_migrate(store: &SqlStore<Sqlite, Account<i64>>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    store.migrate().await.unwrap();
    drop(logging);
    let text = log.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

#[actix_web::test]
async fn migrate_warns_where_triggers_were_missing_and_sessions_are_there() {
    let advice = "DELETE FROM user_sessions";
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    assert!(!said_by_migrate(&store).await.contains(advice), "the tables are new");
    by_hand(&store, REBUILD).await;
    assert!(!said_by_migrate(&store).await.contains(advice), "there are no sessions");
    run(&store, "INSERT INTO accounts (id) VALUES (1)").await;
    let auth = Auth::<Account<i64>>::builder(store.clone()).build().unwrap();
    auth.create_session(&Account { id: 1 }).await.unwrap();
    assert!(!said_by_migrate(&store).await.contains(advice), "the triggers are there");
    by_hand(&store, REBUILD).await;
    let said = said_by_migrate(&store).await;
    assert!(said.contains(advice) && said.contains("accounts"), "{said}");
    assert!(!said_by_migrate(&store).await.contains(advice), "they are back");
}

/// The users of `Account`, under the name that they have been given since.
#[derive(Debug, Clone, FromRow, AuthUser)]
#[auth_user(table = "members")]
struct Renamed {
    #[auth_user(id = "number")]
    #[sqlx(rename = "number")]
    id: i64,
}

#[actix_web::test]
async fn a_renamed_table_of_users_passes_the_check() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    store.migrate().await.unwrap();
    by_hand(
        &store,
        "ALTER TABLE accounts RENAME TO members; ALTER TABLE members RENAME COLUMN id TO number",
    )
    .await;
    let renamed = SqlStore::<Sqlite, Renamed>::new(store.pool().clone());
    renamed.check().await.unwrap();
    ends_with_its_user(renamed, Renamed { id: 7 }, ["members", "number", "7"]).await;
}

#[actix_web::test]
async fn the_printed_sql_makes_the_triggers() {
    let (_directory, store) = database::<i64>(ACCOUNTS).await;
    let sql = store.migration_sql().await.unwrap();
    for trigger in TRIGGERS {
        assert!(sql.contains(&format!("CREATE TRIGGER IF NOT EXISTS {trigger} AFTER ")), "{sql}");
    }
    by_hand(&store, &sql).await;
    by_hand(&store, &sql).await;
    ends_with_its_user(store, Account { id: 7 }, ["accounts", "id", "7"]).await;
}

#[actix_web::test]
async fn migrate_adds_no_triggers_for_a_table_that_is_not_its_own() {
    let foreign = format!(
        "{ACCOUNTS}; CREATE TABLE user_sessions (user_id INTEGER, idle_expires_at INTEGER); \
         INSERT INTO accounts (id) VALUES (1); INSERT INTO user_sessions VALUES (1, 1)"
    );
    let (_directory, store) = database::<i64>(&foreign).await;
    assert!(matches!(store.migrate().await, Err(StoreError::Schema(_))));
    by_hand(&store, "DELETE FROM accounts").await;
    assert_eq!(left(&store).await, [1]);
}

async fn complaint<T: AuthUser>(store: &SqlStore<Sqlite, T>) -> String {
    match store.check().await {
        Err(StoreError::Schema(complaint)) => complaint,
        other => panic!("no complaint: {other:?}"),
    }
}
