//! What the rules are made of: sessions, users, and what may be said of them.

use std::{future::poll_fn, task::Poll};

use uuid::Uuid;

use super::Harness;
use crate::{
    clock::Timestamp,
    error::{StoreError, chain},
    session::{Renewal, SessionRecord},
    store::{SessionStore, SessionUserStore, StoreFuture},
    token::{SecretHash, SessionId},
    user::{AuthUser, UserId, UserIdKind, UserKey},
};

pub const DAY: i64 = 24 * 60 * 60 * 1_000;

/// The time on the clock of the suite. It begins with the first millisecond of 1970.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A session that differs in all it can from one of another number.
pub fn session(number: u8, user: &UserId) -> SessionRecord {
    let at = |millis| at(millis + i64::from(number));
    SessionRecord {
        id: SessionId::from_bytes([number; 16]),
        secret_hash: SecretHash::from_bytes([!number; 32]),
        user_id: user.clone(),
        created_at: at(0),
        authenticated_at: at(1_001),
        active_expires_at: at(DAY + 2),
        idle_expires_at: at(DAY * 8 + 3),
        absolute_expires_at: at(DAY * 30 + 4),
        user_agent: Some(format!("Mozilla/5.0 (\"{number}\"; it's 100% \\ Юникод 🦀)")),
        address: Some(format!("2001:db8::{number:x}")),
    }
}

/// Moves the ends of a session by a day.
pub fn renewal_of(session: &SessionRecord) -> Renewal {
    let later = |end: Timestamp| at(end.as_millis() + DAY);
    Renewal {
        replaces: session.active_expires_at,
        active_expires_at: later(session.active_expires_at),
        idle_expires_at: later(session.idle_expires_at),
    }
}

pub fn renewed(session: &SessionRecord, renewal: Renewal) -> SessionRecord {
    SessionRecord {
        active_expires_at: renewal.active_expires_at,
        idle_expires_at: renewal.idle_expires_at,
        ..session.clone()
    }
}

/// Ids of users that are different, and that some way of comparing takes for equal.
pub fn ids<H: Harness>() -> Vec<UserId> {
    type Id<H> = <<H as Harness>::User as AuthUser>::Id;
    match Id::<H>::KIND {
        UserIdKind::Integer if size_of::<Id<H>>() == size_of::<i32>() => {
            [1, 2, -1, 257, 65_537, i32::MAX, i32::MIN].map(UserId::from).into()
        }
        // Where numbers are floats, `float` and the next one are one.
        UserIdKind::Integer => {
            let float = 1_i64 << f64::MANTISSA_DIGITS;
            [1, 2, -1, 1 + (1 << 32), float, float + 1, i64::MAX, i64::MIN].map(UserId::from).into()
        }
        UserIdKind::Text => [
            "ada", "Ada", "ada ", " ada", "ADA", "ada\t", "ad_", "%", "å", "a\u{30a}", "7", "07",
            "7.0", "ada'--", "\"ada\"",
        ]
        .map(UserId::from)
        .into(),
        // The second is the first in the byte order of a Windows GUID.
        UserIdKind::Uuid => [
            0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            0x3322_1100_5544_7766_8899_aabb_ccdd_eeff,
            1,
            1 << 127,
            u128::MAX,
        ]
        .map(|id| UserId::from(Uuid::from_u128(id)))
        .into(),
    }
}

/// An empty store with the first `N` users.
pub async fn store_with_users<H: Harness, const N: usize>(harness: &H) -> (H::Store, [UserId; N]) {
    let store = harness.store().await;
    let ids = ids::<H>();
    let users = std::array::from_fn(|place| ids[place].clone());
    for user in &users {
        harness.add_user(&store, user.clone()).await;
    }
    (store, users)
}

/// A store with all users, and one session for each.
pub async fn store_with_all_users<H: Harness>(harness: &H) -> (H::Store, Vec<SessionRecord>) {
    let store = harness.store().await;
    let ids = ids::<H>();
    for id in &ids {
        harness.add_user(&store, id.clone()).await;
    }
    let sessions: Vec<_> = (1..).zip(&ids).map(|(number, id)| session(number, id)).collect();
    create_all(&store, &sessions).await;
    (store, sessions)
}

pub async fn create_all(store: &impl SessionStore, sessions: &[SessionRecord]) {
    for session in sessions {
        answer(store.create(session).await);
    }
}

/// What a store answered that had no reason to fail.
#[track_caller]
pub fn answer<T>(answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| failed(&error))
}

#[track_caller]
pub fn failed(error: &StoreError) -> ! {
    panic!("the store failed: {}", chain(error))
}

/// The session is found, alone and with its user, as it is expected.
pub async fn assert_kept<T: AuthUser>(store: &impl SessionUserStore<T>, expected: &SessionRecord) {
    let found = answer(store.find(expected.id).await);
    assert_eq!(found.as_ref(), Some(expected), "what `find` gives, and what was expected");
    let (found, user) = answer(store.find_with_user(expected.id).await)
        .expect("`find_with_user` finds what `find` finds");
    assert_eq!(&found, expected, "what `find_with_user` gives, and what was expected");
    let user = user.id().to_user_id();
    assert_eq!(user, expected.user_id, "the user that comes with the session, and its user");
}

/// Neither the session nor its user is found.
pub async fn assert_gone<T>(store: &impl SessionUserStore<T>, id: SessionId) {
    let found = answer(store.find(id).await);
    assert_eq!(found, None, "`find` should find nothing");
    let found = answer(store.find_with_user(id).await);
    let found = found.map(|(session, _)| session);
    assert_eq!(found, None, "`find_with_user` should find nothing");
}

/// The user's sessions are these, in this order.
pub async fn assert_listed(store: &impl SessionStore, user: &UserId, expected: &[&SessionRecord]) {
    let listed = answer(store.list_by_user(user).await);
    let listed: Vec<_> = listed.iter().collect();
    assert_eq!(listed, expected, "the list of {user:?}, and what was expected");
}

/// Runs operations side by side, and gives their answers in the same order.
pub async fn at_once<T>(mut operations: Vec<StoreFuture<'_, T>>) -> Vec<Result<T, StoreError>> {
    let mut answers: Vec<_> = operations.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (operation, answer) in operations.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = operation.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Polls an operation some times, unless it ends before, and drops it.
pub async fn drop_after<T>(polls: u8, mut operation: StoreFuture<'_, T>) {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        match operation.as_mut().poll(context) {
            Poll::Pending if left > 0 => Poll::Pending,
            Poll::Pending | Poll::Ready(_) => Poll::Ready(()),
        }
    })
    .await;
}
