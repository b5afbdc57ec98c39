//! What a request presents as its session cookie.

use crate::model::token::SessionToken;

/// What a request brought as its session cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presented {
    /// No cookie of this name.
    Nothing,
    /// A cookie of this name that cannot be a session's; treated as none.
    Malformed,
    /// Cookies of this name with different values; treated as none.
    Conflicting,
    /// A well-formed token. Whether it opens a session, the store knows.
    Token(SessionToken),
}

/// The well-formed tokens that a request presents by cookies of one name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AllPresented {
    /// Each once.
    pub tokens: Vec<SessionToken>,
    /// How many more there are, at which nobody looks.
    pub ignored: usize,
}
