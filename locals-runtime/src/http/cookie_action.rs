//! What happens to the cookie at the end of a request: a pure decision.

use crate::{http::cookie::Presented, model::session_id::SessionId};

/// The decision of the handler. The last one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieDecision {
    Nothing,
    Set(SessionId),
    /// `after_set`: whether this request had set a cookie before.
    Clear {
        after_set: bool,
    },
}

/// The session that the presented cookie opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub id: SessionId,
    /// Neither to be renewed nor to be given another token.
    pub is_unchanged: bool,
}

/// What is done with the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieAction {
    Keep,
    Remove,
    /// A new session was set: its cookie is written.
    Store,
    /// The presented session is idle, or its token is due for rotation or has been rotated: it is
    /// renewed, and its cookie is written if that succeeds.
    Renew,
    /// The presented session was set again: its cookie is written if it has not ended, so that the
    /// cookie of a session that ended while the handler ran is not sent to the browser.
    Confirm,
}

/// Returns what to do with the cookie. `opened` is also `None` if the session was not read.
///
/// A cookie that opens nothing is kept: the browser may have a newer one by now, from a login whose
/// response came in the meantime, and a removal would delete that one.
pub(crate) fn cookie_action(
    choice: CookieDecision,
    presented: &Presented,
    opened: Option<Opened>,
) -> CookieAction {
    match (choice, opened) {
        (CookieDecision::Set(set), Some(Opened { id, .. })) if set == id => CookieAction::Confirm,
        (CookieDecision::Set(_), _) => CookieAction::Store,
        (CookieDecision::Clear { after_set }, _)
            if after_set || *presented != Presented::Nothing =>
        {
            CookieAction::Remove
        }
        (CookieDecision::Nothing, Some(Opened { is_unchanged: false, .. })) => CookieAction::Renew,
        // There is no cookie to remove, or nothing to do.
        (CookieDecision::Clear { .. } | CookieDecision::Nothing, _) => CookieAction::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_its_action() {
        let id = |byte| SessionId::from_bytes([byte; 16]);
        let token = Presented::Token("a".repeat(64).parse().unwrap());
        let opened = |is_unchanged| Some(Opened { id: id(1), is_unchanged });
        let cleared = |after_set| CookieDecision::Clear { after_set };
        for (choice, presented, opened, expected) in [
            (CookieDecision::Nothing, &token, None, CookieAction::Keep),
            (CookieDecision::Nothing, &token, opened(true), CookieAction::Keep),
            (CookieDecision::Nothing, &token, opened(false), CookieAction::Renew),
            (CookieDecision::Nothing, &Presented::Malformed, None, CookieAction::Keep),
            (CookieDecision::Nothing, &Presented::Conflicting, None, CookieAction::Keep),
            (CookieDecision::Nothing, &Presented::Nothing, None, CookieAction::Keep),
            (CookieDecision::Set(id(1)), &token, opened(false), CookieAction::Confirm),
            (CookieDecision::Set(id(1)), &token, opened(true), CookieAction::Confirm),
            (CookieDecision::Set(id(2)), &token, opened(false), CookieAction::Store),
            (CookieDecision::Set(id(2)), &token, None, CookieAction::Store),
            (CookieDecision::Set(id(2)), &Presented::Nothing, None, CookieAction::Store),
            (cleared(false), &token, opened(false), CookieAction::Remove),
            (cleared(false), &token, None, CookieAction::Remove),
            (cleared(false), &Presented::Malformed, None, CookieAction::Remove),
            (cleared(false), &Presented::Nothing, None, CookieAction::Keep),
            (cleared(true), &Presented::Nothing, None, CookieAction::Remove),
        ] {
            let found = cookie_action(choice, presented, opened);
            assert_eq!(found, expected, "{choice:?} {presented:?} {opened:?}");
        }
    }
}
