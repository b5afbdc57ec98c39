//! What becomes of the cookie when a request ends: a pure decision.

use crate::{cookie::Presented, token::SessionId};

/// What the handler has decided. The last decision wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Nothing,
    Set(SessionId),
    /// `after_set`: a cookie that this request had set before.
    Clear {
        after_set: bool,
    },
}

/// What the presented cookie turned out to be, as far as somebody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    NotAsked,
    NoSession,
    /// There is a row, and it cannot be read, or another request has given it a new token. The
    /// cookie is kept: the row may be mended, and the browser may have the new token by now.
    Unclear,
    Session {
        id: SessionId,
        /// Neither idle nor with a token to exchange.
        is_unchanged: bool,
    },
}

/// What is done about the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Keep,
    Remove,
    /// The session that was set is a new one: its cookie is written.
    Store,
    /// The presented session is idle, or its token old: it is renewed, and its cookie written if
    /// that succeeds.
    Renew,
    /// The presented session was set again: its cookie is written if it still lives, so that one
    /// that was ended while the handler ran is not sent back to the browser.
    Confirm,
}

/// `is_navigation`: the browser asks for a page to show. A part of a page must not remove a
/// cookie that opens nothing: the page may be signing in just now.
pub(crate) fn outcome(
    choice: Choice,
    presented: &Presented,
    found: Found,
    is_navigation: bool,
) -> Outcome {
    match (choice, found) {
        (Choice::Set(set), Found::Session { id, .. }) if set == id => Outcome::Confirm,
        (Choice::Set(_), _) => Outcome::Store,
        (Choice::Clear { after_set }, _) if after_set || *presented != Presented::Nothing => {
            Outcome::Remove
        }
        (Choice::Nothing, Found::Session { is_unchanged: false, .. }) => Outcome::Renew,
        (Choice::Nothing, Found::NoSession)
            if is_navigation && matches!(presented, Presented::Token(_)) =>
        {
            Outcome::Remove
        }
        // There is no cookie to remove, or nothing to do about it.
        (Choice::Clear { .. } | Choice::Nothing, _) => Outcome::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_outcome() {
        let id = |byte| SessionId::from_bytes([byte; 16]);
        let token = Presented::Token("a".repeat(64).parse().unwrap());
        let session = |is_unchanged| Found::Session { id: id(1), is_unchanged };
        let cleared = |after_set| Choice::Clear { after_set };
        for (choice, presented, found, is_navigation, expected) in [
            (Choice::Nothing, &token, Found::NotAsked, true, Outcome::Keep),
            (Choice::Nothing, &token, session(true), true, Outcome::Keep),
            (Choice::Nothing, &token, session(false), true, Outcome::Renew),
            (Choice::Nothing, &token, session(false), false, Outcome::Renew),
            (Choice::Nothing, &token, Found::NoSession, true, Outcome::Remove),
            (Choice::Nothing, &token, Found::NoSession, false, Outcome::Keep),
            (Choice::Nothing, &token, Found::Unclear, true, Outcome::Keep),
            (Choice::Nothing, &Presented::Malformed, Found::NoSession, true, Outcome::Keep),
            (Choice::Nothing, &Presented::Conflicting, Found::NoSession, true, Outcome::Keep),
            (Choice::Nothing, &Presented::Nothing, Found::NoSession, true, Outcome::Keep),
            (Choice::Set(id(1)), &token, session(false), true, Outcome::Confirm),
            (Choice::Set(id(1)), &token, session(true), true, Outcome::Confirm),
            (Choice::Set(id(2)), &token, session(false), true, Outcome::Store),
            (Choice::Set(id(2)), &token, Found::NoSession, true, Outcome::Store),
            (Choice::Set(id(2)), &Presented::Nothing, Found::NotAsked, true, Outcome::Store),
            (cleared(false), &token, session(false), true, Outcome::Remove),
            (cleared(false), &Presented::Malformed, Found::NotAsked, false, Outcome::Remove),
            (cleared(false), &Presented::Nothing, Found::NotAsked, true, Outcome::Keep),
            (cleared(true), &Presented::Nothing, Found::NotAsked, true, Outcome::Remove),
        ] {
            let found_outcome = outcome(choice, presented, found, is_navigation);
            assert_eq!(found_outcome, expected, "{choice:?} {presented:?} {found:?}");
        }
    }
}
