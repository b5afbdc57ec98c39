//! What the library relies on in a connection: set where it opens, and asked for where it does not.

use locals::store::SqlStore;
use sqlx::Sqlite;

use crate::support::{Account, Engine, Fixture, pool_of, refusal};

/// On a pool of the app's own, each of these statements is refused by what names the setting.
async fn assert_refused<E: Engine>(fixture: &Fixture<E>, settings: &[(&'static str, &str)]) {
    for &(sql, name) in settings {
        let pool = pool_of::<E>(&fixture.url, 2, sql).await;
        let store = SqlStore::<E, Account>::new(pool.clone());
        for (verb, refused) in [("check", store.check().await), ("migrate", store.migrate().await)]
        {
            assert!(refused.is_err(), "`{verb}` lets `{sql}` pass");
            let refusal = refusal(refused);
            assert!(refusal.contains(name), "`{verb}` does not name `{name}`: {refusal}");
        }
        pool.close().await;
    }
    let pool = pool_of::<E>(&fixture.url, 2, "").await;
    let store = SqlStore::<E, Account>::new(pool.clone());
    store.check().await.unwrap();
    store.migrate().await.unwrap();
    pool.close().await;
}

#[actix_web::test]
async fn a_read_only_sqlite_connection_is_refused() {
    let fixture = Fixture::<Sqlite>::new().await;
    assert_refused(&fixture, &[("PRAGMA query_only = ON", "query_only")]).await;
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::Postgres;

    use super::{Fixture, assert_refused};

    #[actix_web::test]
    async fn a_read_only_connection_is_refused() {
        let fixture = Fixture::<Postgres>::new().await;
        let name = "default_transaction_read_only";
        assert_refused(&fixture, &[("SET default_transaction_read_only = on", name)]).await;
    }

    #[actix_web::test]
    async fn a_connection_that_enforces_no_foreign_keys_is_refused() {
        let fixture = Fixture::<Postgres>::new().await;
        let name = "session_replication_role";
        assert_refused(&fixture, &[("SET session_replication_role = replica", name)]).await;
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use futures_util::future::join_all;
    use locals::store::{SessionStore, SqlStore};
    use sqlx::MySql;

    use super::{Account, Engine, Fixture, assert_refused};
    use crate::{
        own_mariadb::OwnMariadb,
        support::{Client, connect, populate, run, settle},
    };

    #[actix_web::test]
    async fn a_connection_without_autocommit_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        assert_refused(&fixture, &[("SET autocommit = 0", "autocommit")]).await;
    }

    #[actix_web::test]
    async fn a_connection_with_dirty_reads_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        let sql = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED";
        assert_refused(&fixture, &[(sql, "isolation")]).await;
    }

    #[actix_web::test]
    async fn a_connection_whose_commits_chain_or_release_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        let chain = ("SET completion_type = 'CHAIN'", "completion_type");
        let release = ("SET completion_type = 'RELEASE'", "completion_type");
        assert_refused(&fixture, &[chain, release]).await;
    }

    #[actix_web::test]
    async fn a_connection_that_enforces_no_foreign_keys_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        assert_refused(&fixture, &[("SET foreign_key_checks = 0", "foreign_key_checks")]).await;
    }

    #[actix_web::test]
    async fn a_connection_that_truncates_values_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        assert_refused(&fixture, &[("SET sql_mode = ''", "sql_mode")]).await;
    }

    #[actix_web::test]
    async fn a_connection_that_limits_selects_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        assert_refused(&fixture, &[("SET sql_select_limit = 1", "sql_select_limit")]).await;
    }

    #[actix_web::test]
    async fn a_read_only_connection_is_refused() {
        let fixture = Fixture::<MySql>::new().await;
        assert_refused(&fixture, &[("SET SESSION TRANSACTION READ ONLY", "read_only")]).await;
    }

    /// What a server may have by default, that the library opens itself with other settings.
    const DEFAULTS: [&str; 7] = [
        "autocommit = 0",
        "tx_isolation = 'READ-UNCOMMITTED'",
        "completion_type = 'CHAIN'",
        "completion_type = 'RELEASE'",
        "foreign_key_checks = 0",
        "sql_mode = ''",
        "sql_select_limit = 1",
    ];

    #[actix_web::test]
    async fn a_store_that_is_opened_by_its_url_overrides_the_defaults_of_the_server() {
        let server = OwnMariadb::new();
        let plain = MySql::open(&server.url()).await;
        populate(&plain).await;
        let mut wrong = Vec::new();
        for default in DEFAULTS {
            let mut control = connect::<MySql>(&server.url()).await;
            let (variable, _) = default.split_once(' ').unwrap();
            MySql::run_on(&mut control, &format!("SET GLOBAL {default}")).await.unwrap();
            if let Some(what) = what_is_wrong(&server, &plain).await {
                wrong.push(format!("{default}: {what}"));
            }
            let reset = format!("SET GLOBAL {variable} = DEFAULT");
            MySql::run_on(&mut control, &reset).await.unwrap();
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// What a visitor, or an app, meets first that is wrong. `plain` was opened before the server
    /// had another default.
    async fn what_is_wrong(
        server: &OwnMariadb,
        plain: &SqlStore<MySql, Account>,
    ) -> Option<String> {
        let store = MySql::open(&server.url()).await;
        if let Err(error) = store.migrate().await {
            return Some(format!("`migrate`: {error}"));
        }
        if let Err(error) = store.check().await {
            return Some(format!("`check`: {error}"));
        }
        let auth = MySql::builder(store.clone()).build().unwrap();
        let client = Client::of(&auth).await;
        let elsewhere = MySql::builder(plain.clone()).build().unwrap();
        let elsewhere = Client::of(&elsewhere).await;
        let tokens = [client.token(1).await, client.token(1).await];
        for token in &tokens {
            if !elsewhere.me(token).await.is_ok() {
                return Some("a login is answered and leaves nothing".to_owned());
            }
        }
        let user = locals::UserId::Integer(1);
        if store.list_by_user(&user).await.unwrap().len() != 2 {
            return Some("a session is missing from the list".to_owned());
        }
        // In a transaction, that ends the one and makes the other.
        let newer = client.login(2, &tokens[0]).await.token();
        if elsewhere.me(&tokens[0]).await.is_ok() || !elsewhere.me(&newer).await.is_ok() {
            return Some("a login over a session does not count elsewhere".to_owned());
        }
        if !client.logout(&newer).await.is_ok() || elsewhere.me(&newer).await.is_ok() {
            return Some("a logout is answered and the session lives".to_owned());
        }
        if elsewhere.logout(&tokens[1]).await.is_ok() && client.me(&tokens[1]).await.is_ok() {
            return Some("what ended elsewhere lives on".to_owned());
        }
        // By the foreign key.
        client.token(3).await;
        run(&store, "DELETE FROM accounts WHERE id = 3").await;
        let left = "SELECT COUNT(*) FROM user_sessions WHERE user_id = 3";
        let left = MySql::number(plain.pool(), left).await;
        run(plain, "DELETE FROM user_sessions").await;
        run(plain, "INSERT IGNORE INTO accounts VALUES (3, 'name-3')").await;
        store.pool().close().await;
        (left != 0).then(|| "a user is gone and their session is not".to_owned())
    }

    #[actix_web::test]
    async fn later_connections_have_the_settings_of_the_first() {
        let server = OwnMariadb::new();
        let store = MySql::open(&server.url()).await;
        populate(&store).await;
        let client = Client::of(&MySql::builder(store.clone()).build().unwrap()).await;
        let token = client.token(1).await;
        let mut control = connect::<MySql>(&server.url()).await;
        MySql::run_on(&mut control, "SET GLOBAL autocommit = 0").await.unwrap();
        // All that there are, so that a new one is opened.
        let pool = store.pool();
        settle(pool, 0).await;
        let held = join_all((0..pool.size()).map(|_| pool.acquire())).await;
        assert!(client.logout(&token).await.is_ok());
        drop(held);
        pool.close().await;
        let sessions = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM user_sessions");
        assert_eq!(sessions.fetch_one(&mut control).await.unwrap(), 0);
    }
}
