//! Tables of users as apps have them: with other columns than the type, other keys, other rights; and
//! the tables of sessions beside them, under names of the app's own.

use locals::{
    Auth, AuthUser, StoreError,
    store::{SessionUserStore, SqlStore},
};
use sqlx::{AssertSqlSafe, FromRow};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::servers::TestDatabase;

/// What most tests read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    name: String,
}

/// Another type of user beside it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "staff", sessions = "staff_sessions")]
struct Staff {
    id: i64,
    name: String,
}

/// A third, which takes its sessions to be where those of the first are.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "staff")]
struct Mistaken {
    id: i64,
}

/// One that knows a column that may come later.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct WithPlan {
    id: i64,
    #[sqlx(default)]
    plan: Option<String>,
}

/// One that reads more than its fields say.
#[derive(Debug, Clone, PartialEq, Eq, AuthUser)]
#[auth_user(table = "accounts")]
struct Composed {
    id: i64,
    name: String,
}

impl<'r, R> FromRow<'r, R> for Composed
where
    R: sqlx::Row,
    &'static str: sqlx::ColumnIndex<R>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let (name, title): (String, String) = (row.try_get("name")?, row.try_get("title")?);
        Ok(Self { id: row.try_get("id")?, name: format!("{title} {name}") })
    }
}

fn ada() -> Account {
    Account { id: 1, name: "Ada".to_owned() }
}

/// A session from its creation to its end.
async fn lives<T>(store: impl SessionUserStore<T>, user: T)
where
    T: AuthUser + Clone + PartialEq + std::fmt::Debug,
{
    let auth = Auth::<T>::builder(store).build().unwrap();
    let session = auth.create_session(&user).await.unwrap();
    let token = session.token().expose_secret();
    let found = auth.validate_session_user(token).await.unwrap();
    assert_eq!(found.map(|(_, found)| found.into_inner()), Some(user));
    auth.invalidate_session(session.id()).await.unwrap();
    assert!(auth.validate_session(token).await.unwrap().is_none());
}

fn complaint(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(StoreError::Schema(complaint)) => complaint,
        other => panic!("{other:?}"),
    }
}

/// A refusal has one sentence that says all of this.
#[track_caller]
fn says(complaint: &str, parts: &[&str]) {
    for part in parts {
        assert!(complaint.contains(part), "no {part:?} in: {complaint}");
    }
    assert!(!complaint.contains('\n') && !complaint.contains("  "), "{complaint}");
}

/// How a database of its own is opened, and SQL run in it.
macro_rules! place {
    ($database:ty, $place:ty, $open:expr) => {
        use super::*;

        type Db = $database;

        async fn run<T: AuthUser>(store: &SqlStore<Db, T>, sql: &str) {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(store.pool()).await;
            done.unwrap_or_else(|error| panic!("{error} in: {sql}"));
        }

        /// A store in a database of its own, in which this SQL has been run.
        async fn store<T: AuthUser>(sql: &str) -> ($place, SqlStore<Db, T>) {
            let (place, store): ($place, SqlStore<Db, T>) = $open.await;
            run(&store, sql).await;
            (place, store)
        }

        /// The same for a type of user whose table is there.
        fn of<T: AuthUser>(store: &SqlStore<Db, impl AuthUser>) -> SqlStore<Db, T> {
            SqlStore::new(store.pool().clone())
        }

        async fn count(store: &SqlStore<Db, impl AuthUser>, table: &str) -> i64 {
            let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap()
        }
    };
}

