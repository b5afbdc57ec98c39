//! What a request presents as its session cookie.

use crate::model::token::SessionToken;

/// The session cookie of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presented {
    /// No cookie of this name.
    Nothing,
    /// A cookie of this name with a malformed value; treated as none.
    Malformed,
    /// Cookies of this name with different values; treated as none.
    Conflicting,
    /// A well-formed token. Only the store knows whether it opens a session.
    Token(SessionToken),
}

/// The well-formed tokens that a request presents by cookies of one name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AllPresented {
    /// The tokens, without duplicates.
    pub tokens: Vec<SessionToken>,
    /// The number of further tokens, which are not read.
    pub ignored: usize,
}
