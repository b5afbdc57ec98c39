//! A server that speaks TLS.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use locals::{Auth, store::SqlStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres};
use tempfile::TempDir;

use crate::{Account, open, own_postgres::OwnPostgres, refusal};

/// A server with a certificate for `localhost` by an authority that only this test knows.
struct Encrypted {
    server: OwnPostgres,
    place: TempDir,
}

impl Encrypted {
    async fn start() -> Self {
        let (server, place) = (OwnPostgres::new(), TempDir::new().unwrap());
        certify(place.path(), "postgres");
        let file = |name: &str| place.path().join(name).display().to_string();
        let mut connection = PgConnection::connect(&server.url()).await.unwrap();
        for (setting, value) in [
            ("ssl_cert_file", file("server.crt")),
            ("ssl_key_file", file("server.key")),
            ("ssl", "on".to_owned()),
        ] {
            let set = AssertSqlSafe(format!("ALTER SYSTEM SET {setting} = '{value}'"));
            sqlx::query(set).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        let mut encrypted = Self { server, place };
        encrypted.server.restart();
        encrypted
    }

    /// Its address by this name of the host, with these parameters.
    fn url(&self, host: &str, parameters: &str) -> String {
        format!("{}?{parameters}", self.server.url().replace("127.0.0.1", host))
    }

    /// The same with certificate checks: for this host, by this authority.
    fn verified(&self, host: &str, authority: &str) -> String {
        let file = self.place.path().join(authority);
        self.url(host, &format!("sslmode=verify-full&sslrootcert={}", file.display()))
    }
}

/// Makes an authority, `root.crt`, a certificate for `localhost` by it, and another authority, for a
/// server that runs as this user if the tests run as root.
pub fn certify(place: &Path, user: &str) {
    const NEW: &str =
        "req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj";
    let run = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(place).output();
        let made = made.expect("openssl is missing: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    run(&format!("{NEW} /CN=root -keyout root.key -out root.crt"));
    run(&format!("{NEW} /CN=other -keyout other.key -out other.crt"));
    run(&format!(
        "{NEW} /CN=localhost -addext subjectAltName=DNS:localhost \
         -addext basicConstraints=critical,CA:FALSE -CA root.crt -CAkey root.key \
         -keyout server.key -out server.crt"
    ));
    // The server reads them as its own user, and wants nobody else to read its key.
    fs::set_permissions(place.join("server.key"), Permissions::from_mode(0o600)).unwrap();
    if fs::metadata(place).unwrap().uid() == 0 {
        let owned = Command::new("chown").args(["-R", user]).arg(place).status();
        assert!(owned.unwrap().success(), "no user `{user}`");
    }
}

/// Whether the server says that the connections of a store are encrypted.
async fn is_encrypted(store: &SqlStore<Postgres, Account>) -> bool {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap()
}

#[actix_web::test]
async fn sessions_are_sent_encrypted_to_a_server_whose_certificate_matches() {
    let server = Encrypted::start().await;
    let store = open(&server.verified("localhost", "root.crt")).await.unwrap();
    assert!(is_encrypted(&store).await);
    let plain = open(&server.url("localhost", "sslmode=disable")).await.unwrap();
    assert!(!is_encrypted(&plain).await, "the server tells them apart");

    let accounts = "CREATE TABLE accounts (id BIGINT PRIMARY KEY); INSERT INTO accounts VALUES (1)";
    sqlx::raw_sql(accounts).execute(store.pool()).await.unwrap();
    store.migrate().await.unwrap();
    let auth = Auth::builder(store).build().unwrap();
    let session = auth.create_session(&Account { id: 1 }).await.unwrap();
    let token = session.token().expose_secret();
    let (_, user) = auth.validate_session_user(token).await.unwrap().unwrap();
    assert_eq!(user.id, 1);
    auth.invalidate_session(session.id()).await.unwrap();
    assert!(auth.validate_session(token).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_server_whose_certificate_does_not_match_is_refused() {
    let server = Encrypted::start().await;
    for (url, what) in [
        (server.verified("localhost", "other.crt"), "another authority"),
        (server.verified("127.0.0.1", "root.crt"), "another name"),
        (server.url("localhost", "sslmode=verify-full"), "an authority that nobody knows"),
    ] {
        let said = refusal(&url).await;
        assert!(said.to_lowercase().contains("certificate"), "{what}: {said}");
    }
}

#[actix_web::test]
async fn a_url_that_prefers_encryption_gets_it_without_certificate_checks() {
    let server = Encrypted::start().await;
    let store = open(&server.url("127.0.0.1", "sslmode=prefer")).await.unwrap();
    assert!(is_encrypted(&store).await);
}