/// What holds on every database.
macro_rules! on_every_database {
    () => {
        const ACCOUNTS: &str = "CREATE TABLE accounts \
            (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL, avatar VARCHAR(50)); \
            INSERT INTO accounts VALUES (1, 'Ada', 'png')";

        const BOTH: &str = "CREATE TABLE accounts \
            (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL); \
            CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL); \
            INSERT INTO accounts VALUES (1, 'Ada'); INSERT INTO staff VALUES (1, 'Grace')";

        #[actix_web::test]
        async fn an_unread_column_may_be_dropped_while_the_app_runs() {
            let (_place, store) = store::<Account>(ACCOUNTS).await;
            store.migrate().await.unwrap();
            let auth = Auth::<Account>::builder(store.clone()).build().unwrap();
            let session = auth.create_session(&ada()).await.unwrap();
            let token = session.token().expose_secret();
            for change in [
                "SELECT 1",
                "ALTER TABLE accounts RENAME COLUMN avatar TO picture",
                "ALTER TABLE accounts DROP COLUMN picture",
                "ALTER TABLE accounts ADD COLUMN locale VARCHAR(9)",
            ] {
                run(&store, change).await;
                for _ in 0..3 {
                    let found = auth.validate_session_user(token).await.unwrap();
                    assert_eq!(found.map(|(_, user)| user.into_inner()), Some(ada()), "{change}");
                }
                store.check().await.unwrap();
            }
        }

        #[actix_web::test]
        async fn a_column_with_a_default_may_be_dropped_and_added_again() {
            let (_place, store) = store::<WithPlan>(
                "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, plan VARCHAR(9)); \
                 INSERT INTO accounts VALUES (1, 'gold')",
            )
            .await;
            store.migrate().await.unwrap();
            let auth = Auth::<WithPlan>::builder(store.clone()).build().unwrap();
            let user = WithPlan { id: 1, plan: Some("gold".to_owned()) };
            let session = auth.create_session(&user).await.unwrap();
            let token = session.token().expose_secret();
            let plan = async || {
                let (_, user) = auth.validate_session_user(token).await.unwrap().unwrap();
                user.into_inner().plan
            };
            assert_eq!(plan().await.as_deref(), Some("gold"));
            run(&store, "ALTER TABLE accounts DROP COLUMN plan").await;
            assert_eq!(plan().await, None);
            store.check().await.unwrap();
            run(&store, "ALTER TABLE accounts ADD COLUMN plan VARCHAR(9) DEFAULT 'free'").await;
            store.check().await.unwrap();
            assert_eq!(plan().await.as_deref(), Some("free"));
        }

        #[actix_web::test]
        async fn a_type_that_reads_unlisted_columns_gets_all_columns() {
            let (_place, store) = store::<Composed>(
                "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(9) NOT NULL, \
                 title VARCHAR(9) NOT NULL); INSERT INTO accounts VALUES (1, 'Hopper', 'Admiral')",
            )
            .await;
            let user = Composed { id: 1, name: "Admiral Hopper".to_owned() };
            store.migrate().await.unwrap();
            lives(store.clone(), user.clone()).await;
            // Also by a store that nobody has checked.
            lives(of::<Composed>(&store), user).await;
        }

        #[actix_web::test]
        async fn a_field_without_a_column_is_reported_with_or_without_users() {
            let table = "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, title VARCHAR(9))";
            for rows in ["", "; INSERT INTO accounts VALUES (1, 'Ada')"] {
                let (_place, store) = store::<Account>(&format!("{table}{rows}")).await;
                let parts = ["`accounts` has no column `name`", "`#[sqlx(rename = \"..\")]`"];
                says(&complaint(store.migrate().await), &parts);
                says(&complaint(store.check().await), &parts);
            }
        }

        #[actix_web::test]
        async fn a_field_of_another_type_than_its_column_is_reported_at_startup() {
            let (_place, store) = store::<Account>(
                "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name BIGINT NOT NULL); \
                 INSERT INTO accounts VALUES (1, 7)",
            )
            .await;
            says(&complaint(store.migrate().await), &["`accounts`", "\"name\"", "mismatched types", "change the type"]);
        }

        #[actix_web::test]
        async fn an_id_that_is_not_unique_is_refused() {
            for columns in [
                "id BIGINT NOT NULL, name VARCHAR(9) NOT NULL",
                "id BIGINT NOT NULL, name VARCHAR(9) NOT NULL, PRIMARY KEY (name, id)",
                "id BIGINT NOT NULL, name VARCHAR(9) NOT NULL, UNIQUE (name, id)",
            ] {
                let table = format!("CREATE TABLE accounts ({columns})");
                let (_place, store) = store::<Account>(&table).await;
                let parts = ["`accounts.id` is not unique", "primary key"];
                says(&complaint(store.migrate().await), &parts);
                says(&complaint(store.check().await), &parts);
            }
            let (_place, store) = store::<Account>(
                "CREATE TABLE accounts (name VARCHAR(9) NOT NULL, id BIGINT NOT NULL UNIQUE, \
                 PRIMARY KEY (name, id)); INSERT INTO accounts VALUES ('Ada', 1)",
            )
            .await;
            store.migrate().await.unwrap();
            lives(store, ada()).await;
        }

        #[actix_web::test]
        async fn two_types_of_user_share_one_database() {
            let (_place, accounts) = store::<Account>(BOTH).await;
            let staff = of::<Staff>(&accounts);
            for _ in 0..2 {
                accounts.migrate().await.unwrap();
                staff.migrate().await.unwrap();
            }
            let grace = Staff { id: 1, name: "Grace".to_owned() };
            let people = Auth::<Account>::builder(accounts.clone()).build().unwrap();
            let office = Auth::<Staff>::builder(staff.clone()).build().unwrap();
            let session = people.create_session(&ada()).await.unwrap();
            let other = office.create_session(&grace).await.unwrap();
            let (token, other) = (session.token().expose_secret(), other.token().expose_secret());
            assert!(people.validate_session(token).await.unwrap().is_some());
            assert!(office.validate_session(other).await.unwrap().is_some());
            assert!(people.validate_session(other).await.unwrap().is_none());
            assert!(office.validate_session(token).await.unwrap().is_none());
            // The end of the one is no end of the other.
            run(&accounts, "DELETE FROM staff").await;
            assert!(people.validate_session(token).await.unwrap().is_some());
            let counts = [count(&accounts, "user_sessions").await, count(&staff, "staff_sessions").await];
            assert_eq!(counts, [1, 0]);
            assert_eq!(count(&staff, "staff_sessions_guests").await, 0);
        }

        #[actix_web::test]
        async fn the_table_of_sessions_of_another_user_type_is_left_alone() {
            let (_place, accounts) = store::<Account>(BOTH).await;
            accounts.migrate().await.unwrap();
            run(&accounts, "INSERT INTO accounts VALUES (2, 'Eve')").await;
            let people = Auth::<Account>::builder(accounts.clone()).build().unwrap();
            let eve = Account { id: 2, name: "Eve".to_owned() };
            let session = people.create_session(&eve).await.unwrap();
            let parts = ["its sessions are those of `accounts`", "`#[auth_user(sessions = \"..\")]`"];
            let mistaken = of::<Mistaken>(&accounts);
            says(&complaint(mistaken.migrate().await), &parts);
            says(&complaint(mistaken.check().await), &parts);
            assert!(people.validate_session(session.token().expose_secret()).await.unwrap().is_some());
            accounts.check().await.unwrap();
        }

        #[actix_web::test]
        async fn a_view_of_users_needs_no_foreign_key() {
            let (_place, accounts) = store::<Account>(
                "CREATE TABLE people (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL); \
                 INSERT INTO people VALUES (1, 'Ada'); \
                 CREATE VIEW accounts AS SELECT id, name FROM people",
            )
            .await;
            let parts = ["`accounts.id` is not unique", "`SqlStore::without_foreign_keys`"];
            says(&complaint(accounts.migrate().await), &parts);

            let without = accounts.clone().without_foreign_keys();
            without.migrate().await.unwrap();
            without.migrate().await.unwrap();
            lives(without.clone(), ada()).await;

            let auth = Auth::<Account>::builder(without.clone()).build().unwrap();
            let session = auth.create_session(&ada()).await.unwrap();
            run(&accounts, "DELETE FROM people").await;
            let token = session.token().expose_secret();
            assert!(auth.validate_session_user(token).await.unwrap().is_none());
            assert!(auth.validate_session(token).await.unwrap().is_none());
            assert_eq!(count(&accounts, "user_sessions").await, 1);
            let gone = auth.create_session(&ada()).await;
            assert!(matches!(gone, Err(locals::Error::UserGone)), "{gone:?}");
        }

        #[actix_web::test]
        async fn optional_columns_of_a_later_version_are_accepted() {
            let (_place, store) = store::<Account>(ACCOUNTS).await;
            store.migrate().await.unwrap();
            run(&store, "ALTER TABLE user_sessions ADD COLUMN later_text VARCHAR(9)").await;
            run(&store, "ALTER TABLE user_sessions ADD COLUMN later BIGINT NOT NULL DEFAULT 3").await;
            run(&store, "ALTER TABLE guest_sessions ADD COLUMN later BIGINT").await;
            store.check().await.unwrap();
            store.migrate().await.unwrap();
            lives(store, ada()).await;
        }

        #[actix_web::test]
        async fn a_column_may_be_named_as_a_placeholder_or_with_quotes() {
            let odd = r#"a"b`c"#;
            let (quoted, other) = if Db::QUOTE == '"' {
                (odd.replace('"', "\"\""), '"')
            } else {
                (odd.replace('`', "``"), '`')
            };
            let (_place, store) = store::<Composed>(&format!(
                "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, {other}{{users}}{other} BIGINT, \
                 {other}{quoted}{other} BIGINT, name VARCHAR(9) NOT NULL, title VARCHAR(9) NOT NULL); \
                 INSERT INTO accounts VALUES (1, 2, 3, 'Hopper', 'Admiral')"
            ))
            .await;
            store.migrate().await.unwrap();
            lives(store, Composed { id: 1, name: "Admiral Hopper".to_owned() }).await;
        }
    };
}

