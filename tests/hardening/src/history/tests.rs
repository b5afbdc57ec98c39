//! Each kind of violation is found in a hand-written history, and none in a correct one.

use std::time::Duration;

use locals::SessionId;

use super::{
    Cookie, Event, Fault, History, Operation, Outcome, Said, Token,
    check::{Kind, check},
};
use crate::database::Row;

pub fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

/// The token `secret` of the session with this number.
fn token(number: u8, secret: u64) -> Token {
    Token { session: session(number), secret }
}

/// The first tokens of two sessions.
const FIRST: u8 = 1;
const SECOND: u8 = 2;

fn first() -> Token {
    token(FIRST, 0)
}

fn second() -> Token {
    token(SECOND, 0)
}

/// An operation of user 1 that was done between these milliseconds.
fn done(start: u64, end: u64, presented: Option<Token>, operation: Operation) -> Event {
    Event {
        client: 0,
        user: 1,
        operation,
        token: presented,
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
        outcome: Outcome::Done,
        cookie: None,
        said: Said::Nothing,
    }
}

impl Event {
    fn but(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    fn gives(self, token: Token) -> Self {
        Self { cookie: Some(Cookie::Set(token)), ..self }
    }

    fn says(self, said: Said) -> Self {
        Self { said, ..self }
    }
}

fn log_in(start: u64, end: u64, gives: Token) -> Event {
    done(start, end, None, Operation::LogIn).gives(gives)
}

/// `/me`, by which the token is accepted.
fn me(start: u64, end: u64, token: Token) -> Event {
    done(start, end, Some(token), Operation::Me).says(Said::Name("name-1".to_owned()))
}

fn refused(start: u64, end: u64, token: Token) -> Event {
    done(start, end, Some(token), Operation::Me).but(Outcome::Refused)
}

fn note(start: u64, end: u64, token: Token, note: u64) -> Event {
    done(start, end, Some(token), Operation::Note(note))
}

fn notes(start: u64, end: u64, token: Token, notes: &[u64]) -> Event {
    done(start, end, Some(token), Operation::Notes).says(Said::Notes(notes.to_vec()))
}

/// What the checker finds in these events, when these sessions with these notes are left.
fn found(events: &[Event], rows: &[(u8, &[u64])]) -> Vec<Kind> {
    let rows = rows
        .iter()
        .map(|&(number, notes)| (session(number), Row { user: 1, notes: notes.to_vec() }));
    let history = History { events: events.to_vec(), faults: always(), rows: rows.collect() };
    check(&history).into_iter().map(|violation| violation.kind).collect()
}

/// A fault that explains every failure.
fn always() -> Vec<Fault> {
    vec![Fault { kind: "", start: Duration::ZERO, end: Duration::from_hours(1) }]
}

/// A history: what it is about, what happens after the logins of both sessions, which of the two
/// are left, and what is found.
type Case = (&'static str, Vec<Event>, &'static [u8], &'static [Kind]);

fn assert_found(cases: Vec<Case>) {
    for (about, events, left, expected) in cases {
        let begin = [log_in(0, 10, first()), log_in(0, 10, second())];
        let events: Vec<_> = begin.into_iter().chain(events).collect();
        let left: Vec<(u8, &[u64])> = left.iter().map(|number| (*number, &[][..])).collect();
        assert_eq!(found(&events, &left), expected, "{about}");
    }
}

#[test]
fn a_token_that_is_accepted_after_its_end_is_found() {
    use crate::operation::Operation::{
        EndSession, LogIn, LogOut, LogOutEverywhere, LogOutOthers, Reauthenticate,
    };
    const LATE: &[Kind] = &[Kind::AcceptedAfterItsEnd];
    let by = |operation| done(20, 30, Some(first()), operation);
    let newer = token(FIRST, 1);
    let third = token(3, 0);
    assert_found(vec![
        ("logout", vec![by(LogOut), me(31, 40, first())], &[SECOND], LATE),
        ("logout, at the same time", vec![by(LogOut), me(29, 40, first())], &[SECOND], &[]),
        ("another's logout", vec![by(LogOut), me(31, 40, second())], &[SECOND], &[]),
        ("login over it", vec![by(LogIn).gives(third), me(31, 40, first())], &[2, 3], LATE),
        ("everywhere", vec![by(LogOutEverywhere), me(31, 40, second())], &[], LATE),
        ("new token", vec![by(Reauthenticate).gives(newer), me(31, 40, first())], &[1, 2], LATE),
        ("others", vec![by(LogOutOthers).gives(newer), me(31, 40, second())], &[1], LATE),
        ("others, own", vec![by(LogOutOthers).gives(newer), me(31, 40, newer)], &[1], &[]),
        ("one by id", vec![by(EndSession(session(SECOND))), me(31, 40, second())], &[1], LATE),
        (
            "one by id that is gone",
            vec![
                done(11, 12, Some(second()), LogOut).but(Outcome::Lost),
                by(EndSession(session(SECOND))).but(Outcome::Absent),
                me(31, 40, second()),
            ],
            &[1],
            LATE,
        ),
        (
            "without an answer",
            vec![by(LogOut).but(Outcome::Lost), me(31, 40, first())],
            &[1, 2],
            &[],
        ),
        (
            "said by a page for anybody",
            vec![by(LogOut), Event { operation: Operation::Public, ..me(31, 40, first()) }],
            &[SECOND],
            LATE,
        ),
        ("a note, not a read", vec![by(LogOut), note(31, 40, first(), 7)], &[SECOND], LATE),
    ]);
}

#[test]
fn a_valid_token_that_is_refused_is_found() {
    use crate::operation::Operation::{
        EndSession, LogOut, LogOutEverywhere, LogOutOthers, Reauthenticate,
    };
    const WRONG: &[Kind] = &[Kind::RefusedAlive];
    let by = |operation| done(20, 30, Some(first()), operation);
    let newer = token(FIRST, 1);
    let nobody = Said::Name("nobody".to_owned());
    let nobody = done(40, 50, Some(first()), Operation::Public).says(nobody);
    assert_found(vec![
        ("nothing has ended it", vec![refused(20, 30, first())], &[1, 2], WRONG),
        ("said by a page for anybody", vec![nobody], &[1, 2], WRONG),
        ("its end is still to come", vec![refused(11, 19, first()), by(LogOut)], &[2], WRONG),
        ("its end has begun", vec![refused(11, 20, first()), by(LogOut)], &[2], &[]),
        ("another has ended", vec![by(LogOut), refused(40, 50, second())], &[2], WRONG),
        (
            "its end has failed",
            vec![by(LogOut).but(Outcome::Lost), refused(40, 50, first())],
            &[2],
            &[],
        ),
        (
            "not even sent",
            vec![by(LogOut).but(Outcome::NotSent), refused(40, 50, first())],
            &[1, 2],
            WRONG,
        ),
        ("not even allowed", vec![by(LogOutEverywhere).but(Outcome::Refused)], &[1, 2], WRONG),
        (
            "the newer token",
            vec![by(Reauthenticate).gives(newer), refused(40, 50, newer)],
            &[1, 2],
            WRONG,
        ),
        ("the kept one", vec![by(LogOutOthers).gives(newer), refused(40, 50, newer)], &[1], WRONG),
        (
            "not there, by id",
            vec![by(EndSession(session(SECOND))).but(Outcome::Absent)],
            &[1, 2],
            &[Kind::RefusedAlive, Kind::RowLeft],
        ),
        (
            "everywhere, long before",
            vec![by(LogOutEverywhere), log_in(31, 40, token(3, 0)), refused(41, 50, token(3, 0))],
            &[3],
            WRONG,
        ),
        (
            "everywhere, without an answer, just before",
            vec![
                by(LogOutEverywhere).but(Outcome::Unavailable),
                log_in(31, 40, token(3, 0)),
                refused(41, 50, token(3, 0)),
            ],
            &[],
            &[],
        ),
    ]);
}

#[test]
fn an_impossible_response_is_found() {
    let by = |operation| done(20, 30, Some(first()), operation);
    let foreign = |name: &str| me(20, 30, first()).says(Said::Name(name.to_owned()));
    let newer = || token(FIRST, 1);
    let unavailable = || by(Operation::LogIn).but(Outcome::Unavailable).gives(token(3, 0));
    let again = done(40, 50, Some(first()), Operation::Reauthenticate).gives(token(FIRST, 2));
    let removes = |event| Event { cookie: Some(Cookie::Removed), ..event };
    let unread = me(20, 30, first()).but(Outcome::Unavailable);
    let out = || by(Operation::LogOut);
    let anybody = done(40, 50, Some(first()), Operation::Public).says(Said::Name("nobody".into()));
    assert_found(vec![
        ("another's name", vec![foreign("name-2")], &[1, 2], &[Kind::ForeignName]),
        ("no name", vec![foreign("nobody")], &[1, 2], &[Kind::ForeignName]),
        ("503 with a cookie", vec![unavailable()], &[1, 2], &[Kind::CookieFromNowhere]),
        ("503 that removes it", vec![removes(unread)], &[1, 2], &[Kind::CookieFromNowhere]),
        (
            "401 that removes it",
            vec![out(), removes(refused(40, 50, first()))],
            &[2],
            &[Kind::CookieFromNowhere],
        ),
        (
            "a page for anybody that removes it",
            vec![out(), removes(anybody)],
            &[2],
            &[Kind::CookieFromNowhere],
        ),
        (
            "a read with a cookie",
            vec![me(20, 30, first()).gives(newer())],
            &[1, 2],
            &[Kind::CookieFromNowhere],
        ),
        (
            "500",
            vec![me(20, 30, first()).but(Outcome::Strange(500))],
            &[1, 2],
            &[Kind::StrangeStatus],
        ),
        (
            "a login without a cookie",
            vec![done(20, 30, None, Operation::LogIn)],
            &[1, 2],
            &[Kind::CookieMissing],
        ),
        ("no new token", vec![by(Operation::Reauthenticate)], &[1, 2], &[Kind::CookieMissing]),
        (
            "no new token, for it has ended",
            vec![
                by(Operation::Reauthenticate),
                done(25, 35, Some(second()), Operation::LogOutEverywhere),
            ],
            &[],
            &[],
        ),
        ("the same session", vec![log_in(20, 30, token(FIRST, 1))], &[1, 2], &[Kind::GivenTwice]),
        (
            "one token replaced twice",
            vec![
                by(Operation::Reauthenticate).gives(newer()),
                Event { start: Duration::from_millis(25), ..again },
            ],
            &[1, 2],
            &[Kind::ReplacedTwice],
        ),
    ]);
}

/// The same, with the notes of the sessions that are left.
type NotesCase<'a> = (&'a str, Vec<Event>, &'a [(u8, &'a [u64])], &'a [Kind]);

