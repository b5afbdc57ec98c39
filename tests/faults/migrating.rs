//! `migrate` beside requests: who has nothing to do waits for nobody, and who must wait says for whom.

use sqlx::Sqlite;
use tokio::time::timeout;

use crate::{
    cancelled::polled,
    support::{Account, Engine, Fixture, TIMEOUT, begin, connect, run},
    tests_on,
};

tests_on!(all: [
    with_nothing_to_do_migrate_waits_for_no_uncommitted_login,
]);

async fn with_nothing_to_do_migrate_waits_for_no_uncommitted_login<E: Engine>() {
    let fixture = Fixture::<E>::new().await;
    let mut held = begin(&fixture.store).await;
    let mut within = fixture.auth.within(&mut held).unwrap();
    within.create_session(&Account::numbered(1)).await.unwrap();
    // As a node that starts.
    let node = E::open(&fixture.url).await;
    let migrated = timeout(TIMEOUT, node.migrate()).await.expect("it waits for a lock");
    migrated.unwrap();
    node.check().await.unwrap();
    held.commit().await.unwrap();
    assert_eq!(fixture.sessions().await, 1);
}

#[actix_web::test]
async fn a_cancelled_migrate_on_sqlite_leaves_no_transaction_open() {
    let fixture = Fixture::<Sqlite>::new().await;
    let node = Sqlite::open(&fixture.url).await;
    let mut other = connect::<Sqlite>(&fixture.url).await;
    let mut ended = 0;
    for times in (0..60).chain((60..600).step_by(30)) {
        run(&fixture.store, "DROP INDEX IF EXISTS user_sessions_by_expiry").await;
        ended += u32::from(polled(node.migrate(), times).await);
        // It has the driver's default timeout, for what is still in progress.
        let write = "UPDATE accounts SET name = name WHERE id = 1";
        let written = Sqlite::run_on(&mut other, write).await;
        assert!(written.is_ok(), "after {times} polls: {written:?}");
        assert!(fixture.client.login(1, "").await.is_ok(), "after {times} polls");
    }
    assert!((1..60).contains(&ended), "{ended} came to their end");
    node.migrate().await.unwrap();
    node.check().await.unwrap();
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn with_nothing_to_do_migrate_takes_no_lock_on_postgres() {
    use sqlx::Postgres;

    let fixture = Fixture::<Postgres>::new().await;
    let mut other = connect::<Postgres>(&fixture.url).await;
    // Only what reads may pass them.
    let locks = "BEGIN; LOCK TABLE user_sessions, guest_sessions, accounts IN EXCLUSIVE MODE; \
                 SELECT pg_advisory_lock(hashtext('locals: user_sessions'))";
    Postgres::run_on(&mut other, locks).await.unwrap();
    let node = Postgres::open(&fixture.url).await;
    timeout(TIMEOUT, node.migrate()).await.expect("it waits for a lock").unwrap();
    timeout(TIMEOUT, node.check()).await.expect("it waits for a lock").unwrap();
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn a_role_that_may_only_read_and_write_rows_passes_migrate_and_check_on_postgres() {
    use sqlx::Postgres;

    use crate::{
        own_postgres::OwnPostgres,
        support::{Client, populate},
    };

    let server = OwnPostgres::new();
    let owner = Postgres::open(&server.url()).await;
    populate(&owner).await;
    for sql in [
        "CREATE ROLE app LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, user_sessions, guest_sessions TO app",
    ] {
        run(&owner, sql).await;
    }
    let store = Postgres::open(&server.url().replace("postgres@", "app@")).await;
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    let client = Client::of(&Postgres::builder(store).build().unwrap()).await;
    let token = client.token(1).await;
    assert_eq!(client.me(&token).await.body, "name-1");
    assert!(client.logout(&token).await.removes_the_cookie());
}

#[cfg(feature = "mysql")]
#[actix_web::test]
async fn a_user_that_may_only_read_and_write_rows_passes_migrate_and_check_on_mariadb() {
    use sqlx::MySql;

    use crate::{
        own_mariadb::OwnMariadb,
        support::{Client, populate},
    };

    let server = OwnMariadb::new();
    let owner = MySql::open(&server.url()).await;
    populate(&owner).await;
    run(&owner, "CREATE USER clerk@'127.0.0.1'").await;
    for table in ["accounts", "user_sessions", "guest_sessions"] {
        let sql = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO clerk@'127.0.0.1'");
        run(&owner, &sql).await;
    }
    let store = MySql::open(&server.url().replace("root@", "clerk@")).await;
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    let client = Client::of(&MySql::builder(store).build().unwrap()).await;
    let token = client.token(1).await;
    assert_eq!(client.me(&token).await.body, "name-1");
    assert!(client.logout(&token).await.removes_the_cookie());
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod on_servers {
    use std::cell::Cell;

    use futures_util::future::join;
    use locals::store::SqlStore;

    use super::{Account, Engine, Fixture, begin, run, timeout};
    use crate::{
        servers::Server,
        support::{Client, refusal, said},
        tests_on,
    };

    tests_on!(servers: [
        migrate_behind_a_long_transaction_blocks_no_login_and_names_the_blocker,
    ]);

    /// However often it tries.
    const MIGRATE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

    trait Blocking: Engine {
        const DROP_INDEX: &'static str;
        /// The number of a connection, as an operator would name it to end it.
        const NUMBER: &'static str;

        fn own_number(connection: &mut Self::Connection) -> impl Future<Output = i64>;
    }

    macro_rules! blocking {
        ($database:ty, $number:literal, $drop:literal) => {
            impl Blocking for $database {
                const DROP_INDEX: &'static str = $drop;
                const NUMBER: &'static str = $number;

                async fn own_number(connection: &mut Self::Connection) -> i64 {
                    sqlx::query_scalar(Self::NUMBER).fetch_one(connection).await.unwrap()
                }
            }
        };
    }

    #[cfg(feature = "postgres")]
    blocking!(
        sqlx::Postgres,
        "SELECT pg_backend_pid()::bigint",
        "DROP INDEX user_sessions_by_expiry"
    );

    #[cfg(feature = "mysql")]
    blocking!(
        sqlx::MySql,
        "SELECT CAST(CONNECTION_ID() AS SIGNED)",
        "DROP INDEX user_sessions_by_expiry ON user_sessions"
    );

    /// Migrates while others log in all the time: each of them must succeed.
    async fn migrate_beside_log_ins<E: Engine>(
        client: &Client,
        node: &SqlStore<E, Account>,
    ) -> Result<(), locals::StoreError> {
        let migrating = Cell::new(true);
        let migrate = async {
            let migrated = timeout(MIGRATE_TIMEOUT, node.migrate()).await;
            migrating.set(false);
            migrated.expect("it gives up by itself")
        };
        let log_ins = async {
            let (mut done, mut failed) = (0, 0);
            while migrating.get() {
                failed += u32::from(!client.login(2, "").await.is_ok());
                done += 1;
            }
            (done, failed)
        };
        let (migrated, (done, failed)) = join(migrate, log_ins).await;
        assert_eq!(failed, 0, "of {done} logins while it waits");
        assert!(done > 0);
        migrated
    }

    async fn migrate_behind_a_long_transaction_blocks_no_login_and_names_the_blocker<
        E: Blocking + Server,
    >() {
        let fixture = Fixture::<E>::new().await;
        run(&fixture.store, E::DROP_INDEX).await;
        let node = E::open(&fixture.url).await;
        let mut held = begin(&fixture.store).await;
        let number = E::own_number(&mut held).await;
        let mut within = fixture.auth.within(&mut held).unwrap();
        within.create_session(&Account::numbered(1)).await.unwrap();

        let refused = migrate_beside_log_ins(&fixture.client, &node).await;
        let refused = said(&refused.expect_err("the transaction is in its way"));
        assert!(refused.contains(&number.to_string()), "{number} is not named: {refused}");
        // What it could not do is still to be done, and then it is.
        let missing = refusal(node.check().await);
        assert!(missing.contains("user_sessions_by_expiry"), "{missing}");
        held.commit().await.unwrap();
        node.migrate().await.unwrap();
        node.check().await.unwrap();
    }

    #[cfg(feature = "mysql")]
    #[actix_web::test]
    async fn a_migrate_lock_held_by_another_connection_is_an_error_that_names_it() {
        use sqlx::MySql;

        use super::{TIMEOUT, connect};
        use crate::{own_mariadb::OwnMariadb, support::populate};

        // As `migrate` names it, and as a version may that has one for each database.
        const LOCKS: &str = "SELECT GET_LOCK('locals: user_sessions', 10), \
             GET_LOCK(CONCAT('locals: ', DATABASE()), 10), \
             GET_LOCK(CONCAT('locals: user_sessions: ', DATABASE()), 10)";
        // The lock is one of the whole server.
        let server = OwnMariadb::new();
        let store = MySql::open(&server.url()).await;
        populate(&store).await;
        let client = Client::of(&MySql::builder(store.clone()).build().unwrap()).await;
        let mut other = connect::<MySql>(&server.url()).await;
        let number = MySql::own_number(&mut other).await;
        MySql::run_on(&mut other, LOCKS).await.unwrap();
        timeout(TIMEOUT, store.migrate())
            .await
            .expect("with nothing to do, it waits for no lock")
            .unwrap();
        run(&store, MySql::DROP_INDEX).await;
        let refused = migrate_beside_log_ins(&client, &store).await;
        let refused = said(&refused.expect_err("another migrates"));
        assert!(refused.contains(&number.to_string()), "{number} is not named: {refused}");
        MySql::run_on(&mut other, "DO RELEASE_ALL_LOCKS()").await.unwrap();
        store.migrate().await.unwrap();
        store.check().await.unwrap();
    }
}