/// What stands around names.
trait Quote {
    const QUOTE: char;
}

impl Quote for sqlx::Sqlite {
    const QUOTE: char = '"';
}

#[cfg(feature = "postgres")]
impl Quote for sqlx::Postgres {
    const QUOTE: char = '"';
}

#[cfg(feature = "mysql")]
impl Quote for sqlx::MySql {
    const QUOTE: char = '`';
}

mod sqlite {
    place!(sqlx::Sqlite, tempfile::TempDir, async {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("app.db").display().to_string();
        (directory, SqlStore::sqlite(&path).await.unwrap())
    });
    on_every_database!();

    #[actix_web::test]
    async fn a_generated_column_is_a_column() {
        let (_place, store) = store::<Account>(
            "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, first TEXT NOT NULL, \
             name TEXT NOT NULL GENERATED ALWAYS AS (first) VIRTUAL); \
             INSERT INTO accounts (id, first) VALUES (1, 'Ada')",
        )
        .await;
        store.migrate().await.unwrap();
        lives(store, ada()).await;
    }

    #[actix_web::test]
    async fn changing_the_integer_type_of_the_id_needs_no_other_change() {
        let (_place, store) = store::<Account>(
            "CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, name TEXT NOT NULL); \
             INSERT INTO accounts VALUES (1, 'Ada')",
        )
        .await;
        store.migrate().await.unwrap();
        run(
            &store,
            "PRAGMA foreign_keys = OFF; CREATE TABLE wider (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL); \
             INSERT INTO wider SELECT * FROM accounts; DROP TABLE accounts; \
             ALTER TABLE wider RENAME TO accounts; PRAGMA foreign_keys = ON",
        )
        .await;
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        lives(store, ada()).await;
    }

