//! The result of the examination.

use std::fmt;

/// A requirement that [`assert_hygiene`](super::assert_hygiene) tests.
///
/// Its `Display` is the requirement as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The requests of the [`Hygiene`](super::Hygiene) do what they should. While this rule is
    /// broken, others cannot be tested.
    SetUp,
    /// The session cookie is `HttpOnly` and `Secure`, has `SameSite` and `Path`, and browsers
    /// accept it.
    Cookie,
    /// Each login gives a new token, and never adopts a presented one.
    NewToken,
    /// Login ends the session that the browser had.
    LogInEndsSession,
    /// Logout ends the session on the server: a copy of its cookie opens nothing.
    LogOutEndsSession,
    /// Logout removes the cookie.
    LogOutRemovesCookie,
    /// GET logs nobody in or out.
    SafeMethods,
    /// Other sites can log nobody in or out.
    CrossSite,
    /// Requests without a session are refused before their body is read.
    Strangers,
    /// `next` never leads to another host.
    Next,
    /// Caches store neither cookies nor pages of one user for others.
    Caching,
    /// The token is in the cookie, and nowhere else.
    Secrecy,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetUp => "the requests of the `Hygiene` do what they should",
            Self::Cookie => "the session cookie is protected from scripts and other sites",
            Self::NewToken => "each login gives a new token",
            Self::LogInEndsSession => "login ends the session that the browser had",
            Self::LogOutEndsSession => "logout ends the session on the server",
            Self::LogOutRemovesCookie => "logout removes the cookie",
            Self::SafeMethods => "GET logs nobody in or out",
            Self::CrossSite => "other sites can log nobody in or out",
            Self::Strangers => "requests without a session are refused before their body is read",
            Self::Next => "`next` never leads to another host",
            Self::Caching => "caches do not store what belongs to one user",
            Self::Secrecy => "the token is only in the cookie",
        })
    }
}

/// A broken rule, and how it was found. Its `Display` shows all fields, and contains no token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The broken rule.
    pub rule: Rule,
    /// What was sent.
    pub sent: String,
    /// What the app responded.
    pub came: String,
    /// How to fix it.
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
        write!(f, "Broken rule: {rule}.\n   Sent: {sent}.\n   Got: {came}.\n   Fix: {remedy}.")
    }
}

/// The faults that were found in an app. Made by [`check_hygiene`](super::check_hygiene). Its
/// `Display` lists them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a report contains the faults that were found"]
pub struct Report(Vec<Fault>);

impl Report {
    /// Whether no faults were found.
    pub fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the faults, in the order of the tests.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// Adds a fault, unless it is in the report already.
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
