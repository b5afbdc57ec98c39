//! Programs from outside, started by a test and ended with it.

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to come up, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often it is tried: between the choice of a port and its use, somebody else may take it.
const MAX_ATTEMPTS: usize = 3;

/// Where a program of a Debian package is. Without it a test cannot show anything, so it fails.
pub fn find(program: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// The binary of an example, as it was built together with the test that asks. `cargo test` builds
/// the examples of a package with its tests; a test that is run alone may find none, and says so.
pub fn examples_binary(name: &str) -> PathBuf {
    // That of the test is in `deps`, beside `examples`.
    let test = env::current_exe().expect("the path of the test");
    let built = test.parent().and_then(Path::parent).expect("where cargo builds");
    let binary = built.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(
        binary.is_file(),
        "{} is missing: `cargo build --examples`, with the features of the test",
        binary.display()
    );
    binary
}

/// An address of this machine that nobody listens at.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("the port")
}

/// Whether a process listens at an IPv4 address. A connection would not tell whose it is.
#[cfg(target_os = "linux")]
fn listens(process: u32, address: SocketAddr) -> io::Result<bool> {
    const LISTENING: &str = "0A";
    let port = format!(":{:04X}", address.port());
    let sockets = fs::read_to_string("/proc/net/tcp")?;
    let sockets: Vec<_> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|socket| socket[1].ends_with(&port) && socket[3] == LISTENING)
        .map(|socket| format!("socket:[{}]", socket[9]))
        .collect();
    let files = fs::read_dir(format!("/proc/{process}/fd"))?;
    let mut files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    Ok(files.any(|file| sockets.iter().any(|socket| file.as_os_str() == socket.as_str())))
}

/// Whether somebody listens at an address: where the system does not say who, this must do.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "as above")]
fn listens(_: u32, address: SocketAddr) -> io::Result<bool> {
    Ok(std::net::TcpStream::connect(address).is_ok())
}

/// A running program. It is killed when it is dropped, as when a test fails.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it at a free address, and waits until it listens there. What it says goes to `log`.
    pub fn listening(command: impl Fn(SocketAddr) -> Command, log: &Path) -> (Self, SocketAddr) {
        let mut failure = String::new();
        for _ in 0..MAX_ATTEMPTS {
            let address = free_address();
            match Self::listening_at(&mut command(address), address, log) {
                Ok(program) => return (program, address),
                Err(error) => failure = error.to_string(),
            }
        }
        panic!("{failure}, {MAX_ATTEMPTS} times: {}", fs::read_to_string(log).unwrap_or_default());
    }

    fn listening_at(command: &mut Command, address: SocketAddr, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        let mut program = Self(command.stdout(output.try_clone()?).stderr(output).spawn()?);
        let end = Instant::now() + START_TIMEOUT;
        while !listens(program.0.id(), address)? {
            if let Some(status) = program.0.try_wait()? {
                return Err(io::Error::other(format!("{command:?} ended with {status}")));
            }
            if Instant::now() > end {
                let failure =
                    format!("{command:?} does not listen at {address} after {START_TIMEOUT:?}");
                return Err(io::Error::other(failure));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(program)
    }

    /// Starts it, and waits for the port that it names, behind `before`, on its standard output.
    pub fn naming_its_port(command: &mut Command, before: &str) -> (Self, SocketAddr) {
        let mut program = Self(command.stdout(Stdio::piped()).spawn().expect("a program"));
        let mut lines = BufReader::new(program.0.stdout.take().expect("its output")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(before)?.1.trim_end_matches('.').parse().ok())
            .unwrap_or_else(|| panic!("{command:?} named no port"));
        // A full pipe would stop it.
        thread::spawn(move || lines.for_each(drop));
        (program, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Waits until it has ended by itself; says whether it has, in time.
    pub fn ends(&mut self) -> bool {
        let end = Instant::now() + START_TIMEOUT;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_a_program_that_listens_at_the_address_counts_as_listening() {
        let (listener, free) = (TcpListener::bind(("127.0.0.1", 0)).unwrap(), free_address());
        let taken = listener.local_addr().unwrap();
        let mut other = Program(Command::new("sleep").arg("600").spawn().unwrap());
        for (process, address, expected) in [
            (std::process::id(), taken, true),
            (std::process::id(), free, false),
            (other.0.id(), taken, false),
        ] {
            assert_eq!(listens(process, address).unwrap(), expected, "{process} at {address}");
        }
        other.0.kill().unwrap();
        assert!(other.ends());
    }

    #[test]
    #[should_panic(expected = "ended with exit status: 3, 3 times: no port")]
    fn a_program_that_never_listens_is_a_failure_that_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let taken = RefCell::new(Vec::new());
        // Somebody else takes each port, and the program ends for that.
        let command = |address| {
            // Or another test has been faster.
            taken.borrow_mut().extend(TcpListener::bind(address));
            let mut command = Command::new("sh");
            command.args(["-c", "echo no port; exit 3"]);
            command
        };
        Program::listening(command, &directory.path().join("log"));
    }
}
