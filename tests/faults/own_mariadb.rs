//! A MariaDB server of this test alone, whose settings it may change for everybody.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::own_server::{directory_of, free_port, is_root};

/// What the server does before it takes connections, a statement on each line. An ordinary user, as
/// apps have one, has no exception from `read_only`.
const INIT: &str = "\
CREATE DATABASE app;
CREATE USER root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
CREATE USER app@'127.0.0.1';
GRANT ALL ON app.* TO app@'127.0.0.1';
";

pub struct OwnMariadb {
    _directory: TempDir,
    port: u16,
    server: Child,
}

impl OwnMariadb {
    /// # Panics
    /// If its programs are not installed.
    pub fn new() -> Self {
        let directory = directory_of("mysql");
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("init.sql"), INIT).unwrap();
        // The server gives root's rights up by itself.
        let user: &[&str] = if is_root() { &["--user=mysql"] } else { &[] };
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
            .arg(format!("--datadir={}", path("data")))
            .arg(format!("--tmpdir={}", directory.path().display()))
            .args(user)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "`mariadb-install-db` fails or is not there: install the server, as by `apt-get \
             install mariadb-server`"
        );
        let port = free_port();
        let server = Command::new(server_program())
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M"])
            .arg(format!("--datadir={}", path("data")))
            // A server that starts removes the temporary tables of others there.
            .arg(format!("--tmpdir={}", directory.path().display()))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--init-file={}", path("init.sql")))
            .arg(format!("--port={port}"))
            .args(user)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut new = Self { _directory: directory, port, server };
        new.wait();
        new
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The database, for its superuser.
    pub fn url(&self) -> String {
        format!("mysql://root@{}/app", self.address())
    }

    /// The database, for an ordinary user that may do anything in it.
    pub fn app_url(&self) -> String {
        format!("mysql://app@{}/app", self.address())
    }

    fn wait(&mut self) {
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(self.server.try_wait().unwrap().is_none(), "MariaDB has ended");
            thread::sleep(Duration::from_millis(50));
        }
        panic!("MariaDB does not start");
    }
}

impl Drop for OwnMariadb {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Debian has it where only root looks.
fn server_program() -> &'static str {
    let packaged = "/usr/sbin/mariadbd";
    if fs::exists(packaged).unwrap() { packaged } else { "mariadbd" }
}
