//! The table of sessions on servers: made, brought up to date, and checked.

use futures_util::future::join_all;
use locals::StoreError;

use crate::{
    servers::Server,
    support::{Account, Client, Engine, Fixture, run},
    tests_on,
};

tests_on!(servers: [
    check_names_what_is_missing,
    migrate_brings_an_older_table_up_to_date_and_keeps_its_rows,
    ten_processes_may_migrate_at_the_same_time,
    the_printed_sql_makes_what_check_expects,
]);

fn complaint(checked: Result<(), StoreError>) -> String {
    match checked {
        Err(StoreError::Schema(complaint)) => complaint,
        other => panic!("the schema is not found wanting: {other:?}"),
    }
}

async fn check_names_what_is_missing<E: Engine + Server>() {
    let (_place, url) = E::place().await;
    let empty = E::open(&url).await;
    let complained = complaint(empty.check().await);
    assert!(complained.contains("the table of users `accounts` is missing"), "{complained}");
    run(&empty, "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(99))").await;
    let complained = complaint(empty.check().await);
    assert!(complained.contains("the table `user_sessions` is missing"), "{complained}");
    assert!(complained.contains("store.migrate()"), "{complained}");

    let Fixture { store, .. } = &Fixture::<E>::new().await;
    run(store, "ALTER TABLE user_sessions DROP COLUMN absolute_expires_at").await;
    let complained = complaint(store.check().await);
    assert!(complained.contains("the column `absolute_expires_at` is missing"), "{complained}");
    let complained = complaint(store.migrate().await);
    assert!(complained.contains("the column `absolute_expires_at` is missing"), "{complained}");
}

async fn migrate_brings_an_older_table_up_to_date_and_keeps_its_rows<E: Engine + Server>() {
    let fixture = Fixture::<E>::new().await;
    let store = &fixture.store;
    let session = fixture.auth.create_session(&Account::numbered(1)).await.unwrap();
    fixture.client.token(2).await;
    for column in [
        "user_agent",
        "address",
        "authenticated_at",
        "renewed_at",
        "active_period",
        "idle_period",
        "is_persistent",
        "actor_session",
        "data_revision",
        "rotation",
        "data",
    ] {
        run(store, &format!("ALTER TABLE user_sessions DROP COLUMN {column}")).await;
        let complained = complaint(store.check().await);
        assert!(complained.contains(&format!("the column `{column}` is missing")), "{complained}");
    }
    run(store, "DROP TABLE guest_sessions").await;
    let complained = complaint(store.check().await);
    assert!(complained.contains("the table `guest_sessions` is missing"), "{complained}");
    // As when the new version starts on many nodes at the same time.
    let starts = (0..5).map(|_| async {
        let store = E::open(&fixture.url).await;
        store.migrate().await.unwrap();
        store
    });
    let stores = join_all(starts).await;
    store.check().await.unwrap();
    assert_eq!(fixture.sessions().await, 2);
    let client = Client::of(&E::builder(stores[0].clone()).build().unwrap()).await;
    assert_eq!(client.me(session.token().expose_secret()).await.body, "name-1");
    let filled = "SELECT COUNT(*) FROM user_sessions WHERE authenticated_at = created_at \
                  AND renewed_at = created_at AND is_persistent = 1 AND data_revision = 0";
    assert_eq!(E::number(store.pool(), filled).await, 2);
}

async fn ten_processes_may_migrate_at_the_same_time<E: Engine + Server>() {
    let (_place, url) = E::place().await;
    let store = E::open(&url).await;
    run(&store, "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(99))").await;
    let starts = (0..10).map(|_| async {
        let store = E::open(&url).await;
        let migrated = store.migrate().await;
        store.pool().close().await;
        migrated
    });
    for migrated in join_all(starts).await {
        migrated.unwrap();
    }
    store.check().await.unwrap();
}

async fn the_printed_sql_makes_what_check_expects<E: Engine + Server>() {
    let (_place, url) = E::place().await;
    let store = E::open(&url).await;
    run(&store, "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(99))").await;
    let sql = store.migration_sql().await.unwrap();
    run(&store, &sql).await;
    store.check().await.unwrap();
    assert_eq!(store.migration_sql().await.unwrap(), sql, "whatever is there");
}
