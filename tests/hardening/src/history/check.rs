//! The checker: what in a history no app that is right could have shown.
//!
//! It is a pure function. Where a client has had no answer, or 503, the operation may have been done,
//! or may be done later, or not at all: none of these is held against the app.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use super::{
    Event, History, Operation, Outcome, Said, Token,
    facts::{Facts, Mark},
    notes,
};

/// How long after a fault requests may still fail (F-04).
const RECOVERY: Duration = Duration::from_secs(2);

/// What cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A token was accepted in a request that was begun after its end was acknowledged.
    AcceptedAfterItsEnd,
    /// A token was refused that nothing can have ended yet.
    RefusedAlive,
    /// Two requests have each had the same token replaced.
    ReplacedTwice,
    /// A login has given a session that was there already.
    GivenTwice,
    /// An answer names another user.
    ForeignName,
    /// A login, or a new token for a session that goes on, was acknowledged without the cookie.
    CookieMissing,
    /// An answer sets a cookie that it should not touch: 503 above all.
    CookieFromNowhere,
    /// A status that the operation should not have.
    StrangeStatus,
    /// A request has failed although nothing was broken.
    FailedInPeace,
    /// An acknowledged note is missing.
    NoteLost,
    /// A note is there more than once.
    NoteTwice,
    /// A note is there that nobody can have written there.
    NoteFromNowhere,
    /// An acknowledged session that nothing can have ended is not in the database.
    RowLost,
    /// A session whose end was acknowledged is in the database.
    RowLeft,
    /// There are more sessions in the database than logins without an answer explain.
    RowFromNowhere,
}

/// Something that cannot be, and where it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it is.
    pub kind: Kind,
    /// What is seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.seen)
    }
}

/// Finds what cannot be.
pub fn check(history: &History) -> Vec<Violation> {
    let facts = Facts::of(history);
    let mut check = Check { history, facts: &facts, found: Vec::new() };
    for number in &facts.twice {
        check.add(Kind::GivenTwice, *number, None);
    }
    for (number, event) in history.events.iter().enumerate() {
        check.acceptance(number, event);
        check.answer(number, event);
    }
    check.replacements();
    check.failures();
    check.rows();
    let Check { mut found, .. } = check;
    found.extend(notes::check(history, &facts));
    found
}

struct Check<'h> {
    history: &'h History,
    facts: &'h Facts<'h>,
    found: Vec<Violation>,
}

impl Check<'_> {
    /// Notes that an event cannot be, because of another.
    fn add(&mut self, kind: Kind, event: usize, because: Option<Mark>) {
        let because = because.map(|mark| &self.history.events[mark.event]);
        let because = because.map(|event| format!("; after {event}")).unwrap_or_default();
        let seen = format!("{}{because}", self.history.events[event]);
        self.found.push(Violation { kind, seen });
    }

    /// Whether the token was rightly accepted or refused.
    fn acceptance(&mut self, number: usize, event: &Event) {
        let Some(token) = event.token else { return };
        // Where anybody may come, it is the name that tells.
        let name = match (&event.operation, &event.said) {
            (Operation::Public, Said::Name(name)) => Some(name != "nobody"),
            _ => None,
        };
        let is_accepted = event.is_accepted() || name == Some(true);
        let is_refused = event.outcome == Outcome::Refused || name == Some(false);
        if is_accepted
            && let Some(ended) = self.facts.ended(token)
            && event.start > ended.at
        {
            self.add(Kind::AcceptedAfterItsEnd, number, Some(ended));
        }
        let mut wronged = is_refused && !self.facts.may_have_ended(token, event.end, number);
        if let Operation::EndSession(id) = event.operation {
            let session = self.facts.sessions.get(&id);
            let is_own = session.is_some_and(|session| session.log_in.user == event.user);
            wronged |= event.outcome == Outcome::Absent
                && is_own
                && !self.facts.may_have_ended_session(id, event.end, number);
        }
        if wronged {
            self.add(Kind::RefusedAlive, number, None);
        }
    }

    /// Whether the answer is one that such an operation may have.
    fn answer(&mut self, number: usize, event: &Event) {
        if let Outcome::Strange(_) = event.outcome {
            self.add(Kind::StrangeStatus, number, None);
        }
        if let Said::Name(name) = &event.said
            && *name != format!("name-{}", event.user)
            && (event.operation == Operation::Me || name != "nobody")
        {
            self.add(Kind::ForeignName, number, None);
        }
        // A new token of a session that has ended again is given to nobody.
        let goes_on =
            event.token.is_some_and(|token| !self.facts.may_have_ended(token, event.end, number));
        let must_give = event.operation == Operation::LogIn || event.replaces_token() && goes_on;
        if must_give && event.outcome == Outcome::Done && event.given().is_none() {
            self.add(Kind::CookieMissing, number, None);
        }
        let touches = matches!(
            event.operation,
            Operation::LogIn
                | Operation::LogOut
                | Operation::LogOutOthers
                | Operation::LogOutEverywhere
                | Operation::EndSession(_)
                | Operation::Reauthenticate
        );
        if event.cookie.is_some() && !(touches && event.outcome == Outcome::Done) {
            self.add(Kind::CookieFromNowhere, number, None);
        }
    }

    /// A token is replaced once: who comes later is refused, or given nothing.
    fn replacements(&mut self) {
        let mut replaced: HashSet<Token> = HashSet::new();
        for (number, event) in self.history.events.iter().enumerate() {
            if event.replaces_token()
                && event.given().is_some()
                && let Some(token) = event.token
                && !replaced.insert(token)
            {
                self.add(Kind::ReplacedTwice, number, None);
            }
        }
    }

    /// Requests fail for a reason.
    fn failures(&mut self) {
        for (number, event) in self.history.events.iter().enumerate() {
            let has_failed =
                matches!(event.outcome, Outcome::Unavailable | Outcome::Lost | Outcome::NotSent);
            let has_reason = || {
                let mut faults = self.history.faults.iter();
                faults.any(|fault| fault.start <= event.end && event.start <= fault.end + RECOVERY)
            };
            if has_failed && !has_reason() {
                self.add(Kind::FailedInPeace, number, None);
            }
        }
    }

    /// The database holds what the history allows.
    fn rows(&mut self) {
        let Some(last) = self.history.events.iter().map(|event| event.end).max() else { return };
        let rows = &self.history.rows;
        for (id, session) in &self.facts.sessions {
            let is_there = rows.get(id).is_some_and(|row| row.user == session.log_in.user);
            if !is_there && !self.facts.may_have_ended_session(*id, last, usize::MAX) {
                self.add(Kind::RowLost, session.number, None);
            }
            if rows.contains_key(id) && session.end.sure.is_some() {
                self.add(Kind::RowLeft, session.number, session.end.sure);
            }
        }
        let mut unsure: HashMap<i64, usize> = HashMap::new();
        for event in &self.history.events {
            let is_unsure = matches!(event.outcome, Outcome::Unavailable | Outcome::Lost);
            if event.operation == Operation::LogIn && is_unsure {
                *unsure.entry(event.user).or_default() += 1;
            }
        }
        let mut unknown: BTreeMap<i64, usize> = BTreeMap::new();
        for (id, row) in rows {
            if !self.facts.sessions.contains_key(id) {
                *unknown.entry(row.user).or_default() += 1;
            }
        }
        for (user, count) in unknown {
            let at_most = unsure.get(&user).copied().unwrap_or_default();
            if count > at_most {
                let seen = format!("{count} unknown sessions of user {user}, {at_most} explained");
                self.found.push(Violation { kind: Kind::RowFromNowhere, seen });
            }
        }
    }
}
