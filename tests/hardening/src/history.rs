//! What many clients saw of one app, and whether an app that is right could have shown it.

use std::{collections::BTreeMap, fmt, time::Duration};

use locals::{SessionId, SessionToken};

use crate::{
    app::Account,
    client::{NoReply, Reply},
    database::Row,
    operation,
};

pub mod check;
mod clients;
mod facts;
mod nemesis;
mod notes;
mod report;
mod run;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

pub use report::Report;
pub use run::{Settings, run};

/// Something that a client does.
pub type Operation = operation::Operation<SessionId>;

/// A token, as far as a history needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// Its session.
    pub session: SessionId,
    /// What tells it from the other tokens of the session.
    pub secret: u64,
}

impl Token {
    /// That with this text.
    ///
    /// # Panics
    /// If it is none.
    pub fn of(text: &str) -> Self {
        let token: SessionToken = text.parse().expect("a token");
        let secret = *token.secret_hash::<Account>().as_bytes().first_chunk().expect("32 bytes");
        Self { session: token.id(), secret: u64::from_be_bytes(secret) }
    }
}

/// What has become of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// 401: there is no such session, or not any more.
    Refused,
    /// 404: the session that was to be ended is not there.
    Absent,
    /// 503: it may have been done, or may be done yet.
    Unavailable,
    /// No answer has come: as with 503.
    Lost,
    /// It was never sent.
    NotSent,
    /// A status that no such operation should have.
    Strange(u16),
}

/// What an answer does to the session cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// It is set to this token.
    Set(Token),
    /// It is removed.
    Removed,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing that matters here.
    Nothing,
    /// Who one is.
    Name(String),
    /// The notes of the session.
    Notes(Vec<u64>),
}

/// One operation. All times are of one monotonic clock.
#[derive(Debug, Clone)]
pub struct Event {
    /// Which client it was.
    pub client: usize,
    /// Whose sessions it is about.
    pub user: i64,
    /// What was done.
    pub operation: Operation,
    /// What was presented.
    pub token: Option<Token>,
    /// Before it was sent.
    pub start: Duration,
    /// After the answer was there, or there was none.
    pub end: Duration,
    /// What has become of it.
    pub outcome: Outcome,
    /// What the answer does to the cookie.
    pub cookie: Option<Cookie>,
    /// What the answer says.
    pub said: Said,
}

impl Event {
    /// Notes down what an operation was answered.
    pub fn answered(mut self, reply: Result<&Reply, NoReply>) -> Self {
        let reply = match reply {
            Err(NoReply::NotSent) => return Self { outcome: Outcome::NotSent, ..self },
            Err(NoReply::Lost) => return Self { outcome: Outcome::Lost, ..self },
            Ok(reply) => reply,
        };
        self.outcome = match (reply.status, &self.operation) {
            (status, operation) if status == operation.success() => Outcome::Done,
            (401, operation) if !operation.is_open() => Outcome::Refused,
            (404, Operation::EndSession(_)) => Outcome::Absent,
            (503, _) => Outcome::Unavailable,
            (status, _) => Outcome::Strange(status),
        };
        self.cookie = reply.cookie.as_deref().map(|value| match value {
            "" => Cookie::Removed,
            token => Cookie::Set(Token::of(token)),
        });
        self.said = match (self.outcome, &self.operation) {
            (Outcome::Done, Operation::Me | Operation::Public) => Said::Name(reply.body.clone()),
            (Outcome::Done, Operation::Notes) => {
                let notes: crate::app::Notes =
                    serde_json::from_str(&reply.body).expect("notes in JSON");
                Said::Notes(notes.notes)
            }
            _ => Said::Nothing,
        };
        self
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }

    /// Whether it may have been done, so far as its client knows.
    pub fn may_be_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused | Outcome::Absent | Outcome::NotSent)
    }

    /// Whether the token that was presented has opened its session.
    pub fn is_accepted(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Absent) && !self.operation.is_open()
    }

    /// Whether it has the token that was presented replaced by another one.
    pub fn replaces_token(&self) -> bool {
        matches!(self.operation, Operation::Reauthenticate | Operation::LogOutOthers)
    }

    /// The token that the answer gives.
    pub fn given(&self) -> Option<Token> {
        match self.cookie {
            Some(Cookie::Set(token)) if self.outcome == Outcome::Done => Some(token),
            _ => None,
        }
    }
}

/// In a line, for who has to understand a violation.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, user, operation, start, end, outcome, .. } = self;
        write!(f, "{} by client {client} as user {user}", operation.name())?;
        if let Operation::EndSession(id) = operation {
            write!(f, " {id}")?;
        }
        if let Some(Token { session, secret }) = self.token {
            write!(f, " with {session}#{secret:x}")?;
        }
        write!(f, ", {start:.6?} to {end:.6?}: {outcome:?}")?;
        match self.cookie {
            Some(Cookie::Set(Token { session, secret })) => {
                write!(f, ", sets {session}#{secret:x}")?;
            }
            Some(Cookie::Removed) => f.write_str(", removes the cookie")?,
            None => {}
        }
        match &self.said {
            Said::Nothing => Ok(()),
            said => write!(f, ", says {said:?}"),
        }
    }
}

/// What was broken, and for how long.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What it was.
    pub kind: &'static str,
    /// When it began.
    pub start: Duration,
    /// When all was in order again.
    pub end: Duration,
}

/// All that was seen in one run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What clients did, in the order of its ends.
    pub events: Vec<Event>,
    /// What was broken meanwhile.
    pub faults: Vec<Fault>,
    /// The sessions that are in the database at the end, when nothing is under way any more.
    pub rows: BTreeMap<SessionId, Row>,
}
