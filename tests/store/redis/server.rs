//! Servers that tests start, on free ports of the loopback.

use std::{
    io::{self, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What to do where there is no Redis.
pub const INSTALL: &str = "install it (Debian: `apt-get install redis`)";

/// Runs the server until it is told to kill it, or until the test process ends, however it ends:
/// then its standard input is closed, and it removes the directory too.
const GUARD: &str = r#"
directory=$1
remove=
shift
"$@" >/dev/null 2>&1 &
read -r _ || remove=$directory
kill -KILL $! 2>/dev/null
wait
[ -z "$remove" ] || rm -rf -- "$remove"
"#;

pub struct Server {
    pub port: u16,
    options: Vec<String>,
    directory: TempDir,
    guard: Child,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        // Between the choice of a port and its use, somebody else may take it.
        for _ in 0..10 {
            let port = free_port();
            let mut guard = guarded(port, directory.path(), &options);
            if is_up(port, directory.path()) {
                return Self { port, options, directory, guard };
            }
            end(&mut guard);
        }
        panic!("ten ports that were free have been taken");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn cli(&self, command: &[&str]) -> String {
        cli(&self.url(), command)
    }

    /// Ends it as by a failure of power.
    pub fn kill(&mut self) {
        end(&mut self.guard);
    }

    /// Starts it again, on the same port and in the same directory.
    pub fn restart(&mut self) {
        self.guard = guarded(self.port, self.directory.path(), &self.options);
        assert!(is_up(self.port, self.directory.path()), "the server comes up again");
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: &str, process: &str) {
        let sent = Command::new("kill").args([signal, process]).status();
        assert!(sent.is_ok_and(|status| status.success()), "`kill {signal}` on port {}", self.port);
    }

    pub fn process(&self) -> String {
        let info = self.cli(&["INFO", "server"]);
        let process = info.lines().find_map(|line| line.strip_prefix("process_id:"));
        process.expect("the id of the process").trim().to_owned()
    }

    /// A replica of this server that has caught up with it.
    pub fn replica(&self) -> Self {
        let replica = Self::start(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        self.wait_for_replica();
        replica
    }

    pub fn wait_for_replica(&self) {
        until("the replica is online", || {
            self.cli(&["INFO", "replication"]).contains("state=online")
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address behind which one server or another stands, as that of the primary is in many set-ups.
pub struct Address {
    port: u16,
    server: Arc<AtomicU16>,
}

impl Address {
    pub fn of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = Self { port, server: Arc::new(AtomicU16::new(server.port)) };
        let server = Arc::clone(&address.server);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server.load(Ordering::Relaxed)));
                connect(client, server.unwrap());
            }
        });
        address
    }

    /// From now on, connections lead to another server. The old ones stay.
    pub fn move_to(&self, server: &Server) {
        self.server.store(server.port, Ordering::Relaxed);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn connect(client: TcpStream, server: TcpStream) {
    let copies = [client.try_clone().unwrap(), server.try_clone().unwrap()];
    for (mut from, mut to) in copies.into_iter().zip([server, client]) {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// Waits for what a server does in its own time.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + START_TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < end, "{what}, within {START_TIMEOUT:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Three primaries, and so many replicas of each.
pub fn start_cluster(replicas: usize) -> Vec<Server> {
    const OPTIONS: [&str; 4] = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
    let count = 3 + 3 * replicas;
    let servers: Vec<_> = (0..count).map(|_| Server::start(&OPTIONS)).collect();
    let addresses = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(addresses)
        .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    for server in &servers {
        until("every node knows all slots and nodes", || {
            let info = server.cli(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
                && info.contains(&format!("cluster_known_nodes:{count}"))
        });
    }
    servers
}

fn guarded(port: u16, directory: &Path, options: &[String]) -> Child {
    Command::new("sh")
        .args(["-c", GUARD, "sh"])
        .arg(directory)
        .args(["redis-server", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(directory)
        .args(["--save", "", "--repl-diskless-sync-delay", "0"])
        .args(options)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(guard: &mut Child) {
    if let Some(mut input) = guard.stdin.take() {
        input.write_all(b"\n").unwrap();
    }
    guard.wait().unwrap();
}

/// Waits until a server answers; says whether it is the one with this directory.
fn is_up(port: u16, directory: &Path) -> bool {
    let (url, end) = (format!("redis://127.0.0.1:{port}"), Instant::now() + START_TIMEOUT);
    loop {
        // This is no number while it loads what is on its disk.
        if try_cli(&url, &["DBSIZE"]).is_some_and(|size| size.parse::<u64>().is_ok()) {
            let found = cli(&url, &["CONFIG", "GET", "dir"]);
            return found.contains(&directory.display().to_string());
        }
        assert!(Instant::now() < end, "no `redis-server` comes up: {INSTALL}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port that is free, and so is the one for the bus of a cluster.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if let Some(bus) = port.checked_add(10_000)
            && TcpListener::bind(("127.0.0.1", bus)).is_ok()
        {
            return port;
        }
    }
}

/// What a server answers to a command.
pub fn cli(url: &str, command: &[&str]) -> String {
    try_cli(url, command).unwrap_or_else(|| panic!("no answer from {url} to {command:?}"))
}

pub fn try_cli(url: &str, command: &[&str]) -> Option<String> {
    let answer = Command::new("redis-cli").args(["-u", url, "--raw"]).args(command).output();
    let answer = answer.expect("`redis-cli` is installed");
    answer.status.success().then(|| text(&answer.stdout))
}

/// What a mode of `redis-cli` prints.
pub fn read_cli(url: &str, arguments: &[&str]) -> String {
    let answer = Command::new("redis-cli").args(["-u", url]).args(arguments).output();
    text(&answer.expect("`redis-cli` is installed").stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned()
}
