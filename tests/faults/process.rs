//! This program once more, as a process of its own that can be killed.

use std::{
    env,
    io::{BufRead, BufReader, Lines, Read},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

/// What names the database to a child. A test that is one does nothing without it.
const VARIABLE: &str = "LOCALS_FAULTS_CHILD";

/// What each line of a child begins with, so that none of the test harness is taken for one.
const LINE_PREFIX: &str = "child: ";

/// A process that runs one of the ignored tests here.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn run(test: &str, database: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing it says; `None` once it has ended.
    pub fn hear(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, said) = line.split_once(LINE_PREFIX)?;
            Some(said.to_owned())
        })
    }

    /// Kills it immediately, without a clean shutdown; returns its remaining output.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.hear()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The database of a child, in a child. It ends with the process that started it.
pub fn database() -> Option<String> {
    let database = env::var(VARIABLE).ok()?;
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Some(database)
}

/// Says something to the process that started this one.
pub fn say(what: &str) {
    println!("{LINE_PREFIX}{what}");
}
