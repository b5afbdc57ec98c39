//! A client that knows its user's sessions as they must be, and compares each answer with that.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use fastrand::Rng;
use locals::{SessionId, SessionToken};
use serde_json::{Value, json};

use crate::{
    client::{Client, Reply},
    database::Row,
    operation,
};

type Operation = operation::Operation<SessionId>;

/// How many sessions its user has at most. The app ends the oldest of more than a hundred.
const MAX_SESSIONS: usize = 20;

/// How many tokens that have ended it remembers.
const MAX_ENDED_TOKENS: usize = 100;

/// How much it does at least: on a slow machine a run takes longer, instead of showing less.
const MIN_OPERATIONS: usize = 100;

/// A session that lives.
struct Known {
    id: SessionId,
    token: String,
    notes: Vec<u64>,
}

/// The client. Nobody else is logged in as its user.
pub struct Model {
    user: i64,
    client: Client,
    random: Rng,
    open: Vec<Known>,
    ended: VecDeque<String>,
    next_note: u64,
    compared: BTreeMap<&'static str, u64>,
}

/// What a client leaves.
pub struct Left {
    /// How many answers were as they must be, by operation.
    pub compared: BTreeMap<&'static str, u64>,
    /// The sessions that must be in the database.
    pub rows: Vec<(SessionId, Row)>,
    /// The first answer that was not.
    pub wrong: Option<String>,
}

impl Model {
    pub fn new(user: i64, client: Client, random: Rng) -> Self {
        let (open, ended, compared) = (Vec::new(), VecDeque::new(), BTreeMap::new());
        Self { user, client, random, open, ended, next_note: 0, compared }
    }

    /// Does this and that until then, but enough, and looks at everything once more.
    pub async fn work(mut self, until: Instant) -> Left {
        let wrong = self.work_well(until).await.err();
        let user = self.user;
        let row = |known: Known| (known.id, Row { user, notes: known.notes });
        let rows = self.open.into_iter().map(row).collect();
        Left { compared: self.compared, rows, wrong }
    }

    async fn work_well(&mut self, until: Instant) -> Result<(), String> {
        let mut done = 0;
        while done < MIN_OPERATIONS || Instant::now() < until {
            let (operation, token) = self.choose();
            self.perform(&operation, token).await?;
            done += 1;
        }
        let open = self.open.iter().map(|known| known.token.clone());
        let tokens: Vec<_> = open.chain(self.ended.iter().cloned()).collect();
        for token in tokens {
            self.perform(&Operation::Me, Some(token.clone())).await?;
            self.perform(&Operation::Notes, Some(token)).await?;
        }
        Ok(())
    }

    fn choose(&mut self) -> (Operation, Option<String>) {
        let random = &mut self.random;
        let token = random.choice(self.open.iter()).map(|known| known.token.clone());
        let session = random.choice(self.open.iter()).map(|known| known.id);
        let unknown = SessionId::from_bytes([0; 16]);
        let is_full = self.open.len() >= MAX_SESSIONS;
        let operation = match random.u8(..100) {
            0..25 => Operation::Me,
            25..35 => Operation::Public,
            35..45 => Operation::Notes,
            45..60 => Operation::Note(self.next_note),
            60..72 if is_full => Operation::LogOut,
            60..72 => return (Operation::LogIn, None),
            72..77 => Operation::LogIn,
            77..84 => Operation::LogOut,
            84..88 => Operation::Reauthenticate,
            88..90 => Operation::LogOutOthers,
            90 => Operation::LogOutEverywhere,
            91..94 => Operation::Sessions,
            94..96 => Operation::EndSession(session.unwrap_or(unknown)),
            96 => Operation::EndSession(unknown),
            _ => return (Operation::Me, random.choice(self.ended.iter()).cloned()),
        };
        (operation, token)
    }

    async fn perform(
        &mut self,
        operation: &Operation,
        token: Option<String>,
    ) -> Result<(), String> {
        let request = operation.request(self.user, token.as_deref());
        let reply = self.client.ask(&request).await;
        let reply = reply.map_err(|error| format!("{operation:?} of {token:?}: {error:?}"))?;
        let own = self.open.iter().position(|known| Some(&known.token) == token.as_ref());
        self.compare(operation, own, &reply)
            .map_err(|expected| format!("{operation:?} of {token:?}: {reply:?}, not {expected}"))?;
        self.follow(operation, own, token, &reply);
        *self.compared.entry(operation.name()).or_default() += 1;
        Ok(())
    }

