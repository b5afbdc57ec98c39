//! The notes of sessions: none is lost, none is there twice, none comes from elsewhere.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use locals::SessionId;

use super::{
    Event, History, Operation, Outcome, Said,
    check::{Kind, Violation},
    facts::Facts,
};

/// Finds what cannot be, in all that was read and in the database.
pub fn check(history: &History, facts: &Facts<'_>) -> Vec<Violation> {
    let notes = Notes::of(history, facts);
    let mut found = Vec::new();
    for event in &history.events {
        if let (Said::Notes(read), Some(token)) = (&event.said, event.token) {
            let seen = event.to_string();
            notes.compare(token.session, read, event.start, event.end, &seen, &mut found);
        }
    }
    for (id, row) in &history.rows {
        if facts.sessions.contains_key(id) {
            let seen = format!("the row of {id}: {:?}", row.notes);
            notes.compare(*id, &row.notes, Duration::MAX, Duration::MAX, &seen, &mut found);
        }
    }
    found
}

struct Notes<'h> {
    facts: &'h Facts<'h>,
    /// What was written into each session, whether it was done or not.
    written: HashMap<SessionId, Vec<(u64, &'h Event)>>,
}

impl<'h> Notes<'h> {
    fn of(history: &'h History, facts: &'h Facts<'h>) -> Self {
        let mut written: HashMap<_, Vec<_>> = HashMap::new();
        for event in &history.events {
            if let (Operation::Note(note), Some(token)) = (&event.operation, event.token)
                && event.may_be_done()
            {
                written.entry(token.session).or_default().push((*note, event));
            }
        }
        Self { facts, written }
    }

    /// Compares what was read between these times with what was written.
    fn compare(
        &self,
        id: SessionId,
        read: &[u64],
        start: Duration,
        end: Duration,
        seen: &str,
        found: &mut Vec<Violation>,
    ) {
        let mut add = |kind, note| {
            found.push(Violation { kind, seen: format!("note {note} in {seen}") });
        };
        let (mut must, mut may) = (HashSet::new(), HashSet::new());
        self.gather(id, start, end, &mut must, &mut may);
        let mut once = HashSet::new();
        for note in read {
            if !once.insert(*note) {
                add(Kind::NoteTwice, *note);
            }
            if !may.contains(note) {
                add(Kind::NoteFromNowhere, *note);
            }
        }
        for note in must.difference(&once) {
            add(Kind::NoteLost, *note);
        }
    }

    /// What must be and what may be in a session that is read between these times.
    fn gather(
        &self,
        mut id: SessionId,
        mut start: Duration,
        mut end: Duration,
        must: &mut HashSet<u64>,
        may: &mut HashSet<u64>,
    ) {
        let mut is_sure = true;
        loop {
            for (note, event) in self.written.get(&id).into_iter().flatten() {
                if is_sure && event.outcome == Outcome::Done && event.end < start {
                    must.insert(*note);
                }
                if event.start <= end {
                    may.insert(*note);
                }
            }
            // Who logs in over a session of theirs takes its data along, if it still lives.
            let Some(session) = self.facts.sessions.get(&id) else { return };
            let Some(before) = session.log_in.token else { return };
            (start, end) = (session.log_in.start, session.log_in.end);
            is_sure &= !self.facts.may_have_ended(before, end, session.number);
            id = before.session;
        }
    }
}
