//! What a run has shown, in a few lines.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    Event, History, Outcome,
    check::{self, Violation},
};

/// How many violations are printed.
const MAX_PRINTED: usize = 20;

/// What a run has shown.
#[derive(Debug)]
pub struct Report {
    /// How many operations of each kind had which outcome.
    pub operations: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// How many faults there were of each kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// How many sessions were in the database at the end.
    pub rows: usize,
    /// How long it took.
    pub time: Duration,
    /// How long the slowest answer took.
    pub slowest: Duration,
    /// What no app that is right could have shown.
    pub violations: Vec<Violation>,
}

impl Report {
    pub(super) fn of(history: &History) -> Self {
        let mut operations: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
        for event in &history.events {
            let outcomes = operations.entry(event.operation.name()).or_default();
            *outcomes.entry(name(event.outcome)).or_default() += 1;
        }
        let mut faults: BTreeMap<_, usize> = BTreeMap::new();
        for fault in &history.faults {
            *faults.entry(fault.kind).or_default() += 1;
        }
        let events = &history.events;
        Self {
            operations,
            faults,
            rows: history.rows.len(),
            time: events.iter().map(|event| event.end).max().unwrap_or_default(),
            slowest: events.iter().map(Event::duration).max().unwrap_or_default(),
            violations: check::check(history),
        }
    }

    /// How many operations there were with this outcome.
    pub fn with(&self, outcome: Outcome) -> usize {
        let name = name(outcome);
        self.operations.values().filter_map(|outcomes| outcomes.get(name)).sum()
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Refused => "401",
        Outcome::Absent => "404",
        Outcome::Unavailable => "503",
        Outcome::Lost => "no answer",
        Outcome::NotSent => "not sent",
        Outcome::Strange(_) => "strange",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.operations.values().flat_map(BTreeMap::values).sum();
        let seconds = self.time.as_secs().max(1);
        let rate = u64::try_from(all).unwrap_or_default() / seconds;
        writeln!(f, "operations  {all} in {seconds} s, {rate} a second")?;
        for (operation, outcomes) in &self.operations {
            let outcomes = outcomes.iter().map(|(name, count)| format!("{count} {name}"));
            writeln!(f, "  {operation:<20}{}", outcomes.collect::<Vec<_>>().join(", "))?;
        }
        writeln!(f, "faults      {}", self.faults.values().sum::<usize>())?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {fault:<28}{count}")?;
        }
        writeln!(f, "slowest     {} ms", self.slowest.as_millis())?;
        writeln!(f, "rows        {} at the end", self.rows)?;
        write!(f, "violations  {}", self.violations.len())?;
        for violation in self.violations.iter().take(MAX_PRINTED) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
