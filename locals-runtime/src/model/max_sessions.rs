//! The limit on the sessions of a user: pure functions of (sessions, now) that find the newest ones.
//!
//! Concurrent logins on any node decide independently which sessions to end. They agree because all
//! use the same order: by time of creation and, if these are equal, by id. So a login may find that
//! its own session is not among the newest.
//!
//! A login that starts after the response of another login is always the newer one: it reads the
//! user's sessions before it creates its own, and moves its time of creation after theirs if the clock
//! that noted them was a little ahead of its own.

use std::cmp::Reverse;

use crate::model::{
    lifecycle,
    record::SessionTimes,
    session_id::SessionId,
    time::{TOLERANCE, Timestamp},
};

/// Returns the sessions above the limit `most` after `new` was created, oldest first.
///
/// Sessions that have ended and impersonations do not count. A session created further in the future
/// than the tolerated difference between clocks was created while a clock was wrong: it counts as
/// older than all others, so that it displaces no other session. Once it has been used by a clock that
/// was right, it counts as created then.
pub(crate) fn surplus(
    mut sessions: Vec<SessionTimes>,
    new: SessionId,
    most: usize,
    now: Timestamp,
) -> Vec<SessionId> {
    sessions.retain(|session| {
        let has_not_ended =
            now < session.idle_expires_at && now < lifecycle::absolute_end_of(session);
        has_not_ended && session.actor_session.is_none()
    });
    sessions.sort_unstable_by_key(|session| {
        let created_at = lifetime_start(session);
        let is_credible = created_at <= now + TOLERANCE || session.id == new;
        Reverse((is_credible, created_at, session.id))
    });
    sessions.into_iter().skip(most).rev().map(|session| session.id).collect()
}

/// Returns the latest time of creation among these sessions. Those noted by a clock that was wrong,
/// which lie further ahead than tolerated, are ignored.
pub(crate) fn latest(sessions: &[SessionTimes], now: Timestamp) -> Option<Timestamp> {
    sessions.iter().map(lifetime_start).filter(|time| *time <= now + TOLERANCE).max()
}

fn lifetime_start(session: &SessionTimes) -> Timestamp {
    lifecycle::lifetime_start(session.created_at, session.renewed_at)
}

#[cfg(test)]
mod tests;
