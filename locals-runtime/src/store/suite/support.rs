//! What the rules are made of: sessions, users, and what may be said of them.

use std::{future::poll_fn, task::Poll};

use uuid::Uuid;

use super::Harness;
use crate::{
    model::{
        error::{StoreError, chain},
        hashes::{CredentialHash, SecretHash},
        record::{DataChange, GuestRecord, Periods, Renewal, Rotation, SessionRecord, TokenChange},
        session_id::SessionId,
        time::Timestamp,
        user::AuthUser,
        user_id::{UserId, UserIdKind, UserKey},
    },
    store::{Ends, SessionStore, SessionUserStore, StoreFuture},
};

pub const DAY: i64 = 24 * 60 * 60 * 1_000;

/// How many operations run at once.
pub const CONCURRENT: u8 = 50;

/// After how many polls operations are dropped.
pub const POLLS: std::ops::Range<u8> = 0..8;

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
        renewed_at: at(2_005),
        active_expires_at: at(DAY + 2),
        idle_expires_at: at(DAY * 8 + 3),
        absolute_expires_at: at(DAY * 30 + 4),
        periods: Some(Periods::from_millis(DAY + i64::from(number), DAY * 7 + 1)),
        is_persistent: number.is_multiple_of(2),
        user_agent: Some(format!("Mozilla/5.0 (\"{number}\"; it's 100% \\ Юникод 🦀)")),
        address: Some(format!("2001:db8::{number:x}")),
        actor_session: Some(SessionId::from_bytes([number ^ 0x55; 16])),
        data: Some(data(number)),
        data_revision: i64::from(number),
        rotation: Some(rotation(number)),
        credential: Some(credential(number)),
    }
}

/// JSON that has more than one line, and more than letters.
pub fn data(number: u8) -> String {
    format!("{{\n  \"cart\": [{number}, null],\n  \"it's\": \"100% \\\\ \\u0000 Юникод 🦀\"\n}}\n")
}

pub fn credential(number: u8) -> CredentialHash {
    CredentialHash::from_bytes([number ^ 0x66; 32])
}

pub fn rotation(number: u8) -> Rotation {
    Rotation {
        previous: SecretHash::from_bytes([number ^ 0x33; 32]),
        salt: [number ^ 0x0f; 32],
        rotated_at: at(3_007 + i64::from(number)),
    }
}

/// A guest that differs in all it can from one of another number.
pub fn guest(number: u8) -> GuestRecord {
    GuestRecord {
        id: SessionId::from_bytes([number; 16]),
        secret_hash: SecretHash::from_bytes([!number; 32]),
        data: data(number),
        data_revision: i64::from(number),
        expires_at: at(DAY + i64::from(number)),
    }
}

/// What a login leaves of a guest whose data it has taken over.
pub fn taken_over(guest: &GuestRecord) -> GuestRecord {
    GuestRecord {
        data: "moved elsewhere".to_owned(),
        data_revision: guest.data_revision + 1,
        expires_at: at(guest.expires_at.as_millis() - DAY / 2),
        ..guest.clone()
    }
}

/// A new token for a session, and all that goes with it.
pub fn change_of(session: &SessionRecord, number: u8) -> TokenChange {
    TokenChange {
        replaces: session.secret_hash,
        secret_hash: SecretHash::from_bytes([number; 32]),
        rotation: Some(Rotation { previous: session.secret_hash, ..rotation(number) }),
        authenticated_at: at(5_000 + i64::from(number)),
        credential: Some(credential(number)),
    }
}

pub fn changed(session: &SessionRecord, change: &TokenChange) -> SessionRecord {
    SessionRecord {
        secret_hash: change.secret_hash,
        rotation: change.rotation,
        authenticated_at: change.authenticated_at,
        credential: change.credential.or(session.credential),
        ..session.clone()
    }
}

/// New data for a session.
pub fn data_for(session: &SessionRecord, number: u8) -> DataChange {
    DataChange { replaces: session.data_revision, data: data(number) }
}

