//! Statements that wait for a lock of somebody else: the server gives them up, too.

use futures_util::future::{join, join_all};
use locals::store::SqlStore;

use crate::{
    cancelled::polled,
    servers::Server,
    support::{Account, Engine, Fixture, connect, pool_of},
    tests_on,
};

tests_on!(servers: [
    connections_of_the_library_wait_for_a_lock_no_longer_than_a_request,
    connections_of_the_app_keep_their_own_settings,
    a_locked_table_causes_503_and_leaves_nothing_on_the_server,
    a_locked_user_row_causes_503_for_logins_and_leaves_nothing_on_the_server,
]);

/// What each server has for this.
trait Locking: Engine {
    /// Its limits for waiting, in milliseconds: queries that give one number.
    const LIMITS: &'static [&'static str];
    /// Others than those of the library, for the app's own pool.
    const OTHERS: &'static str;
    /// Locks the table of sessions, so that it cannot be read.
    const LOCK_SESSIONS: &'static str;
    const LOCK_USER: &'static str;
    /// How many statements wait for a lock.
    const WAITING: &'static str;
}

#[cfg(feature = "postgres")]
impl Locking for sqlx::Postgres {
    const LIMITS: &'static [&'static str] = &[
        "SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'",
        // It notices a client that has gone, whatever the statement waits for.
        "SELECT setting::bigint FROM pg_settings WHERE name = 'client_connection_check_interval'",
    ];
    const LOCK_SESSIONS: &'static str = "BEGIN; LOCK TABLE user_sessions IN ACCESS EXCLUSIVE MODE";
    const LOCK_USER: &'static str = "BEGIN; SELECT 1 FROM accounts WHERE id = 1 FOR UPDATE";
    const OTHERS: &'static str =
        "SET lock_timeout = '7s'; SET client_connection_check_interval = '8s'";
    const WAITING: &'static str = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
}

#[cfg(feature = "mysql")]
impl Locking for sqlx::MySql {
    const LIMITS: &'static [&'static str] = &[
        "SELECT CAST(@@innodb_lock_wait_timeout * 1000 AS SIGNED)",
        "SELECT CAST(@@lock_wait_timeout * 1000 AS SIGNED)",
    ];
    const LOCK_SESSIONS: &'static str = "LOCK TABLES user_sessions WRITE";
    const LOCK_USER: &'static str = "BEGIN; SELECT 1 FROM accounts WHERE id = 1 FOR UPDATE";
    const OTHERS: &'static str = "SET innodb_lock_wait_timeout = 7, lock_wait_timeout = 8";
    const WAITING: &'static str = "SELECT (SELECT COUNT(*) FROM information_schema.processlist \
         WHERE db = DATABASE() AND state LIKE 'Waiting for%') + \
         (SELECT COUNT(*) FROM information_schema.innodb_trx AS t \
         JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id \
         WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT')";
}

/// The server looks again only at a question that comes a tenth of a second after the one before.
const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_millis(150);

async fn connections_of_the_library_wait_for_a_lock_no_longer_than_a_request<
    E: Locking + Server,
>() {
    let fixture = Fixture::<E>::new().await;
    for limit in E::LIMITS {
        // Whichever connections of the pool they are.
        let all = (0..10).map(|_| E::number(fixture.store.pool(), limit));
        for found in join_all(all).await {
            assert!((1..=2_000).contains(&found), "{found} ms: {limit}");
        }
    }
}

async fn connections_of_the_app_keep_their_own_settings<E: Locking + Server>() {
    let fixture = Fixture::<E>::new().await;
    let pool = pool_of::<E>(&fixture.url, 2, E::OTHERS).await;
    let store = SqlStore::<E, Account>::new(pool.clone());
    store.check().await.unwrap();
    let auth = E::builder(store).build().unwrap();
    auth.create_session(&Account::numbered(1)).await.unwrap();
    for (limit, expected) in E::LIMITS.iter().zip([7_000, 8_000]) {
        assert_eq!(E::number(&pool, limit).await, expected, "{limit}");
    }
    pool.close().await;
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn the_lock_settings_of_the_url_apply() {
    use sqlx::Postgres;

    let fixture = Fixture::<Postgres>::new().await;
    let url = format!("{}?options[lock_timeout]=7000", fixture.url);
    let store = Postgres::open(&url).await;
    let [lock, check] = Postgres::LIMITS else { unreachable!("two of them") };
    assert_eq!(Postgres::number(store.pool(), lock).await, 7_000);
    let check = Postgres::number(store.pool(), check).await;
    assert!((1..=2_000).contains(&check), "{check} ms, which the address does not name");
    store.pool().close().await;
}

/// 22 requests that wait until they are answered, and 22 whose client goes away, while another holds a
/// lock; then until nothing waits on the server any more, and the lock is still held.
async fn assert_nothing_stays_behind<E: Locking>(fixture: &Fixture<E>, lock: &str, reads: bool) {
    let client = &fixture.client;
    let token = &client.token(2).await;
    // So that nothing but the lock keeps them waiting.
    join_all((0..10).map(|_| client.me(token))).await;
    let mut other = connect::<E>(&fixture.url).await;
    E::run_on(&mut other, lock).await.unwrap();
    let observer = pool_of::<E>(&fixture.url, 1, "").await;

    let replies = join_all((0..22).map(async |number| {
        if reads && number % 2 == 0 { client.me(token).await } else { client.login(1, "").await }
    }));
    let are_waiting = async {
        for _ in 0..20 {
            if E::number(&observer, E::WAITING).await > 0 {
                return true;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        false
    };
    let (replies, were_waiting) = join(replies, are_waiting).await;
    assert!(were_waiting, "the lock keeps them");
    for reply in replies {
        assert!(reply.is_unavailable(), "{reply:?}");
    }
    for number in 0..22 {
        polled(client.login(1, ""), 1 + number % 8).await;
    }
    let mut waiting = -1;
    for _ in 0..60 {
        waiting = E::number(&observer, E::WAITING).await;
        if waiting == 0 {
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    assert_eq!(waiting, 0, "statements wait on the server for nobody");

    drop(other);
    observer.close().await;
}

async fn a_locked_table_causes_503_and_leaves_nothing_on_the_server<E: Locking + Server>() {
    let fixture = Fixture::<E>::new().await;
    assert_nothing_stays_behind(&fixture, E::LOCK_SESSIONS, true).await;
}

async fn a_locked_user_row_causes_503_for_logins_and_leaves_nothing_on_the_server<
    E: Locking + Server,
>() {
    let fixture = Fixture::<E>::new().await;
    assert_nothing_stays_behind(&fixture, E::LOCK_USER, false).await;
}
