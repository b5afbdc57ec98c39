//! What clients do with their sessions, as requests.

use std::fmt;

use crate::client::Request;

/// Something that a client does. `S` is how a session is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation<S> {
    /// Logs in, over the session that is presented, if one is.
    LogIn,
    /// Logs out.
    LogOut,
    /// Ends the user's other sessions, and has the token replaced.
    LogOutOthers,
    /// Ends all of the user's sessions.
    LogOutEverywhere,
    /// Ends a session of the user.
    EndSession(S),
    /// Has the token replaced.
    Reauthenticate,
    /// Asks who one is, where a session is asked for.
    Me,
    /// Asks who one is, where anybody may come.
    Public,
    /// Lists the user's sessions.
    Sessions,
    /// Reads the notes of the session.
    Notes,
    /// Writes a note into the session.
    Note(u64),
}

impl<S> Operation<S> {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LogIn => "log in",
            Self::LogOut => "log out",
            Self::LogOutOthers => "log out others",
            Self::LogOutEverywhere => "log out everywhere",
            Self::EndSession(_) => "end a session",
            Self::Reauthenticate => "re-authenticate",
            Self::Me => "read /me",
            Self::Public => "read /public",
            Self::Sessions => "list sessions",
            Self::Notes => "read notes",
            Self::Note(_) => "write a note",
        }
    }

    /// The status of success.
    pub fn success(&self) -> u16 {
        match self {
            Self::LogIn => 303,
            Self::EndSession(_) => 204,
            _ => 200,
        }
    }

    /// Whether it answers anybody, and not only who has a session.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::LogIn | Self::LogOut | Self::Public)
    }
}

impl<S: fmt::Display + PartialEq> Operation<S> {
    /// The request for it, by a user who presents a token.
    pub fn request(&self, user: i64, token: Option<&str>) -> Request {
        let (method, path) = match self {
            Self::LogIn => ("POST", "/login".to_owned()),
            Self::LogOut => ("POST", "/logout".to_owned()),
            Self::LogOutOthers => ("POST", "/logout-others".to_owned()),
            Self::LogOutEverywhere => ("POST", "/logout-everywhere".to_owned()),
            Self::EndSession(id) => ("DELETE", format!("/sessions/{id}")),
            Self::Reauthenticate => ("POST", "/reauthenticate".to_owned()),
            Self::Me => ("GET", "/me".to_owned()),
            Self::Public => ("GET", "/public".to_owned()),
            Self::Sessions => ("GET", "/sessions".to_owned()),
            Self::Notes => ("GET", "/notes".to_owned()),
            Self::Note(note) => ("POST", format!("/notes/{note}")),
        };
        let form = if *self == Self::LogIn { format!("user={user}") } else { String::new() };
        Request { method, path, token: token.map(str::to_owned), form }
    }
}
