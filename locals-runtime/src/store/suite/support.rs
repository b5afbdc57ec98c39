//! Helpers of the tests: sample sessions and users, and assertions about them.

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

/// How many operations run concurrently.
pub const CONCURRENT: u8 = 50;

/// The numbers of polls after which operations are dropped.
pub const POLLS: std::ops::Range<u8> = 0..8;

/// Returns a time on the clock of the suite, which starts in 1970.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Returns a session that differs in every field from the sessions of other numbers.
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

/// Returns JSON with several lines and special characters.
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

/// Returns a guest that differs in every field from the guests of other numbers.
pub fn guest(number: u8) -> GuestRecord {
    GuestRecord {
        id: SessionId::from_bytes([number; 16]),
        secret_hash: SecretHash::from_bytes([!number; 32]),
        data: data(number),
        data_revision: i64::from(number),
        expires_at: at(DAY + i64::from(number)),
    }
}

/// Returns the record of a guest after a login has taken over its data.
pub fn taken_over(guest: &GuestRecord) -> GuestRecord {
    GuestRecord {
        data: "moved elsewhere".to_owned(),
        data_revision: guest.data_revision + 1,
        expires_at: at(guest.expires_at.as_millis() - DAY / 2),
        ..guest.clone()
    }
}

/// Returns a change of the token of a session.
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

/// Returns a change of the data of a session.
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

/// Returns a renewal that moves the times of a session by a day.
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

/// Returns different user ids that a careless comparison could treat as equal.
pub fn ids<H: Harness>() -> Vec<UserId> {
    type Id<H> = <<H as Harness>::User as AuthUser>::Id;
    match Id::<H>::KIND {
        // As floats, `float` and the next integer are equal.
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

/// Creates an empty store with the first `N` users.
pub async fn store_with_users<H: Harness, const N: usize>(harness: &H) -> (H::Store, [UserId; N]) {
    let store = harness.store().await;
    let ids = ids::<H>();
    let users = std::array::from_fn(|place| ids[place].clone());
    for user in &users {
        harness.add_user(&store, user.clone()).await;
    }
    (store, users)
}

/// Creates a store with all users, and one session for each.
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

/// Creates a session without ending others.
pub fn create<'a>(store: &'a impl SessionStore, session: &'a SessionRecord) -> StoreFuture<'a, ()> {
    Box::pin(async {
        let is_created = store.create(session, Ends::default()).await?;
        assert!(is_created, "`create` that ends nothing never returns `false`");
        Ok(())
    })
}

pub async fn create_all(store: &impl SessionStore, sessions: &[SessionRecord]) {
    for session in sessions {
        expect_ok(create(store, session).await);
    }
}

/// Stores a new guest.
pub async fn write_new(store: &impl SessionStore, guest: &GuestRecord) {
    assert!(expect_ok(store.write_guest(guest, None).await), "a new guest is stored");
}

#[track_caller]
pub fn assert_user_gone<R: std::fmt::Debug>(created: &Result<R, StoreError>) {
    assert!(
        matches!(created, Err(StoreError::UserGone)),
        "the user does not exist, but `create` returned {created:?}"
    );
}

/// Returns the value of an operation that must not fail.
#[track_caller]
pub fn expect_ok<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| failed(&error))
}

#[track_caller]
pub fn failed(error: &StoreError) -> ! {
    panic!("the store failed: {}", chain(error))
}

/// Asserts that the session is found unchanged, alone and with its user.
pub async fn assert_kept<T: AuthUser>(store: &impl SessionUserStore<T>, expected: &SessionRecord) {
    let found = expect_ok(store.find(expected.id).await);
    assert_eq!(found.as_ref(), Some(expected), "the result of `find`, and the expected session");
    let (found, user) = expect_ok(store.find_with_user(expected.id).await)
        .expect("`find_with_user` finds the session that `find` finds");
    assert_eq!(&found, expected, "the result of `find_with_user`, and the expected session");
    let user = user.id().to_user_id();
    assert_eq!(user, expected.user_id, "the user returned with the session, and the expected user");
}

/// Asserts that the session is not found, neither alone nor with its user.
pub async fn assert_gone<T>(store: &impl SessionUserStore<T>, id: SessionId) {
    let found = expect_ok(store.find(id).await);
    assert_eq!(found, None, "`find` should find nothing");
    let found = expect_ok(store.find_with_user(id).await);
    let found = found.map(|(session, _)| session);
    assert_eq!(found, None, "`find_with_user` should find nothing");
}

/// Asserts that the guest is found unchanged.
pub async fn assert_guest(store: &impl SessionStore, expected: &GuestRecord) {
    let found = expect_ok(store.find_guest(expected.id).await);
    assert_eq!(
        found.as_ref(),
        Some(expected),
        "the result of `find_guest`, and the expected guest"
    );
}

/// Asserts that the user has these sessions, listed in this order.
pub async fn assert_listed(store: &impl SessionStore, user: &UserId, expected: &[&SessionRecord]) {
    let listed = expect_ok(store.list_by_user(user).await);
    let listed: Vec<_> = listed.iter().collect();
    assert_eq!(listed, expected, "the list of {user:?}, and the expected list");
}

/// Asserts that exactly one of these operations, run concurrently, returns `true`. Returns its index.
pub async fn assert_one_succeeds(operations: Vec<StoreFuture<'_, bool>>) -> usize {
    let count = operations.len();
    let results = run_concurrently(operations).await.into_iter().map(expect_ok);
    let done: Vec<_> = (0..).zip(results).filter(|(_, done)| *done).collect();
    let [(winner, _)] = done[..] else {
        panic!("exactly one of {count} concurrent operations must succeed, but {} did", done.len());
    };
    winner
}

/// Runs operations concurrently, and returns their results in the same order.
pub async fn run_concurrently<T>(
    mut operations: Vec<StoreFuture<'_, T>>,
) -> Vec<Result<T, StoreError>> {
    let mut results: Vec<_> = operations.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (operation, result) in operations.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(ready) = operation.as_mut().poll(context)
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// Polls an operation at most this many times, and drops it.
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
