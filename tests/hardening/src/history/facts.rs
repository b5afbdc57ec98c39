//! What a history says of each session and each token: when it came, and when it went.

use std::{collections::HashMap, time::Duration};

use locals::SessionId;

use super::{Event, History, Operation, Outcome, Token};

/// How long after a missing answer an operation may still be done: a statement that was held back
/// on its way to the database is done when it arrives.
const MAX_DELAY: Duration = Duration::from_secs(20);

/// Something that may have happened from this time on, or has happened by this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The time.
    pub at: Duration,
    /// The number of the event.
    pub event: usize,
}

/// The end of a session or a token, as far as it is known.
#[derive(Debug, Default)]
pub struct End {
    /// The starts of the first two events that may have ended it.
    may: Vec<Mark>,
    /// The end of the first event that has ended it.
    pub sure: Option<Mark>,
}

impl End {
    /// Something may have ended it, or has.
    fn note(&mut self, number: usize, event: &Event, is_sure: bool) {
        self.may.push(Mark { at: event.start, event: number });
        self.may.sort_unstable();
        self.may.truncate(2);
        if is_sure {
            self.note_sure(number, event);
        }
    }

    /// It has ended, whatever has ended it.
    fn note_sure(&mut self, number: usize, event: &Event) {
        let mark = Mark { at: event.end, event: number };
        self.sure = Some(self.sure.map_or(mark, |sure| sure.min(mark)));
    }

    /// Whether nothing that begins after this time can change what is known.
    fn is_settled(&self, at: Duration) -> bool {
        self.may.len() == 2
            && self.may.iter().all(|mark| mark.at < at)
            && self.sure.is_some_and(|sure| sure.at < at)
    }

    /// Whether something may have ended it by this time, this event aside.
    pub fn is_possible(&self, by: Duration, except: usize) -> bool {
        self.may.iter().any(|mark| mark.at <= by && mark.event != except)
    }
}

/// What is known of a session.
#[derive(Debug)]
pub struct Session<'h> {
    /// The number of the login that has made it.
    pub number: usize,
    /// That login.
    pub log_in: &'h Event,
    /// Its end, whatever its token.
    pub end: End,
}

/// What is known of everything.
#[derive(Debug, Default)]
pub struct Facts<'h> {
    /// Sessions whose login was acknowledged.
    pub sessions: HashMap<SessionId, Session<'h>>,
    /// The ends of tokens, by which their sessions may go on.
    pub tokens: HashMap<Token, End>,
    /// Logins that have given a session that was there already.
    pub twice: Vec<usize>,
}

impl<'h> Facts<'h> {
    /// Gathers them.
    pub fn of(history: &'h History) -> Self {
        let mut facts = Self::default();
        for (number, log_in) in history.events.iter().enumerate() {
            if log_in.operation == Operation::LogIn
                && let Some(token) = log_in.given()
            {
                let session = Session { number, log_in, end: End::default() };
                if facts.sessions.insert(token.session, session).is_some() {
                    facts.twice.push(number);
                }
            }
        }
        facts.note_replaced_tokens(history);
        facts.note_single_ends(history);
        facts.note_ends_of_users(history);
        facts
    }

    /// Whether the token, or its session, may have ended by this time, this event aside.
    pub fn may_have_ended(&self, token: Token, by: Duration, except: usize) -> bool {
        let end = self.tokens.get(&token);
        end.is_some_and(|end| end.is_possible(by, except))
            || self.may_have_ended_session(token.session, by, except)
    }

    /// Whether the session may have ended by this time; one that is not known may never have been.
    pub fn may_have_ended_session(&self, id: SessionId, by: Duration, except: usize) -> bool {
        self.sessions.get(&id).is_none_or(|session| session.end.is_possible(by, except))
    }

    /// What has ended the token, or its session.
    pub fn ended(&self, token: Token) -> Option<Mark> {
        let token_end = self.tokens.get(&token).and_then(|end| end.sure);
        let session_end = self.sessions.get(&token.session).and_then(|session| session.end.sure);
        token_end.into_iter().chain(session_end).min()
    }

    fn note_replaced_tokens(&mut self, history: &History) {
        for (number, event) in history.events.iter().enumerate() {
            if let Some(token) =
                event.token.filter(|_| event.replaces_token() && event.may_be_done())
            {
                let is_sure = event.outcome == Outcome::Done;
                self.tokens.entry(token).or_default().note(number, event, is_sure);
            }
        }
    }

    /// What ends one session: that whose token is presented, or one that is named.
    fn note_single_ends(&mut self, history: &History) {
        for (number, event) in history.events.iter().enumerate() {
            let is_done = event.outcome == Outcome::Done;
            match (&event.operation, event.token) {
                (Operation::LogOut | Operation::LogIn, Some(token)) if event.may_be_done() => {
                    let end = self.tokens.entry(token).or_default();
                    if end.sure.is_some_and(|ended| ended.at < event.start) {
                        continue;
                    }
                    // Where another request may have replaced the token, the session may go on.
                    let is_current = !end.is_possible(event.end, number);
                    if is_done {
                        end.note_sure(number, event);
                    }
                    if let Some(session) = self.sessions.get_mut(&token.session) {
                        session.end.note(number, event, is_done && is_current);
                    }
                }
                (Operation::EndSession(id), _) => {
                    let session = self.sessions.get_mut(id);
                    match session.filter(|session| session.log_in.user == event.user) {
                        Some(session) if event.may_be_done() => {
                            session.end.note(number, event, is_done);
                        }
                        // Who looks and finds nothing has not ended it, but it has ended.
                        Some(session)
                            if event.outcome == Outcome::Absent
                                && session.log_in.end < event.start =>
                        {
                            session.end.note_sure(number, event);
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// What ends the sessions of a user, all or all others.
    fn note_ends_of_users(&mut self, history: &History) {
        let mut ends: HashMap<i64, Vec<(usize, &Event)>> = HashMap::new();
        for (number, event) in history.events.iter().enumerate() {
            let ends_many =
                matches!(event.operation, Operation::LogOutEverywhere | Operation::LogOutOthers);
            if ends_many && event.may_be_done() {
                ends.entry(event.user).or_default().push((number, event));
            }
        }
        for ends in ends.values_mut() {
            ends.sort_unstable_by_key(|(_, event)| event.start);
        }
        for (id, session) in &mut self.sessions {
            let of_user = ends.get(&session.log_in.user).into_iter().flatten();
            for (number, event) in of_user.copied() {
                let is_kept = event.operation == Operation::LogOutOthers
                    && event.token.is_some_and(|token| token.session == *id);
                let is_done = event.outcome == Outcome::Done;
                let until = if is_done { event.end } else { event.end + MAX_DELAY };
                if !is_kept && until > session.log_in.start {
                    let is_sure = is_done && event.start > session.log_in.end;
                    session.end.note(number, event, is_sure);
                }
                // What comes later is neither among the first that may, nor the first that has.
                if session.end.is_settled(event.start) {
                    break;
                }
            }
        }
    }
}
