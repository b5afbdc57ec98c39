//! What can be done to an app, and how it is made up.
//!
//! Nothing here depends on what came before: a command names a token by how long ago it was issued,
//! so that what is left of a script when commands are taken out still means something.

use std::fmt;

use proptest::{prelude::*, sample::select};
use serde::Deserialize;

/// The users of a script have the ids from 1 to this one.
pub const USERS: i64 = 3;

#[derive(Clone)]
pub struct Script {
    /// Whether the app rotates tokens.
    pub rotates: bool,
    pub commands: Vec<Command>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Request(Presented, Route),
    /// A token that came by other ways than a cookie is looked at.
    Validate(Presented),
    /// The server ends all sessions of a user.
    EndSessionsOf(i64),
    UserBecomes(i64, State),
    Advance(Time),
    Sweep,
    /// All that is not in the store is dropped and built anew.
    Restart,
}

/// How the app's own table has a user. One who was deleted may be there again under the same id.
#[derive(Debug, Clone, Copy)]
pub enum State {
    Enabled,
    Disabled,
    Deleted,
}

/// What a request carries in its cookie. A number counts the tokens that were issued from the last
/// one back, and is taken round; where none was issued yet there is no cookie.
#[derive(Debug, Clone)]
pub enum Presented {
    Nothing,
    Issued(usize),
    /// Well-formed, and of no session that ever was.
    NeverIssued,
    /// The public id of a session, with another secret.
    Forged(usize),
    Garbage,
    /// Two cookies that differ, one of which is this token.
    Beside(usize),
}

#[derive(Debug, Clone)]
pub enum Route {
    /// For users who are not disabled; shown to a person, or asked for by a script.
    Me {
        to_a_person: bool,
    },
    /// For anybody: says who it is.
    Home {
        to_a_person: bool,
    },
    /// For anybody, and asks for the session alone.
    Seen,
    /// For users who have just authenticated.
    Recent,
    Sessions,
    LogIn(i64, Stay),
    LogOut,
    LogOutOthers,
    LogOutEverywhere,
    /// The session whose token this is, counted as what is presented.
    End(usize),
    /// A session that never was.
    EndUnknown,
    Reauthenticate,
    Write(u32),
}

/// How long who logs in wants to stay.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub enum Stay {
    Remembered,
    UntilTheBrowserCloses,
    /// With a life of its own.
    Shortly,
}

#[derive(Debug, Clone)]
pub enum Time {
    Millis(u16),
    Minutes(u16),
    /// So many milliseconds after an end of the session whose token this is, unless that has passed.
    To(End, usize, i64),
}

#[derive(Debug, Clone, Copy)]
pub enum End {
    Active,
    Idle,
    Absolute,
    Recent,
    /// When its token is old enough to be rotated.
    Token,
    /// When the token before this one opens nothing any more.
    Overlap,
}

pub fn scripts() -> impl Strategy<Value = Script> {
    (any::<bool>(), prop::collection::vec(commands(), 1..40))
        .prop_map(|(rotates, commands)| Script { rotates, commands })
}

fn commands() -> impl Strategy<Value = Command> {
    let users = || 1..=USERS;
    prop_oneof![
        // A login by somebody who is new here, so that there are sessions.
        4 => (users(), stays())
            .prop_map(|(user, stay)| Command::Request(Presented::Nothing, Route::LogIn(user, stay))),
        12 => (presented(), routes()).prop_map(|(presented, route)| Command::Request(presented, route)),
        8 => times().prop_map(Command::Advance),
        1 => tokens().prop_map(Command::Validate),
        1 => users().prop_map(Command::EndSessionsOf),
        4 => (users(), select(vec![State::Enabled, State::Disabled, State::Deleted]))
            .prop_map(|(user, state)| Command::UserBecomes(user, state)),
        1 => Just(Command::Sweep),
        1 => Just(Command::Restart),
    ]
}

/// The last tokens are the most interesting ones: the others have often ended.
fn back() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0_usize..3, 1 => 3_usize..30]
}

fn presented() -> impl Strategy<Value = Presented> {
    prop_oneof![24 => tokens(), 1 => back().prop_map(Presented::Beside)]
}

/// One at most.
fn tokens() -> impl Strategy<Value = Presented> {
    prop_oneof![
        20 => back().prop_map(Presented::Issued),
        1 => Just(Presented::Nothing),
        1 => Just(Presented::NeverIssued),
        1 => back().prop_map(Presented::Forged),
        1 => Just(Presented::Garbage),
    ]
}

fn stays() -> impl Strategy<Value = Stay> {
    select(vec![Stay::Remembered, Stay::UntilTheBrowserCloses, Stay::Shortly])
}

fn routes() -> impl Strategy<Value = Route> {
    prop_oneof![
        4 => any::<bool>().prop_map(|to_a_person| Route::Me { to_a_person }),
        2 => any::<bool>().prop_map(|to_a_person| Route::Home { to_a_person }),
        1 => Just(Route::Seen),
        1 => Just(Route::Recent),
        1 => Just(Route::Sessions),
        3 => (1..=USERS, stays()).prop_map(|(user, stay)| Route::LogIn(user, stay)),
        1 => Just(Route::LogOut),
        2 => Just(Route::LogOutOthers),
        1 => Just(Route::LogOutEverywhere),
        2 => back().prop_map(Route::End),
        1 => Just(Route::EndUnknown),
        2 => Just(Route::Reauthenticate),
        2 => (0_u32..10).prop_map(Route::Write),
    ]
}

fn times() -> impl Strategy<Value = Time> {
    let ends = vec![End::Active, End::Idle, End::Absolute, End::Recent, End::Token, End::Overlap];
    prop_oneof![
        1 => (1_u16..2_000).prop_map(Time::Millis),
        2 => (1_u16..240).prop_map(Time::Minutes),
        6 => (select(ends), back(), -1_i64..=1).prop_map(|(end, back, after)| Time::To(end, back, after)),
    ]
}

/// One command on a line: this is what somebody reads who has to find out what went wrong.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the app exchanges tokens: {}", self.rotates)?;
        for (number, command) in (1..).zip(&self.commands) {
            write!(f, "\n{number:3}. {command:?}")?;
        }
        Ok(())
    }
}
