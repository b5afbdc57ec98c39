//! A PostgreSQL server for one test, which may kill it.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::own_server::{directory_of, free_port, is_root};

pub struct OwnPostgres {
    directory: TempDir,
    port: u16,
    server: Child,
}

impl OwnPostgres {
    /// # Panics
    /// If its programs are not installed.
    pub fn new() -> Self {
        let directory = directory_of("postgres");
        let made = program("initdb")
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--no-instructions"])
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb failed");
        let port = free_port();
        let server = start(&directory, port);
        let mut new = Self { directory, port, server };
        new.wait();
        new
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The processes of the server: the first, and those that it has started.
    pub fn pids(&self) -> Vec<u32> {
        let first = self.server.id();
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        std::iter::once(first).chain(children).collect()
    }

    /// `kill -9`.
    pub fn kill(pids: &[u32]) {
        let pids = pids.iter().map(u32::to_string);
        // One of them may have ended by itself.
        let _ = Command::new("kill").arg("-9").args(pids).stderr(Stdio::null()).status();
    }

    /// Starts it again, and waits until it takes connections.
    pub fn restart(&mut self) {
        Self::kill(&self.pids());
        let _ = self.server.wait();
        self.server = start(&self.directory, self.port);
        self.wait();
    }

    fn wait(&mut self) {
        for _ in 0..300 {
            if self.takes_connections() {
                return;
            }
            if self.server.try_wait().unwrap().is_some() {
                // A process of the one before has not ended yet.
                self.server = start(&self.directory, self.port);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not start");
    }

    /// Whether it says so itself, after recovery.
    fn takes_connections(&self) -> bool {
        if TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            return false;
        }
        let port = self.port.to_string();
        let ready =
            program("pg_isready").args(["--quiet", "--host=127.0.0.1", "--port", &port]).status();
        ready.is_ok_and(|status| status.success())
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        Self::kill(&self.pids());
        let _ = self.server.wait();
    }
}

fn start(directory: &TempDir, port: u16) -> Child {
    let port = port.to_string();
    program("postgres")
        .arg("-D")
        .arg(directory.path().join("data"))
        .args(["-p", &port, "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories=", "-c", "shared_buffers=8MB"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A program of PostgreSQL. The server refuses to run as root.
pub fn program(name: &str) -> Command {
    unprivileged(&bin().join(name))
}

/// A program as the user `postgres`, where this one runs as root.
pub fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
    command
}

/// Where the programs are.
fn bin() -> PathBuf {
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = packaged.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = packaged.chain(std::env::split_paths(&path));
    all.find(|directory| directory.join("initdb").is_file()).expect(
        "the programs of a PostgreSQL server on this machine: install them, as by `apt-get \
         install postgresql`",
    )
}
