//! A `PgBouncer` of this test alone, in front of the PostgreSQL server.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    own_postgres::{program, unprivileged},
    own_server::{directory_of, free_port},
};

/// What a client keeps a connection to the server for.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    Session,
    Transaction,
    Statement,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }
}

pub struct PgBouncer {
    directory: TempDir,
    port: u16,
    /// The server, as its address has it: who connects, where, and to which database.
    server: [String; 3],
    process: Child,
}

impl PgBouncer {
    /// In front of the database at this address, with so many connections to it. One that could keep
    /// prepared statements apart is told not to.
    ///
    /// # Panics
    /// If it is not installed.
    pub fn new(url: &str, mode: Mode, size: u32) -> Self {
        Self::keeping(url, mode, size, 0)
    }

    /// The same, and it keeps so many prepared statements of each client.
    pub fn keeping(url: &str, mode: Mode, size: u32, prepared: u32) -> Self {
        let (user, rest) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (address, database) = rest.split_once('/').unwrap();
        let server = [user, address, database].map(str::to_owned);
        let directory = directory_of("postgres");
        let port = free_port();
        write_settings(&directory, port, &server, mode, size, prepared);
        let process = unprivileged(&bouncer())
            .args(["--quiet".as_ref(), settings(&directory).as_os_str()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut new = Self { directory, port, server, process };
        new.wait();
        new
    }

    /// The address of the database behind it.
    pub fn url(&self) -> String {
        let [user, _, database] = &self.server;
        let (user, _) = user.split_once(':').unwrap_or((user, ""));
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Goes on in another mode, from the next statement of each connection on.
    pub fn change(&self, mode: Mode, size: u32) {
        write_settings(&self.directory, self.port, &self.server, mode, size, 0);
        let control = self.url();
        let (control, _) = control.rsplit_once('/').unwrap();
        let changed = program("psql")
            .args([&format!("{control}/pgbouncer"), "--no-password", "--quiet"])
            .args(["--no-psqlrc", "--command=RELOAD"])
            .status();
        assert!(changed.unwrap().success(), "it does not read its settings again");
    }

    fn wait(&mut self) {
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "PgBouncer has ended");
            thread::sleep(Duration::from_millis(20));
        }
        panic!("PgBouncer does not start");
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(directory: &TempDir) -> PathBuf {
    directory.path().join("pgbouncer.ini")
}

fn write_settings(
    directory: &TempDir,
    port: u16,
    [user, address, database]: &[String; 3],
    mode: Mode,
    size: u32,
    prepared: u32,
) {
    let (host, server_port) = address.split_once(':').unwrap_or((address, "5432"));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let secret = if password.is_empty() { String::new() } else { format!("password='{password}'") };
    let mode = mode.name();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (log, users) = (path("log"), path("users"));
    fs::write(&users, format!("\"{user}\" \"{password}\"\n")).unwrap();
    // An older one does not know the setting.
    let prepared = if keeps_prepared_statements() {
        format!("max_prepared_statements = {prepared}")
    } else {
        assert_eq!(prepared, 0);
        String::new()
    };
    // As its documents have it for drivers that send `extra_float_digits`.
    let text = format!(
        "[databases]\n\
         {database} = host={host} port={server_port} user={user} {secret}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {users}\n\
         admin_users = {user}\n\
         ignore_startup_parameters = extra_float_digits\n\
         logfile = {log}\n\
         pool_mode = {mode}\n\
         default_pool_size = {size}\n\
         {prepared}\n"
    );
    fs::write(settings(directory), text).unwrap();
}

/// Whether it can keep the prepared statements of its clients apart, as it can since 1.21.
pub fn keeps_prepared_statements() -> bool {
    let said = Command::new(bouncer()).arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let version = said.split_whitespace().nth(1).expect("`PgBouncer 1.18.0`");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap());
    (parts.next().unwrap(), parts.next().unwrap()) >= (1, 21)
}

/// `LOCALS_TEST_PGBOUNCER` names another one.
fn bouncer() -> PathBuf {
    if let Some(path) = env::var_os("LOCALS_TEST_PGBOUNCER") {
        return path.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all = env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = all.find(|directory| directory.join("pgbouncer").is_file());
    found.expect("PgBouncer: install it, as by `apt-get install pgbouncer`").join("pgbouncer")
}