#[test]
fn a_lost_duplicate_or_foreign_note_is_found() {
    let newer = token(3, 0);
    let over = |start, end| done(start, end, Some(first()), Operation::LogIn).gives(newer);
    let cases: [NotesCase<'_>; 10] = [
        ("there", vec![note(20, 30, first(), 7), notes(31, 40, first(), &[7])], &[(1, &[7])], &[]),
        (
            "lost",
            vec![note(20, 30, first(), 7), notes(31, 40, first(), &[])],
            &[(1, &[])],
            &[Kind::NoteLost, Kind::NoteLost],
        ),
        (
            "on its way",
            vec![notes(20, 31, first(), &[]), note(20, 30, first(), 7)],
            &[(1, &[7])],
            &[],
        ),
        (
            "without an answer",
            vec![note(20, 30, first(), 7).but(Outcome::Lost), notes(31, 40, first(), &[7])],
            &[(1, &[])],
            &[],
        ),
        (
            "twice",
            vec![note(20, 30, first(), 7), notes(31, 40, first(), &[7, 7])],
            &[(1, &[7])],
            &[Kind::NoteTwice],
        ),
        ("from nowhere", vec![notes(31, 40, first(), &[7])], &[(1, &[])], &[Kind::NoteFromNowhere]),
        (
            "of another session",
            vec![note(20, 30, second(), 7), notes(31, 40, first(), &[7])],
            &[(1, &[]), (2, &[7])],
            &[Kind::NoteFromNowhere],
        ),
        (
            "taken along",
            vec![note(20, 30, first(), 7), over(31, 40), notes(41, 50, newer, &[7])],
            &[(3, &[7])],
            &[],
        ),
        (
            "left behind",
            vec![note(20, 30, first(), 7), over(31, 40), notes(41, 50, newer, &[])],
            &[(3, &[7])],
            &[Kind::NoteLost],
        ),
        (
            "left behind by what may have ended",
            vec![
                note(20, 30, first(), 7),
                done(30, 31, Some(first()), Operation::LogOut).but(Outcome::Lost),
                over(32, 40),
                notes(41, 50, newer, &[]),
            ],
            &[(3, &[])],
            &[],
        ),
    ];
    for (about, events, rows, expected) in cases {
        let has_second = rows.iter().any(|(number, _)| *number == SECOND);
        let begin = [log_in(0, 10, first())].into_iter();
        let begin = begin.chain(has_second.then(|| log_in(0, 10, second())));
        let events: Vec<_> = begin.chain(events).collect();
        assert_eq!(found(&events, rows), expected, "{about}");
    }
}