pub fn written(session: &SessionRecord, change: &DataChange) -> SessionRecord {
    SessionRecord {
        data: Some(change.data.clone()),
        data_revision: change.replaces + 1,
        ..session.clone()
    }
}

/// Moves the ends of a session by a day.
pub fn renewal_of(session: &SessionRecord) -> Renewal {
    let later = |end: Timestamp| at(end.as_millis() + DAY);
    Renewal {
        replaces: session.active_expires_at,
        secret_hash: session.secret_hash,
        active_expires_at: later(session.active_expires_at),
        idle_expires_at: later(session.idle_expires_at),
        renewed_at: later(session.renewed_at),
    }
}

pub fn renewed(session: &SessionRecord, renewal: Renewal) -> SessionRecord {
    SessionRecord {
        active_expires_at: renewal.active_expires_at,
        idle_expires_at: renewal.idle_expires_at,
        renewed_at: renewal.renewed_at,
        ..session.clone()
    }
}

/// Ids of users that are different, and that some way of comparing takes for equal.
pub fn ids<H: Harness>() -> Vec<UserId> {
    type Id<H> = <<H as Harness>::User as AuthUser>::Id;
    match Id::<H>::KIND {
        // Where numbers are floats, `float` and the next one are one.
        UserIdKind::Integer => {
            let float = 1_i64 << f64::MANTISSA_DIGITS;
            let all = [
                1,
                2,
                -1,
                257,
                1 + (1 << 16),
                1 + (1 << 32),
                i32::MAX.into(),
                i32::MIN.into(),
                float,
                float + 1,
                i64::MAX,
                i64::MIN,
            ];
            all.map(UserId::from)
                .into_iter()
                .filter(|id| Id::<H>::from_user_id(id.clone()).is_ok())
                .collect()
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

/// Creates a session with which nothing ends.
pub fn create<'a>(store: &'a impl SessionStore, session: &'a SessionRecord) -> StoreFuture<'a, ()> {
    Box::pin(async {
        assert!(store.create(session, Ends::default()).await?, "nothing stands in its way");
        Ok(())
    })
}

pub async fn create_all(store: &impl SessionStore, sessions: &[SessionRecord]) {
    for session in sessions {
        answer(create(store, session).await);
    }
}

/// Stores a guest whose id is free.
pub async fn write_new(store: &impl SessionStore, guest: &GuestRecord) {
    assert!(answer(store.write_guest(guest, None).await), "a new guest is stored");
}

#[track_caller]
pub fn assert_user_gone<R: std::fmt::Debug>(created: &Result<R, StoreError>) {
    assert!(
        matches!(created, Err(StoreError::UserGone)),
        "the user is not there, but `create` answers {created:?}"
    );
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

/// The guest is found as it is expected.
pub async fn assert_guest(store: &impl SessionStore, expected: &GuestRecord) {
    let found = answer(store.find_guest(expected.id).await);
    assert_eq!(found.as_ref(), Some(expected), "what `find_guest` gives, and what was expected");
}

/// The user's sessions are these, in this order.
pub async fn assert_listed(store: &impl SessionStore, user: &UserId, expected: &[&SessionRecord]) {
    let listed = answer(store.list_by_user(user).await);
    let listed: Vec<_> = listed.iter().collect();
    assert_eq!(listed, expected, "the list of {user:?}, and what was expected");
}

/// Of operations at once exactly one says that it was it; gives the place of that one.
pub async fn the_one_of(operations: Vec<StoreFuture<'_, bool>>) -> usize {
    let crowd = operations.len();
    let answers = at_once(operations).await.into_iter().map(answer);
    let done: Vec<_> = (0..).zip(answers).filter(|(_, done)| *done).collect();
    let [(winner, _)] = done[..] else {
        panic!("one of {crowd} at once is done, but {} say that it was they", done.len());
    };
    winner
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
