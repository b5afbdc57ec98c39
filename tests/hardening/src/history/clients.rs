//! The clients: users with several devices each, who know what they were told and nothing else.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use locals::SessionId;
use serde::Deserialize;
use tokio::time::sleep;

use super::{Event, Operation, Outcome, Said, Token};
use crate::client::{Client, Reply};

/// How many sessions a user has that they know of. Far below the app's limit for one user: those
/// that nobody knows of, because the answer to a login was lost, come on top.
const MAX_SESSIONS: usize = 6;

/// How many tokens that have ended a user remembers, to try them again.
const MAX_ENDED_TOKENS: usize = 300;

/// How much a device does at least: on a slow machine a run takes longer, instead of showing less.
const MIN_OPERATIONS: usize = 100;

/// What all clients share.
pub struct Shared {
    pub nodes: [SocketAddr; 2],
    pub clock: Instant,
    pub stopped: Cell<bool>,
    pub events: RefCell<Vec<Event>>,
    notes: Cell<u64>,
}

impl Shared {
    pub fn new(nodes: [SocketAddr; 2]) -> Self {
        Self {
            nodes,
            clock: Instant::now(),
            stopped: Cell::new(false),
            events: RefCell::default(),
            notes: Cell::new(0),
        }
    }

    /// A note that nobody has written yet.
    fn next_note(&self) -> u64 {
        self.notes.replace(self.notes.get() + 1)
    }
}

/// What a user knows, on all of their devices: so they use one token in many requests at once.
pub struct User {
    id: i64,
    open: RefCell<Vec<String>>,
    ended: RefCell<VecDeque<String>>,
    listed: RefCell<Vec<SessionId>>,
}

impl User {
    pub fn new(id: i64) -> Self {
        Self { id, open: RefCell::default(), ended: RefCell::default(), listed: RefCell::default() }
    }

    /// Learns from an answer.
    fn learn(&self, event: &Event, token: Option<&str>, reply: Option<&Reply>) {
        let presented = |text: &str| Some(text) == token;
        match (&event.operation, event.outcome) {
            (_, Outcome::Refused) | (Operation::LogIn | Operation::LogOut, Outcome::Done) => {
                self.end(presented);
            }
            (Operation::Reauthenticate, Outcome::Done) => self.end(presented),
            (Operation::LogOutEverywhere | Operation::LogOutOthers, Outcome::Done) => {
                self.end(|_| true);
            }
            (Operation::EndSession(id), Outcome::Done | Outcome::Absent) => {
                self.end(|text| Token::of(text).session == *id);
            }
            (Operation::Sessions, Outcome::Done) => {
                let body = reply.map(|reply| reply.body.as_str()).unwrap_or_default();
                let list: Vec<Listed> = serde_json::from_str(body).expect("a list of sessions");
                self.listed.replace(list.into_iter().map(|listed| listed.id).collect());
            }
            _ => {}
        }
        if event.given().is_some() {
            let text = reply.and_then(|reply| reply.cookie.clone());
            self.open.borrow_mut().extend(text);
        }
    }

    /// Counts these tokens among those that have ended.
    fn end(&self, which: impl Fn(&str) -> bool) {
        let mut ended = self.ended.borrow_mut();
        ended.extend(self.open.borrow_mut().extract_if(.., |text| which(text)));
        let surplus = ended.len().saturating_sub(MAX_ENDED_TOKENS);
        ended.drain(..surplus);
    }
}

#[derive(Deserialize)]
struct Listed {
    id: SessionId,
}

/// One device of a user.
pub struct Device {
    number: usize,
    user: Rc<User>,
    shared: Rc<Shared>,
    nodes: [Client; 2],
    random: Rng,
}

impl Device {
    pub fn new(number: usize, user: Rc<User>, shared: Rc<Shared>, random: Rng) -> Self {
        let nodes = shared.nodes.map(Client::of);
        Self { number, user, shared, nodes, random }
    }

    /// Does this and that until it is told to stop, but enough.
    pub async fn work(mut self) -> Self {
        let mut done = 0;
        while done < MIN_OPERATIONS || !self.shared.stopped.get() {
            let (operation, token) = self.choose();
            if self.perform(operation, token).await == Outcome::NotSent {
                // There is no process there: it would be asked for as fast as the machine can.
                sleep(Duration::from_millis(5)).await;
            }
            done += 1;
        }
        self
    }

    /// Reads all tokens that the user remembers once more, open or not.
    pub async fn look_back(mut self) {
        let mut tokens = self.user.open.take();
        tokens.extend(self.user.ended.take());
        for token in tokens {
            self.perform(Operation::Me, Some(token.clone())).await;
            self.perform(Operation::Notes, Some(token)).await;
        }
    }

    /// What to do next, and with which token.
    fn choose(&mut self) -> (Operation, Option<String>) {
        let (open, ended) = (self.user.open.borrow(), self.user.ended.borrow());
        let random = &mut self.random;
        let last_ended = ended.iter().rev().take(5).nth(random.usize(..5));
        // The session that has just ended is tried most; now and then one of long ago.
        let one_ended = match random.u8(..10) {
            0 => random.choice(ended.iter()),
            _ => last_ended,
        };
        let one_open = random.choice(open.iter());
        let session = |text: &String| Token::of(text).session;
        let (operation, token) = match random.u8(..100) {
            _ if open.is_empty() => (Operation::LogIn, None),
            0..30 => (Operation::Me, one_open),
            30..35 => (Operation::Public, one_open),
            35..50 => (Operation::Me, one_ended.or(one_open)),
            50..53 => (Operation::Notes, one_ended.or(one_open)),
            53..62 => (Operation::Notes, one_open),
            62..74 => (Operation::Note(self.shared.next_note()), one_open),
            74..79 if open.len() < MAX_SESSIONS => (Operation::LogIn, None),
            74..83 => (Operation::LogIn, one_open),
            83..89 => (Operation::LogOut, one_open),
            89..92 => (Operation::Reauthenticate, one_open),
            92..94 => (Operation::LogOutOthers, one_open),
            94 => (Operation::LogOutEverywhere, one_open),
            95..97 => (Operation::Sessions, one_open),
            97..99 => {
                let listed = self.user.listed.borrow();
                let named = random.choice(listed.iter()).copied();
                let known = random.choice(open.iter()).map(session);
                let id = if random.bool() { named.or(known) } else { known };
                (id.map_or(Operation::Sessions, Operation::EndSession), one_open)
            }
            _ => {
                let operation = random.choice([
                    Operation::LogIn,
                    Operation::LogOut,
                    Operation::Reauthenticate,
                    Operation::LogOutOthers,
                ]);
                (operation.unwrap_or(Operation::Me), one_ended.or(one_open))
            }
        };
        (operation, token.cloned())
    }

    async fn perform(&mut self, operation: Operation, token: Option<String>) -> Outcome {
        let request = operation.request(self.user.id, token.as_deref());
        let node = &mut self.nodes[self.random.usize(..2)];
        let start = self.shared.clock.elapsed();
        let reply = node.ask(&request).await;
        let end = self.shared.clock.elapsed();
        let event = Event {
            client: self.number,
            user: self.user.id,
            operation,
            token: token.as_deref().map(Token::of),
            start,
            end,
            outcome: Outcome::Lost,
            cookie: None,
            said: Said::Nothing,
        };
        let event = event.answered(reply.as_ref().map_err(|no_reply| *no_reply));
        self.user.learn(&event, token.as_deref(), reply.as_ref().ok());
        let outcome = event.outcome;
        self.shared.events.borrow_mut().push(event);
        outcome
    }
}