#[test]
fn a_lost_remaining_or_unknown_row_is_found() {
    let out = || done(20, 30, Some(first()), Operation::LogOut);
    let replaced = || done(15, 25, Some(first()), Operation::Reauthenticate).but(Outcome::Lost);
    let unsure = || done(20, 30, None, Operation::LogIn).but(Outcome::Lost);
    assert_found(vec![
        ("lost", vec![], &[1], &[Kind::RowLost]),
        ("left", vec![out()], &[1, 2], &[Kind::RowLeft]),
        ("left, without an answer", vec![out().but(Outcome::Lost)], &[1, 2], &[]),
        ("left, with a newer token perhaps", vec![replaced(), out()], &[1, 2], &[]),
        ("from nowhere", vec![], &[1, 2, 3], &[Kind::RowFromNowhere]),
        ("of a login without an answer", vec![unsure()], &[1, 2, 3], &[]),
        ("of another one", vec![unsure()], &[1, 2, 3, 4], &[Kind::RowFromNowhere]),
    ]);
}

#[test]
fn a_failure_without_a_fault_is_found_and_one_shortly_after_a_fault_is_not() {
    let fault = |start, end| Fault {
        kind: "",
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
    };
    let failed = |outcome| {
        let failed = done(5_000, 5_010, None, Operation::Public).but(outcome);
        move |faults| {
            check(&History { events: vec![failed.clone()], faults, ..History::default() }).len()
        }
    };
    for outcome in [Outcome::Unavailable, Outcome::Lost, Outcome::NotSent] {
        let violations = failed(outcome);
        assert_eq!(violations(vec![]), 1, "{outcome:?}");
        assert_eq!(violations(vec![fault(0, 2_999)]), 1, "{outcome:?}: long over");
        assert_eq!(violations(vec![fault(0, 3_000)]), 0, "{outcome:?}: just over");
        assert_eq!(violations(vec![fault(5_010, 6_000)]), 0, "{outcome:?}: just begun");
        assert_eq!(violations(vec![fault(5_011, 6_000)]), 1, "{outcome:?}: not yet");
    }
    assert_eq!(failed(Outcome::Done)(vec![]), 0);
}
