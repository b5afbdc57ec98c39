//! `PgBouncer` between an app and PostgreSQL: right, or refused with the setting to change.

use futures_util::future::join_all;
use locals::store::SqlStore;
use sqlx::Postgres;

use crate::{
    pgbouncer::{Mode, PgBouncer, keeps_prepared_statements},
    support::{Account, Client, Engine, Fixture, pool_of, refusal},
};

/// What a refusal names: the two ways out.
fn assert_names_the_settings(refusal: &str) {
    for setting in ["max_prepared_statements", "pool_mode = session"] {
        assert!(refusal.contains(setting), "`{setting}` is not named: {refusal}");
    }
}

async fn client_of(store: SqlStore<Postgres, Account>) -> Client {
    Client::of(&Postgres::builder(store).build().unwrap()).await
}

/// 480 requests of ten simultaneous visitors, each answered as without a pooler.
async fn assert_all_is_right(client: &Client, elsewhere: &Client) {
    join_all((0..10).map(async |visitor: i64| {
        let id = 1 + visitor % 9;
        for _ in 0..16 {
            let token = client.login(id, "").await.token();
            assert_eq!(client.me(&token).await.body, format!("name-{id}"));
            assert!(elsewhere.me(&token).await.is_ok());
            assert!(client.logout(&token).await.removes_the_cookie());
            assert_eq!(elsewhere.me(&token).await.status, 401);
        }
    }))
    .await;
}

/// A store that is opened there does all that one on the server itself does.
async fn assert_works_behind(pooler: &PgBouncer, direct: &Fixture<Postgres>) {
    let store = Postgres::open(&pooler.url()).await;
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    let client = client_of(store.clone()).await;
    assert_all_is_right(&client, &direct.client).await;
    store.check().await.unwrap();
    store.pool().close().await;
}

#[actix_web::test]
async fn everything_works_behind_a_pooler_in_session_mode() {
    let direct = Fixture::<Postgres>::new().await;
    // As many as a store opens: here, each of its connections has one of the pooler's.
    let pooler = PgBouncer::new(&direct.url, Mode::Session, 10);
    assert_works_behind(&pooler, &direct).await;
}

#[actix_web::test]
async fn a_pooler_that_shares_connections_is_refused_and_its_setting_named() {
    let direct = Fixture::<Postgres>::new().await;
    for (mode, size) in [(Mode::Transaction, 4), (Mode::Transaction, 1), (Mode::Statement, 4)] {
        let pooler = PgBouncer::new(&direct.url, mode, size);
        let opened = SqlStore::<Postgres, Account>::postgres(&pooler.url()).await;
        assert_names_the_settings(&refusal(opened));
        let pool = pool_of::<Postgres>(&pooler.url(), 10, "").await;
        let store = SqlStore::<_, Account>::new(pool.clone());
        assert_names_the_settings(&refusal(store.check().await));
        assert_names_the_settings(&refusal(store.migrate().await));
        pool.close().await;
    }
    direct.store.check().await.unwrap();
}

#[actix_web::test]
async fn a_pool_of_one_connection_to_a_pooler_that_shares_it_is_refused_too() {
    let direct = Fixture::<Postgres>::new().await;
    let pooler = PgBouncer::new(&direct.url, Mode::Transaction, 2);
    let pool = pool_of::<Postgres>(&pooler.url(), 1, "").await;
    let store = SqlStore::<_, Account>::new(pool.clone());
    assert_names_the_settings(&refusal(store.check().await));
    pool.close().await;
}

#[actix_web::test]
async fn a_pooler_that_separates_prepared_statements_may_share_connections() {
    let direct = Fixture::<Postgres>::new().await;
    if !keeps_prepared_statements() {
        // Older than 1.21, it does not know the setting: then there is no way to share them.
        let pooler = PgBouncer::new(&direct.url, Mode::Transaction, 4);
        let opened = SqlStore::<Postgres, Account>::postgres(&pooler.url()).await;
        assert_names_the_settings(&refusal(opened));
        return;
    }
    let pooler = PgBouncer::keeping(&direct.url, Mode::Transaction, 4, 200);
    assert_works_behind(&pooler, &direct).await;
}

#[actix_web::test]
async fn errors_behind_a_pooler_that_later_shares_connections_are_503() {
    let direct = Fixture::<Postgres>::new().await;
    let pooler = PgBouncer::new(&direct.url, Mode::Session, 10);
    let store = Postgres::open(&pooler.url()).await;
    let client = &client_of(store.clone()).await;
    // So that each connection has prepared statements, in an order of its own.
    join_all((0..10).map(async |visitor: i64| {
        let token = match visitor % 3 {
            0 => client.token(1).await,
            _ => direct.client.token(1).await,
        };
        if visitor % 2 == 0 {
            assert!(client.me(&token).await.is_ok());
        }
        assert!(client.logout(&token).await.is_ok());
        assert_eq!(client.me(&token).await.status, 401);
    }))
    .await;

    pooler.change(Mode::Transaction, 10);
    // A statement that has become another one need not fail; but what fails is 503, and nobody is told to
    // have no session by an error.
    let unavailable = join_all((0..10).map(async |visitor: i64| {
        let mut unavailable = 0;
        for _ in 0..15 {
            let token = direct.client.token(1 + visitor % 9).await;
            for reply in [client.me(&token).await, client.logout(&token).await] {
                assert!([200, 401, 503].contains(&reply.status.as_u16()), "{reply:?}");
                unavailable += u32::from(reply.is_unavailable());
            }
        }
        unavailable
    }));
    assert!(unavailable.await.iter().sum::<u32>() > 0, "nothing has failed");
    assert_names_the_settings(&refusal(store.check().await));
    let opened = SqlStore::<Postgres, Account>::postgres(&pooler.url()).await;
    assert_names_the_settings(&refusal(opened.map(drop)));
    store.pool().close().await;
}
