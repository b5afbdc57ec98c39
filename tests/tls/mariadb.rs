//! The same of MariaDB.

use std::{fs, net::SocketAddr, os::unix::fs::MetadataExt, process::Command};

use locals::{StoreError, store::SqlStore};
use programs::{Program, find};
use sqlx::MySql;
use tempfile::TempDir;

use crate::{Account, encrypted::certify};

/// A server with a certificate for `localhost` by an authority that only this test knows.
struct Encrypted {
    address: SocketAddr,
    // Before its files.
    _program: Program,
    place: TempDir,
}

impl Encrypted {
    fn start() -> Self {
        let place = TempDir::new().unwrap();
        certify(place.path(), "mysql");
        let file = |name: &str| place.path().join(name).display().to_string();
        // The server refuses to run as root.
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let as_whom = is_root.then_some("--user=mysql");
        let made = Command::new(find("mariadb-install-db", "mariadb-server"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(as_whom)
            .arg(format!("--datadir={}", file("data")))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let command = |address: SocketAddr| {
            let mut command = Command::new(find("mariadbd", "mariadb-server"));
            command.args(["--no-defaults", "--bind-address=127.0.0.1"]).args(as_whom).args([
                format!("--port={}", address.port()),
                format!("--datadir={}", file("data")),
                format!("--socket={}", file("socket")),
                format!("--ssl-cert={}", file("server.crt")),
                format!("--ssl-key={}", file("server.key")),
            ]);
            command
        };
        let (program, address) = Program::listening(command, &place.path().join("log"));
        Self { address, _program: program, place }
    }

    async fn open(
        &self,
        host: &str,
        parameters: &str,
    ) -> Result<SqlStore<MySql, Account>, StoreError> {
        let port = self.address.port();
        SqlStore::mysql(&format!("mysql://root@{host}:{port}/mysql?{parameters}")).await
    }

    /// Opens it with certificate checks: for this host, by this authority.
    async fn verified(
        &self,
        host: &str,
        authority: &str,
    ) -> Result<SqlStore<MySql, Account>, StoreError> {
        let file = self.place.path().join(authority);
        let parameters = format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={}", file.display());
        self.open(host, &parameters).await
    }
}

/// How the server says that the connections of a store are encrypted; not at all, if by nothing.
async fn cipher(store: &SqlStore<MySql, Account>) -> String {
    let status = sqlx::query_as("SHOW STATUS LIKE 'Ssl_cipher'");
    let (_, cipher): (String, String) = status.fetch_one(store.pool()).await.unwrap();
    cipher
}

#[actix_web::test]
async fn mariadb_is_encrypted_if_its_certificate_matches_and_refused_otherwise() {
    let server = Encrypted::start();
    let store = server.verified("localhost", "root.crt").await.unwrap();
    assert_ne!(cipher(&store).await, "");
    let plain = server.open("localhost", "ssl-mode=DISABLED").await.unwrap();
    assert_eq!(cipher(&plain).await, "", "the server tells them apart");

    for (host, authority) in [("localhost", "other.crt"), ("127.0.0.1", "root.crt")] {
        let said = format!("{:?}", server.verified(host, authority).await.expect_err("it is open"));
        assert!(said.to_lowercase().contains("certificate"), "{host}, {authority}: {said}");
    }
}
