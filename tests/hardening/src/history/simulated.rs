//! An app that is right, simulated: the checker finds nothing in what it shows, and everything that
//! is then changed where the history leaves no doubt.

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;
use locals::SessionId;

use super::{
    Cookie, Event, Fault, History, Operation, Outcome, Said, Token,
    check::{Kind, check},
    tests::session,
};
use crate::database::Row;

const USERS: i64 = 3;

/// Sessions as they should be: each has one token, and its notes.
#[derive(Default)]
struct App {
    sessions: BTreeMap<SessionId, (i64, u64, Vec<u64>)>,
    made: u8,
    secrets: u64,
}

impl App {
    /// Performs it in one step, and returns the outcome.
    fn perform(&mut self, event: &mut Event) {
        let session = event.token.and_then(|token| {
            let (_, secret, notes) = self.sessions.get(&token.session)?;
            (*secret == token.secret).then(|| (token.session, notes.clone()))
        });
        if session.is_none() && !event.operation.is_open() {
            event.outcome = Outcome::Refused;
            return;
        }
        let (own, notes) = session.clone().unzip();
        let user = event.user;
        match &event.operation {
            Operation::LogIn => {
                self.sessions.retain(|id, _| Some(*id) != own);
                self.made += 1;
                let token = Token { session: super::tests::session(self.made), secret: 0 };
                self.sessions.insert(token.session, (user, 0, notes.unwrap_or_default()));
                event.cookie = Some(Cookie::Set(token));
            }
            Operation::LogOut => self.sessions.retain(|id, _| Some(*id) != own),
            Operation::LogOutEverywhere => self.sessions.retain(|_, (of, ..)| *of != user),
            Operation::EndSession(ended) => {
                if self.sessions.get(ended).is_some_and(|(of, ..)| *of == user) {
                    self.sessions.remove(ended);
                } else {
                    event.outcome = Outcome::Absent;
                }
            }
            Operation::LogOutOthers | Operation::Reauthenticate => {
                if event.operation == Operation::LogOutOthers {
                    self.sessions.retain(|id, (of, ..)| *of != user || Some(*id) == own);
                }
                self.secrets += 1;
                if let Some((id, kept)) = own.and_then(|id| Some((id, self.sessions.get_mut(&id)?)))
                {
                    kept.1 = self.secrets;
                    event.cookie = Some(Cookie::Set(Token { session: id, secret: kept.1 }));
                }
            }
            Operation::Note(note) => {
                if let Some((.., notes)) = own.and_then(|id| self.sessions.get_mut(&id)) {
                    notes.push(*note);
                }
            }
            Operation::Notes => event.said = Said::Notes(notes.unwrap_or_default()),
            Operation::Public if own.is_none() => event.said = Said::Name("nobody".to_owned()),
            Operation::Me | Operation::Public => event.said = Said::Name(format!("name-{user}")),
            Operation::Sessions => {}
        }
    }
}

/// A history of so many operations, each of which happens at some moment between its start and its
/// end, so many milliseconds apart at most; some without an answer, and some of these later or never.
fn simulate(seed: u64, length: u64, apart: u64, has_faults: bool) -> History {
    let mut random = Rng::with_seed(seed);
    let mut app = App::default();
    let mut events: Vec<Event> = Vec::new();
    for number in 1..=length {
        let moment = 100 * number;
        let user = random.i64(1..=USERS);
        let mut start = moment.saturating_sub(random.u64(..=apart));
        let end = moment + random.u64(..=apart);
        let is_failed = has_faults && random.u8(..10) == 0;
        if is_failed && random.bool() {
            // It is done after there was no answer.
            start = start.saturating_sub(random.u64(..1_000));
        }
        let given = |event: &Event| event.given().filter(|_| event.user == user);
        let known = events.iter().filter(|event| event.end < Duration::from_millis(start));
        let token = random.choice(known.filter_map(given).collect::<Vec<_>>());
        let any: Vec<_> = events.iter().filter_map(given).collect();
        let other = random.choice(any).map(|token| token.session);
        let operation = match random.u8(..12) {
            0 | 1 => Operation::LogIn,
            2 => Operation::LogOut,
            3 => Operation::LogOutOthers,
            4 if random.bool() => Operation::LogOutEverywhere,
            5 => Operation::EndSession(other.unwrap_or(session(0))),
            6 => Operation::Reauthenticate,
            7 => Operation::Notes,
            8 => Operation::Public,
            9 | 10 => Operation::Note(number),
            _ => Operation::Me,
        };
        let token = token.filter(|_| operation != Operation::LogIn || random.bool());
        let time = Duration::from_millis;
        let mut event = Event {
            client: 0,
            user,
            operation,
            token,
            start: time(start),
            end: time(end),
            outcome: Outcome::Done,
            cookie: None,
            said: Said::Nothing,
        };
        let unanswered = event.clone();
        if !(is_failed && random.bool()) {
            app.perform(&mut event);
        }
        if is_failed {
            let outcome = if random.bool() { Outcome::Lost } else { Outcome::Unavailable };
            let end = unanswered.start + time(random.u64(..50));
            event = Event { end, outcome, ..unanswered };
        }
        events.push(event);
    }
    events.sort_by_key(|event| event.end);
    let rows = app.sessions.into_iter().map(|(id, (user, _, notes))| (id, Row { user, notes }));
    let fault = Fault { kind: "", start: Duration::ZERO, end: Duration::from_hours(1) };
    let faults = if has_faults { vec![fault] } else { Vec::new() };
    History { events, faults, rows: rows.collect() }
}

#[test]
fn a_correct_app_has_no_findings() {
    for seed in 0..500 {
        for (apart, has_faults) in [(0, false), (1_000, false), (0, true), (2_000, true)] {
            let history = simulate(seed, 120, apart, has_faults);
            let found = check(&history);
            assert!(found.is_empty(), "seed {seed}, {apart} apart: {found:#?}");
        }
    }
}

#[test]
fn every_wrong_response_is_found_in_sequential_histories() {
    let mut changed = 0;
    for seed in 0..200 {
        let history = simulate(seed, 60, 0, false);
        for (number, event) in history.events.iter().enumerate() {
            let is_read = matches!(event.operation, Operation::Me | Operation::Notes);
            if !is_read || event.token.is_none() {
                continue;
            }
            let (outcome, said, expected) = match event.outcome {
                Outcome::Done => (Outcome::Refused, Said::Nothing, Kind::RefusedAlive),
                _ => (Outcome::Done, event.said.clone(), Kind::AcceptedAfterItsEnd),
            };
            let mut wrong = history.clone();
            wrong.events[number] = Event { outcome, said, ..event.clone() };
            let found: Vec<_> = check(&wrong).into_iter().map(|found| found.kind).collect();
            assert_eq!(found, [expected], "seed {seed}: {event:?}");
            changed += 1;
        }
        for id in history.rows.keys() {
            let mut wrong = history.clone();
            wrong.rows.remove(id);
            let found: Vec<_> = check(&wrong).into_iter().map(|found| found.kind).collect();
            assert_eq!(found, [Kind::RowLost], "seed {seed}: {id}");
            changed += 1;
        }
    }
    assert!(changed > 1_000, "{changed}");
}
