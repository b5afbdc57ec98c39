//! Connections to a database that are encrypted, and those that must not come about.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

#[allow(dead_code, reason = "this server is not killed")]
#[path = "../faults/own_postgres.rs"]
mod own_postgres;
#[path = "../faults/own_server.rs"]
mod own_server;

use locals::{AuthUser, StoreError, store::SqlStore};
use sqlx::Postgres;

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
}

async fn open(url: &str) -> Result<SqlStore<Postgres, Account>, StoreError> {
    SqlStore::postgres(url).await
}

/// Why a store is not opened.
async fn refusal(url: &str) -> String {
    let error = open(url).await.expect_err("it is opened");
    format!("{error:?}")
}

#[cfg(any(feature = "tls-native", feature = "tls-rustls"))]
mod encrypted;
#[cfg(all(feature = "mysql", any(feature = "tls-native", feature = "tls-rustls")))]
mod mariadb;

#[cfg(any(feature = "tls-native", feature = "tls-rustls"))]
#[actix_web::test]
async fn a_server_without_tls_is_refused_where_the_url_asks_for_it() {
    let server = own_postgres::OwnPostgres::new();
    let said = refusal(&format!("{}?sslmode=verify-full", server.url())).await;
    assert!(said.contains("server does not support TLS"), "{said}");
}

#[cfg(not(any(feature = "tls-native", feature = "tls-rustls")))]
#[actix_web::test]
async fn a_build_without_tls_connects_to_nothing_where_the_url_asks_for_it() {
    let server = own_postgres::OwnPostgres::new();
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = refusal(&format!("{}?sslmode={mode}", server.url())).await;
        assert!(said.contains("without TLS support"), "{mode}: {said}");
    }
}