    /// Says what the answer must be, if it is not.
    fn compare(
        &self,
        operation: &Operation,
        own: Option<usize>,
        reply: &Reply,
    ) -> Result<(), String> {
        let own = own.map(|own| &self.open[own]);
        let others = self.open.len().saturating_sub(1);
        let is_there = |id| self.open.iter().any(|known| known.id == id);
        let is_closed = own.is_none() && !operation.is_open();
        let status = match operation {
            _ if is_closed => 401,
            Operation::EndSession(id) if !is_there(*id) => 404,
            operation => operation.success(),
        };
        let says = match operation {
            _ if is_closed => true,
            Operation::Public if own.is_none() => reply.body == "nobody",
            Operation::Me | Operation::Public => reply.body == format!("name-{}", self.user),
            Operation::LogOutEverywhere => reply.body == (others + 1).to_string(),
            Operation::LogOutOthers => reply.body == others.to_string(),
            Operation::Sessions => listed(&reply.body) == self.ids(),
            Operation::Notes => {
                let notes = own.map(|known| json!({ "notes": known.notes }));
                serde_json::from_str::<Value>(&reply.body).ok() == notes
            }
            _ => true,
        };
        let sets = match (operation, reply.cookie.as_deref()) {
            (_, set) if is_closed => set.is_none(),
            (Operation::LogIn | Operation::Reauthenticate | Operation::LogOutOthers, set) => {
                set.is_some_and(|token| token.parse::<SessionToken>().is_ok())
            }
            (Operation::LogOut | Operation::LogOutEverywhere, set) => {
                set == own.map(|_| "") || set == Some("")
            }
            (Operation::EndSession(id), set) => {
                set == own.filter(|known| known.id == *id).map(|_| "")
            }
            (_, set) => set.is_none(),
        };
        if reply.status == status && says && sets {
            return Ok(());
        }
        Err(format!("{status} (body: {says}, cookie: {sets}) with sessions {:?}", self.ids()))
    }

    /// Does to the model what the app has done.
    fn follow(
        &mut self,
        operation: &Operation,
        own: Option<usize>,
        token: Option<String>,
        reply: &Reply,
    ) {
        let own_id = own.map(|own| self.open[own].id);
        match operation {
            Operation::LogIn => {
                let notes = own.map(|own| self.open[own].notes.clone()).unwrap_or_default();
                self.end(|known| Some(known.id) == own_id);
                let token = reply.cookie.clone().unwrap_or_default();
                let id = id_of(&token);
                self.open.push(Known { id, token, notes });
            }
            Operation::LogOut => self.end(|known| Some(known.id) == own_id),
            Operation::LogOutEverywhere if own.is_some() => self.end(|_| true),
            Operation::EndSession(id) if own.is_some() => self.end(|known| known.id == *id),
            Operation::Reauthenticate | Operation::LogOutOthers => {
                let Some(own) = own else { return };
                self.open[own].token = reply.cookie.clone().unwrap_or_default();
                self.ended.extend(token);
                if *operation == Operation::LogOutOthers {
                    self.end(|known| Some(known.id) != own_id);
                }
            }
            Operation::Note(note) => {
                self.next_note += 1;
                if let Some(own) = own {
                    self.open[own].notes.push(*note);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, which: impl Fn(&Known) -> bool) {
        let ended = self.open.extract_if(.., |known| which(known));
        self.ended.extend(ended.map(|known| known.token));
        let surplus = self.ended.len().saturating_sub(MAX_ENDED_TOKENS);
        self.ended.drain(..surplus);
    }

    fn ids(&self) -> BTreeSet<String> {
        self.open.iter().map(|known| known.id.to_string()).collect()
    }
}

fn id_of(token: &str) -> SessionId {
    let token: SessionToken = token.parse().expect("it has been compared");
    token.id()
}

/// The ids in a list of sessions.
fn listed(body: &str) -> BTreeSet<String> {
    let list: Vec<Value> = serde_json::from_str(body).unwrap_or_default();
    list.iter().filter_map(|session| Some(session["id"].as_str()?.to_owned())).collect()
}
