//! What the library lets out, kept over the whole of these tests: every line of its logs, every
//! answer, what its types show of themselves, and the databases; and every token that was issued.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};

use locals::SessionToken;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Fixture, Reply};

/// Names the directory of the record to a process that keeps one.
pub const VARIABLE: &str = "LOCALS_TESTS_RECORD";

/// The parts of a record, each a file.
pub const PARTS: [&str; 4] = ["log", "answers", "debug", "databases"];

/// The tokens, one on each line.
pub const TOKENS: &str = "tokens";

/// Below this path a handler answers with a token on purpose, for a client without cookies.
const TOKEN_PATH: &str = "/native";

/// Everything that this process logs, at every level.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts to keep the log; there is one for the process.
    pub fn capture() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Self::default();
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(log.clone())
                .init();
            log
        });
        log.clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        keep("log", || bytes.to_vec());
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A fixture begins.
pub fn begun() {
    if directory().is_some() {
        Log::capture();
    }
}

/// A token was issued, if it is one.
pub fn issued(text: &str) {
    if text.parse::<SessionToken>().is_ok() {
        keep(TOKENS, || format!("{text}\n").into_bytes());
    }
}

/// A request was answered.
pub fn answered(path: &str, reply: &Reply) {
    for cookie in reply.set_cookies() {
        issued(cookie.split([';', '=']).nth(1).unwrap_or_default());
    }
    if path.starts_with(TOKEN_PATH) {
        return issued(&reply.body);
    }
    keep("answers", || {
        let headers = reply.headers.iter().filter(|(name, _)| *name != "set-cookie");
        let headers: Vec<_> = headers.collect();
        format!("{path} {} {headers:?}\n{}\n", reply.status, reply.body).into_bytes()
    });
}

/// Something of the library's is shown by `Debug`.
pub fn shown(value: &impl std::fmt::Debug) {
    keep("debug", || format!("{value:?}\n").into_bytes());
}

/// A fixture ends, with its database in this directory.
pub fn ended(fixture: &Fixture, database: &Path) {
    shown(&fixture.auth);
    keep("databases", || {
        let files = fs::read_dir(database).unwrap();
        files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    });
}

fn directory() -> Option<&'static str> {
    static DIRECTORY: OnceLock<Option<String>> = OnceLock::new();
    DIRECTORY.get_or_init(|| env::var(VARIABLE).ok()).as_deref()
}

/// Appends to a part, in a process that keeps a record.
fn keep(part: &str, bytes: impl FnOnce() -> Vec<u8>) {
    static FILES: Mutex<Vec<(String, File)>> = Mutex::new(Vec::new());
    let Some(directory) = directory() else { return };
    let bytes = bytes();
    let mut files = FILES.lock().unwrap();
    let place = files.iter().position(|(name, _)| name == part).unwrap_or_else(|| {
        let path = Path::new(directory).join(part);
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        files.push((part.to_owned(), file));
        files.len() - 1
    });
    files[place].1.write_all(&bytes).unwrap();
}
