//! Programs from outside, started by a test and ended with it.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Where a program of a Debian package is. Without it a test cannot show anything, so it fails.
pub fn find(program: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// An address of this machine that nobody listens at.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("the port")
}

/// A running program, killed when it is dropped, as by a test that fails.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it, and waits until it accepts connections at `address`. What it says goes to `log`.
    pub fn listening(command: &mut Command, address: SocketAddr, log: &Path) -> Self {
        let output = File::create(log).expect("a file for what it says");
        command.stdout(output.try_clone().expect("the same file")).stderr(output);
        let mut program = Self(command.spawn().expect("a program that starts"));
        while TcpStream::connect(address).is_err() {
            if let Some(status) = program.0.try_wait().expect("its state") {
                let said = fs::read_to_string(log).unwrap_or_default();
                panic!("{command:?} ended with {status}: {said}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        program
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
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