    #[actix_web::test]
    async fn driver_options_keep_the_required_settings_and_their_own() {
        use sqlx::sqlite::SqliteConnectOptions;

        let directory = tempfile::TempDir::new().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(directory.path().join("app.db"))
            .create_if_missing(true)
            .foreign_keys(false)
            .page_size(8192);
        let store = SqlStore::<Db, Account>::sqlite_with(options, 3).await.unwrap();
        assert_eq!(store.pool().options().get_max_connections(), 3);
        for (pragma, expected) in [
            ("foreign_keys", "1"),
            ("page_size", "8192"),
            ("journal_mode", "wal"),
            ("synchronous", "2"),
        ] {
            let sql = AssertSqlSafe(format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"));
            let value: String = sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
        let memory = SqliteConnectOptions::new().in_memory(true);
        let store = SqlStore::<Db, Account>::sqlite_with(memory, 3).await.unwrap();
        assert_eq!(store.pool().options().get_max_connections(), 1);
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    place!(sqlx::Postgres, TestDatabase<sqlx::Postgres>, crate::postgres());
    on_every_database!();

    /// Sessions in a schema of their own.
    #[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
    #[auth_user(table = "auth.accounts", sessions = "auth.logins")]
    struct Elsewhere {
        id: i64,
        name: String,
    }

    #[actix_web::test]
    async fn sessions_may_be_in_another_schema() {
        let (_place, store) = store::<Elsewhere>(
            "CREATE SCHEMA auth; \
             CREATE TABLE auth.accounts (id BIGINT PRIMARY KEY, name TEXT NOT NULL); \
             INSERT INTO auth.accounts VALUES (1, 'Ada')",
        )
        .await;
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        lives(store.clone(), Elsewhere { id: 1, name: "Ada".to_owned() }).await;
        assert_eq!(count(&store, "auth.logins_guests").await, 0);
    }

    #[actix_web::test]
    async fn a_name_in_another_case_is_reported_as_another_name() {
        let (_place, store) =
            store::<Account>("CREATE TABLE accounts (\"Id\" BIGINT PRIMARY KEY, name TEXT)").await;
        let parts = ["no column `id`, but `Id`", "`#[auth_user(id = \"Id\")]`"];
        says(&complaint(store.migrate().await), &parts);
    }

    #[actix_web::test]
    async fn a_column_that_is_widened_while_the_app_runs_stays_readable() {
        let (_place, store) = store::<Account>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        let auth = Auth::<Account>::builder(store.clone()).build().unwrap();
        let session = auth.create_session(&ada()).await.unwrap();
        let token = session.token().expose_secret();
        assert!(auth.validate_session_user(token).await.unwrap().is_some());
        run(&store, "ALTER TABLE accounts ALTER COLUMN name TYPE VARCHAR(200)").await;
        for _ in 0..20 {
            assert!(auth.validate_session_user(token).await.unwrap().is_some());
        }
        store.check().await.unwrap();
    }

    /// A user whose row is read inside transactions of the app.
    #[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
    #[auth_user(table = "accounts")]
    struct Bound {
        id: i64,
        #[auth_user(credential)]
        name: String,
    }

    #[actix_web::test]
    async fn widening_a_column_breaks_no_transaction_of_the_app() {
        let (_place, store) = store::<Bound>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        let auth = Auth::<Bound>::builder(store.clone()).build().unwrap();
        let user = Bound { id: 1, name: "Ada".to_owned() };
        let mut session = auth.create_session(&user).await.unwrap();
        // The one connection that has prepared the statement is the one that meets the change.
        let mut connection = store.pool().acquire().await.unwrap();
        for change in ["SELECT 1", "ALTER TABLE accounts ALTER COLUMN name TYPE VARCHAR(200)"] {
            run(&store, change).await;
            let mut transaction = sqlx::Connection::begin(&mut *connection).await.unwrap();
            let mut within = auth.within(&mut transaction).unwrap();
            session = within.reauthenticate(&session).await.unwrap().unwrap();
            transaction.commit().await.unwrap();
        }
        let token = session.token().expose_secret();
        assert!(auth.validate_session_user(token).await.unwrap().is_some());
    }

    #[actix_web::test]
    async fn the_sessions_follow_a_widened_id() {
        let (_place, store) = store::<Account>(
            "CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL); \
             INSERT INTO accounts VALUES (1, 'Ada')",
        )
        .await;
        run(&store, "ALTER TABLE accounts ALTER COLUMN id TYPE INTEGER").await;
        let narrow = of::<Narrow>(&store);
        narrow.migrate().await.unwrap();
        let auth = Auth::<Narrow>::builder(narrow.clone()).build().unwrap();
        let session = auth.create_session(&Narrow { id: 1 }).await.unwrap();
        run(&store, "ALTER TABLE accounts ALTER COLUMN id TYPE BIGINT").await;
        says(&complaint(store.check().await), &["`user_id` is integer", "call `store.migrate()`"]);
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        let wide = Auth::<Account>::builder(store.clone()).build().unwrap();
        let found = wide.validate_session(session.token().expose_secret()).await.unwrap();
        assert!(found.is_some());
        run(&store, "INSERT INTO accounts VALUES (4294967296, 'Bob')").await;
        lives(store, Account { id: 4_294_967_296, name: "Bob".to_owned() }).await;
    }

    #[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
    #[auth_user(table = "accounts")]
    struct Narrow {
        id: i32,
    }

    /// A role that may do this much, and a store that connects as it; the role goes with the guard.
    async fn as_role(
        store: &SqlStore<Db, Account>,
        url: &str,
        grants: &str,
    ) -> (String, SqlStore<Db, Account>) {
        let role = format!("locals_test_{}", uuid::Uuid::new_v4().simple());
        run(store, &format!("CREATE ROLE {role} LOGIN; {}", grants.replace("{role}", &role))).await;
        let url = url.replace("postgres://postgres@", &format!("postgres://{role}@"));
        (role, SqlStore::postgres(&url).await.unwrap())
    }

    async fn drop_role(store: &SqlStore<Db, Account>, role: &str) {
        run(store, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }

    #[actix_web::test]
    async fn a_role_that_may_read_the_listed_columns_suffices() {
        let (place, store) = store::<Account>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        let grants = "GRANT SELECT (id, name) ON accounts TO {role}; \
            GRANT SELECT, INSERT, UPDATE, DELETE ON user_sessions, guest_sessions TO {role}";
        let (role, limited) = as_role(&store, &place.url(), grants).await;
        limited.migrate().await.unwrap();
        limited.check().await.unwrap();
        lives(limited.clone(), ada()).await;
        limited.pool().close().await;
        drop_role(&store, &role).await;
    }

    #[actix_web::test]
    async fn the_error_for_a_role_without_rights_names_the_grants() {
        let (place, store) = store::<Account>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        for grants in [
            "GRANT SELECT (id) ON accounts TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON user_sessions, guest_sessions TO {role}",
            "GRANT SELECT ON accounts TO {role}; GRANT SELECT ON user_sessions, guest_sessions TO {role}",
            "GRANT SELECT ON accounts TO {role}; \
             GRANT SELECT, UPDATE, DELETE ON user_sessions, guest_sessions TO {role}",
            "GRANT SELECT ON accounts TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON user_sessions TO {role}",
        ] {
            let (role, limited) = as_role(&store, &place.url(), grants).await;
            let parts = ["grant SELECT, INSERT, UPDATE and DELETE on `user_sessions`", "id, name"];
            says(&complaint(limited.check().await), &parts);
            limited.pool().close().await;
            drop_role(&store, &role).await;
        }
    }

    #[actix_web::test]
    async fn driver_options_keep_the_required_settings_and_their_own() {
        let place = TestDatabase::<Db>::new().await;
        let options: sqlx::postgres::PgConnectOptions = place.url().parse().unwrap();
        let options = options.application_name("shop").options([("lock_timeout", "5s")]);
        let store = SqlStore::<Db, Account>::postgres_with(options, 3).await.unwrap();
        assert_eq!(store.pool().options().get_max_connections(), 3);
        for (name, expected) in [("lock_timeout", "5s"), ("application_name", "shop")] {
            let sql = AssertSqlSafe(format!("SHOW {name}"));
            let value: String = sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap();
            assert_eq!(value, expected);
        }
    }

    #[actix_web::test]
    async fn an_error_of_the_server_is_reported_unchanged() {
        let error =
            SqlStore::<Db, Account>::postgres("postgres://a@127.0.0.1:1/b").await.unwrap_err();
        refused(&error);
    }
}

/// Whether an error says why there is no connection, and not only that there was none in time.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn refused(error: &StoreError) {
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| {
        std::error::Error::source(*cause)
    });
    assert!(causes.any(|cause| cause.to_string().contains("refused")), "{error:?}");
}

#[cfg(feature = "mysql")]
mod mysql {
    place!(sqlx::MySql, TestDatabase<sqlx::MySql>, crate::mysql());
    on_every_database!();

    #[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
    #[auth_user(table = "accounts")]
    struct Narrow {
        id: i32,
    }

    #[actix_web::test]
    async fn the_sessions_follow_a_widened_id() {
        let (_place, store) = store::<Account>(
            "CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, name VARCHAR(9) NOT NULL); \
             INSERT INTO accounts VALUES (1, 'Ada')",
        )
        .await;
        let narrow = of::<Narrow>(&store);
        narrow.migrate().await.unwrap();
        let auth = Auth::<Narrow>::builder(narrow.clone()).build().unwrap();
        let session = auth.create_session(&Narrow { id: 1 }).await.unwrap();
        // As the guide has it: the foreign key is in the way.
        run(
            &store,
            "ALTER TABLE user_sessions DROP FOREIGN KEY user_sessions_ibfk_1; \
             ALTER TABLE accounts MODIFY id BIGINT NOT NULL",
        )
        .await;
        says(&complaint(store.check().await), &["`user_id` is int", "call `store.migrate()`"]);
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        let wide = Auth::<Account>::builder(store.clone()).build().unwrap();
        let token = session.token().expose_secret();
        assert!(wide.validate_session(token).await.unwrap().is_some());
        run(&store, "DELETE FROM accounts").await;
        assert_eq!(count(&store, "user_sessions").await, 0);
    }

    #[actix_web::test]
    async fn writing_sessions_and_then_users_causes_no_deadlock() {
        let (_place, store) = store::<Account>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        let auth = Auth::<Account>::builder(store.clone()).build().unwrap();
        let write = || async {
            let mut transaction = store.pool().begin().await?;
            auth.within(&mut transaction).unwrap().create_session(&ada()).await.unwrap();
            sqlx::query("UPDATE accounts SET avatar = 'new' WHERE id = 1")
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        for _ in 0..10 {
            for written in futures_util::future::join_all((0..8).map(|_| write())).await {
                written.unwrap_or_else(|error: sqlx::Error| panic!("{error}"));
            }
        }
        assert_eq!(count(&store, "user_sessions").await, 80);
    }

    #[actix_web::test]
    async fn a_missing_index_is_put_back() {
        let (_place, store) = store::<Account>(ACCOUNTS).await;
        store.migrate().await.unwrap();
        run(&store, "ALTER TABLE user_sessions DROP INDEX user_sessions_by_expiry").await;
        says(
            &complaint(store.check().await),
            &["user_sessions_by_expiry", "call `store.migrate()`"],
        );
        store.migrate().await.unwrap();
        store.check().await.unwrap();
    }

    #[actix_web::test]
    async fn an_error_of_the_server_is_reported_unchanged() {
        let error = SqlStore::<Db, Account>::mysql("mysql://a@127.0.0.1:1/b").await.unwrap_err();
        refused(&error);
        let pool = sqlx::mysql::MySqlPoolOptions::new()
            .acquire_timeout(std::time::Duration::from_millis(300))
            .connect_lazy("mysql://a@127.0.0.1:1/b")
            .unwrap();
        refused(&SqlStore::<Db, Account>::new(pool).check().await.unwrap_err());
    }
}
