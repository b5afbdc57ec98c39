//! Load on one process of the app, by clients that know what each answer must be.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use actix_web::rt::spawn;
use fastrand::Rng;
use locals::{SessionId, SessionToken};

use crate::{
    app::ACCOUNTS,
    client::Client,
    database::{Database, Row},
    operation::Operation,
    server::Process,
};

mod memory;
mod model;
mod wrk;

use memory::Memory;
use model::Model;
use wrk::{Counted, Kind};

/// How many clients do all that there is to do, each as a user of its own. They can tell what every
/// answer must be.
const MODELS: i64 = 8;

/// How many sessions a user has who only reads; they are used in many requests at once.
const READ_SESSIONS: usize = 32;

/// The user who only reads.
const READER: i64 = ACCOUNTS;

/// How a run is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program of this package, for the process.
    pub program: PathBuf,
    /// Where the file of SQLite is made.
    pub directory: PathBuf,
    /// A PostgreSQL server, instead of that file.
    pub server: Option<String>,
    /// How long it lasts.
    pub time: Duration,
    /// Whether the memory must be no more at the end than in the warm part.
    pub memory_may_not_grow: bool,
    /// What chance begins with.
    pub seed: u64,
}

/// What a run has shown.
#[derive(Debug)]
pub struct Report {
    /// How long it took.
    pub time: Duration,
    /// How many answers were compared with the model, by operation.
    pub compared: BTreeMap<&'static str, u64>,
    /// Reads with tokens that live.
    pub members: Counted,
    /// Reads with no token, or with garbage.
    pub strangers: Counted,
    /// How much memory the process had.
    pub memory: Memory,
    /// How many sessions were in the database at the end.
    pub rows: usize,
    /// What should not be.
    pub violations: Vec<String>,
}

/// Runs, compares, and removes the database.
pub async fn run(settings: &Settings) -> Result<Report, Box<dyn Error>> {
    let mut random = Rng::with_seed(settings.seed);
    let database = match &settings.server {
        Some(server) => Database::postgres(server).await?,
        None => Database::sqlite(&settings.directory)?,
    };
    let process = Process::start(&settings.program, &database.url(), "127.0.0.1:0".parse()?)?;
    let address = process.address();
    let start = Instant::now();
    let tokens = log_in(&mut Client::of(address)).await?;

    let run_wrk = |kind| wrk::start(kind, address, settings.time, &tokens);
    let (members, strangers) = (run_wrk(Kind::Members)?, run_wrk(Kind::Strangers)?);
    let models: Vec<_> = (1..=MODELS)
        .map(|user| Model::new(user, Client::of(address), random.fork()))
        .map(|model| spawn(model.work(start + settings.time)))
        .collect();
    let memory = Memory::watch(process.id(), settings.time).await?;
    let (members, strangers) = (members.counted().await?, strangers.counted().await?);

    let mut violations = Vec::new();
    let mut compared = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for token in &tokens {
        let session = token.parse::<SessionToken>()?.id();
        expected.insert(session, Row { user: READER, notes: Vec::new() });
    }
    for model in models {
        let model = model.await?;
        violations.extend(model.wrong);
        for (operation, count) in model.compared {
            *compared.entry(operation).or_default() += count;
        }
        expected.extend(model.rows);
    }
    let rows = database.rows().await?;
    violations.extend(different(&rows, &expected));
    violations.extend(members.complaint("members"));
    violations.extend(strangers.complaint("strangers"));
    if settings.memory_may_not_grow && memory.grows() {
        violations.push(format!("the memory grows: {memory}"));
    }
    let (time, rows) = (start.elapsed(), rows.len());
    Ok(Report { time, compared, members, strangers, memory, rows, violations })
}

/// The tokens of the sessions that are only read.
async fn log_in(client: &mut Client) -> Result<Vec<String>, Box<dyn Error>> {
    let request = Operation::<SessionId>::LogIn.request(READER, None);
    let mut tokens = Vec::new();
    for _ in 0..READ_SESSIONS {
        let reply = client.ask(&request).await.map_err(|error| format!("login: {error:?}"))?;
        tokens.push(reply.cookie.ok_or("a login without a cookie")?);
    }
    Ok(tokens)
}

/// In what the database differs from the model.
fn different(found: &BTreeMap<SessionId, Row>, expected: &BTreeMap<SessionId, Row>) -> Vec<String> {
    let ids = found.keys().chain(expected.keys().filter(|id| !found.contains_key(id)));
    let pairs = ids.map(|id| (id, found.get(id), expected.get(id)));
    let differ = pairs.filter(|(_, found, expected)| found != expected);
    differ.map(|(id, found, expected)| format!("row {id}: {found:?}, not {expected:?}")).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs().max(1);
        let line = |f: &mut fmt::Formatter<'_>, what, count: u64| {
            writeln!(f, "{what:<12}{count} answers, {} a second", count / seconds)
        };
        line(f, "members", self.members.right + self.members.wrong)?;
        line(f, "strangers", self.strangers.right + self.strangers.wrong)?;
        line(f, "compared", self.compared.values().sum())?;
        for (operation, count) in &self.compared {
            writeln!(f, "  {operation:<20}{count}")?;
        }
        writeln!(f, "memory      {}", self.memory)?;
        writeln!(f, "rows        {} at the end", self.rows)?;
        write!(f, "violations  {}", self.violations.len())?;
        for violation in self.violations.iter().take(20) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_additional_or_changed_row_is_a_difference() {
        let row = |number, notes: &[u64]| {
            (SessionId::from_bytes([number; 16]), Row { user: 1, notes: notes.to_vec() })
        };
        let expected = BTreeMap::from([row(1, &[7]), row(2, &[])]);
        for (found, differences) in [
            (vec![row(1, &[7]), row(2, &[])], 0),
            (vec![row(1, &[7])], 1),
            (vec![row(1, &[]), row(2, &[])], 1),
            (vec![row(1, &[7]), row(2, &[]), row(3, &[])], 1),
        ] {
            let found = found.into_iter().collect();
            assert_eq!(different(&found, &expected).len(), differences, "{found:?}");
        }
    }
}
