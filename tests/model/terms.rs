//! What the app and the rules both speak of: the settings of the app, and what is seen of it.

/// How many sessions a user has at most.
pub const MAX_SESSIONS: usize = 3;

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

/// After how long a token is rotated, where the app enables it.
pub const ROTATE_EVERY: i64 = 30 * MINUTE;
/// For how long the one before opens the session too.
pub const OVERLAP: i64 = MINUTE;

/// For how long after an authentication a login is recent.
pub const RECENT: i64 = 10 * MINUTE;

/// What is seen of a command. Tokens and sessions are numbers, in the order in which they were
/// issued and created.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Response { status: u16, body: String, cookie: Cookie },
    Opens(Option<usize>),
    Count(u64),
    Done,
}

/// What a response does about the session cookie.
#[derive(Debug, PartialEq)]
pub enum Cookie {
    Kept,
    Removed,
    Set { token: usize, max_age: Option<i64> },
}

/// A session, as a list of devices shows it.
#[derive(Debug, PartialEq)]
pub struct Listed {
    pub session: usize,
    pub created: i64,
    pub proved: i64,
    pub renewed: i64,
    pub active: i64,
    pub idle: i64,
    pub absolute: i64,
    pub is_idle: bool,
    pub is_remembered: bool,
}
