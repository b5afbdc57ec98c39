//! What the examination has found.

use std::fmt;

/// What an app must do, and [`assert_hygiene`](super::assert_hygiene) tries.
///
/// Its `Display` is the rule as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The requests of the [`Hygiene`](super::Hygiene) do what it says that they do. While this is
    /// broken, others cannot be tried.
    SetUp,
    /// The session cookie is `HttpOnly`, `Secure`, and names its `SameSite` and `Path`; and it is
    /// one that browsers take.
    Cookie,
    /// Each login gives a new token. One that the browser brings is never adopted.
    NewToken,
    /// Login ends the session that the browser had.
    LogInEndsSession,
    /// Logout ends the session on the server: a copy of its cookie opens nothing.
    LogOutEndsSession,
    /// Logout removes the cookie.
    LogOutRemovesCookie,
    /// GET signs nobody in or out.
    SafeMethods,
    /// Other sites can sign nobody in or out.
    CrossSite,
    /// Strangers are refused, before anything that they send is read.
    Strangers,
    /// `next` leads to no other host.
    Next,
    /// No cache keeps a cookie for others, or what belongs to one user.
    Caching,
    /// The token stands in the cookie, and nowhere else.
    Secrecy,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetUp => "the requests of the `Hygiene` do what it says",
            Self::Cookie => "the session cookie is out of reach of scripts and other sites",
            Self::NewToken => "each login gives a new token",
            Self::LogInEndsSession => "login ends the session that the browser had",
            Self::LogOutEndsSession => "logout ends the session on the server",
            Self::LogOutRemovesCookie => "logout removes the cookie",
            Self::SafeMethods => "GET signs nobody in or out",
            Self::CrossSite => "other sites can sign nobody in or out",
            Self::Strangers => "strangers are refused before anything of theirs is read",
            Self::Next => "`next` leads to no other host",
            Self::Caching => "no cache keeps what belongs to one user",
            Self::Secrecy => "the token stands in the cookie alone",
        })
    }
}

/// A rule that an app breaks, and how that was found. Its `Display` tells all of it, and no token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Which rule.
    pub rule: Rule,
    /// What was sent.
    pub sent: String,
    /// What came of it.
    pub came: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    pub(super) fn new(
        rule: Rule,
        sent: impl Into<String>,
        came: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { rule, sent: sent.into(), came: came.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, sent, came, remedy } = self;
        write!(f, "Not so: {rule}.\n   Sent: {sent}.\n   Came: {came}.\n   To do: {remedy}.")
    }
}

/// The faults of an app, of which there may be none. Made by
/// [`check_hygiene`](super::check_hygiene). Its `Display` lists them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "the faults are in it"]
pub struct Report(Vec<Fault>);

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    /// What was found, in the order in which it was tried.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// Adds a fault, unless the same was found before.
    pub(super) fn add(&mut self, fault: Fault) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => return f.write_str("no fault in the hygiene of sessions"),
            1 => f.write_str("1 fault in the hygiene of sessions:")?,
            more => write!(f, "{more} faults in the hygiene of sessions:")?,
        }
        for (index, fault) in self.0.iter().enumerate() {
            write!(f, "\n\n{}. {fault}", index + 1)?;
        }
        Ok(())
    }
}
