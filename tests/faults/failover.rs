//! Connections to a server that has become a replica: left for new ones, in the same request.

use futures_util::future::join_all;

use crate::{
    servers::Server,
    support::{Engine, Fixture, TIMEOUT},
    tests_on,
};

tests_on!(servers: [
    a_login_on_a_connection_to_a_replica_is_retried_on_another,
    with_only_replicas_left_writes_are_503_and_reads_work,
]);

/// What a connection answers from then on is what a primary that was demoted answers on those that
/// it still has.
trait Demoted: Engine {
    const DEMOTE: &'static str;
}

#[cfg(feature = "postgres")]
impl Demoted for sqlx::Postgres {
    // 25006.
    const DEMOTE: &'static str = "SET default_transaction_read_only = on";
}

#[cfg(feature = "mysql")]
impl Demoted for sqlx::MySql {
    // 1792, also with SQLSTATE 25006.
    const DEMOTE: &'static str = "SET SESSION TRANSACTION READ ONLY";
}

/// Fills the pool, and demotes all its connections.
async fn demote_all<E: Demoted>(fixture: &Fixture<E>) {
    let pool = fixture.store.pool();
    let all = join_all((0..pool.options().get_max_connections()).map(|_| pool.acquire())).await;
    for connection in all {
        E::run_on(&mut connection.unwrap(), E::DEMOTE).await.unwrap();
    }
    fixture.settle(0).await;
}

async fn a_login_on_a_connection_to_a_replica_is_retried_on_another<E: Demoted + Server>() {
    let fixture = Fixture::<E>::new().await;
    let client = &fixture.client;
    let tokens = join_all((0..20).map(|_| client.token(1))).await;
    demote_all(&fixture).await;
    let mut failed = 0;
    for _ in 0..10 {
        failed += u32::from(!client.login(2, "").await.is_ok());
    }
    demote_all(&fixture).await;
    for reply in join_all((0..10).map(|_| client.login(3, ""))).await {
        failed += u32::from(!reply.is_ok());
    }
    assert_eq!(failed, 0, "of 20 logins");
    demote_all(&fixture).await;
    for reply in join_all(tokens.iter().map(|token| client.login(4, token))).await {
        assert!(reply.is_ok(), "over a session, in a transaction: {reply:?}");
    }
    assert_eq!(fixture.sessions().await, 40);
    demote_all(&fixture).await;
    let token = client.token(5).await;
    demote_all(&fixture).await;
    assert!(client.logout(&token).await.removes_the_cookie());
    assert_eq!(client.me(&token).await.status, 401);
}

async fn with_only_replicas_left_writes_are_503_and_reads_work<E: Demoted + Server>() {
    let (place, url) = E::place().await;
    let store = E::open(&url).await;
    crate::support::populate(&store).await;
    let all = sqlx::pool::PoolOptions::<E>::new().acquire_timeout(TIMEOUT);
    let all = all.after_connect(|connection, _| {
        Box::pin(async move { E::run_on(connection, E::DEMOTE).await })
    });
    let pool = all.connect(&url).await.unwrap();
    let token = {
        let auth = E::builder(store).build().unwrap();
        crate::support::Client::of(&auth).await.token(1).await
    };
    let replicas = locals::store::SqlStore::new(pool);
    let fixture = Fixture::with_store(place, url, replicas).await;
    let client = &fixture.client;
    for reply in join_all((0..20).map(|_| client.login(1, ""))).await {
        assert!(reply.is_unavailable(), "{reply:?}");
    }
    assert!(client.login(2, &token).await.is_unavailable());
    assert!(client.logout(&token).await.is_unavailable());
    for reply in join_all((0..20).map(|_| client.me(&token))).await {
        assert_eq!(reply.body, "name-1");
    }
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn a_read_only_role_causes_503_within_the_timeout_until_it_may_write_again() {
    use sqlx::Postgres;

    let fixture = Fixture::<Postgres>::new().await;
    let client = &fixture.client;
    let token = client.token(1).await;
    let name = fixture.url.rsplit('/').next().unwrap();
    crate::support::run(
        &fixture.store,
        &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
    )
    .await;
    demote_all(&fixture).await;
    for reply in join_all((0..20).map(|_| client.login(2, ""))).await {
        assert!(reply.is_unavailable(), "{reply:?}");
    }
    assert!(client.logout(&token).await.is_unavailable());
    assert_eq!(client.me(&token).await.body, "name-1");
    // As an operator would.
    let mut connection = crate::support::connect::<Postgres>(&fixture.url).await;
    let writable = format!(
        "SET default_transaction_read_only = off; \
         ALTER DATABASE {name} RESET default_transaction_read_only"
    );
    for sql in writable.split("; ") {
        Postgres::run_on(&mut connection, sql).await.unwrap();
    }
    for reply in join_all((0..20).map(|_| client.login(2, ""))).await {
        assert!(reply.is_ok(), "{reply:?}");
    }
}

#[cfg(feature = "mysql")]
#[actix_web::test]
async fn connections_move_from_a_demoted_mariadb_to_the_new_primary() {
    use sqlx::MySql;

    use crate::{
        own_mariadb::OwnMariadb,
        proxy::Proxy,
        support::{Client, connect, populate},
    };

    let (old, new) = (OwnMariadb::new(), OwnMariadb::new());
    populate(&MySql::open(&new.url()).await).await;
    let proxy = Proxy::to(old.address()).await;
    let url = old.app_url().replace(&old.address(), &proxy.address().to_string());
    let store = MySql::open(&url).await;
    populate(&store).await;
    let client = &Client::of(&MySql::builder(store.clone()).build().unwrap()).await;
    join_all((0..20).map(|_| client.token(1))).await;

    let mut control = connect::<MySql>(&old.url()).await;
    MySql::run_on(&mut control, "SET GLOBAL read_only = 1").await.unwrap();
    for reply in join_all((0..20).map(|_| client.login(1, ""))).await {
        assert!(reply.is_unavailable(), "1290, and no other server yet: {reply:?}");
    }
    proxy.lead_to(new.address());
    let replies = join_all((0..20).map(|_| client.login(2, ""))).await;
    let failed = replies.iter().filter(|reply| !reply.is_ok()).count();
    assert_eq!(failed, 0, "of 20 logins");
    let fresh = MySql::open(&new.url()).await;
    let there = MySql::number(fresh.pool(), "SELECT COUNT(*) FROM user_sessions").await;
    assert_eq!(there, 20, "all on the new primary");
}
