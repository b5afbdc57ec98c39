//! Every type of id, on every store.

use std::fmt::Debug;

use locals::{
    Auth, AuthUser, Error, UserId, UserKey,
    store::{MemoryStore, SessionUserStore, SqlStore, WithLoader},
};
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

/// Takes sessions of two users from their creation to their end.
pub async fn create_use_and_end_sessions<T>(store: impl SessionUserStore<T>, [ada, bob]: [T; 2])
where
    T: AuthUser + Clone + Debug + PartialEq,
    T::Id: Into<UserId> + Clone,
{
    let auth = Auth::<T>::builder(store).build().unwrap();
    let first = auth.create_session(&ada).await.unwrap();
    let second = auth.create_session(&ada).await.unwrap();
    let other = auth.create_session(&bob).await.unwrap();

    for (session, expected) in [(&first, &ada), (&second, &ada), (&other, &bob)] {
        let token = session.token().expose_secret();
        let (found, user) = auth.validate_session_user(token).await.unwrap().unwrap();
        assert_eq!((found.id(), found.user_id()), (session.id(), session.user_id()));
        assert_eq!(&user.into_inner(), expected);
    }
    let listed = auth.user_sessions(ada.id().clone()).await.unwrap();
    let mut listed: Vec<_> = listed.into_iter().map(|session| session.id).collect();
    listed.sort();
    let mut expected = [first.id(), second.id()];
    expected.sort();
    assert_eq!(listed, expected);

    assert_eq!(auth.invalidate_other_sessions(&first).await.unwrap(), 1);
    assert_eq!(auth.invalidate_user_sessions(ada.id().clone()).await.unwrap(), 1);
    let gone = auth.validate_session(first.token().expose_secret()).await.unwrap();
    assert!(gone.is_none());
    let kept = auth.validate_session(other.token().expose_secret()).await.unwrap();
    assert!(kept.is_some());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, UserKey)]
#[sqlx(transparent)]
struct AccountId(i64);

#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type, UserKey)]
#[sqlx(transparent)]
struct Handle {
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, UserKey)]
#[sqlx(transparent)]
struct Serial(Uuid);

/// Around another, and unknown to `sqlx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, UserKey)]
struct Wrapped(AccountId);

impl From<i64> for Wrapped {
    fn from(id: i64) -> Self {
        Self(AccountId(id))
    }
}

/// A user that tests make of an id.
trait User: AuthUser<Id: Into<UserId>> + Clone + Debug + PartialEq {
    fn of(id: Self::Id) -> Self;
}

macro_rules! users {
    ($($(#[$attribute:meta])* $user:ident: $id:ty;)+) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, FromRow, AuthUser)]
        #[auth_user(table = "accounts")]
        struct $user {
            $(#[$attribute])*
            id: $id,
        }

        impl User for $user {
            fn of(id: $id) -> Self {
                Self { id }
            }
        }
    )+};
}

users! {
    OfI64: i64;
    OfI32: i32;
    OfI16: i16;
    OfU64: u64;
    OfU32: u32;
    OfText: String;
    OfUuid: Uuid;
    OfAccountId: AccountId;
    OfHandle: Handle;
    OfSerial: Serial;
    #[sqlx(try_from = "i64")]
    OfWrapped: Wrapped;
}

// The driver of PostgreSQL has no unsigned integers.
#[cfg(feature = "postgres")]
users! {
    #[sqlx(try_from = "i64")]
    OfU64AsI64: u64;
    #[sqlx(try_from = "i64")]
    OfU32AsI64: u32;
}

const ADA: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const BOB: Uuid = Uuid::from_u128(0xfedc_ba98_7654_3210_fedc_ba98_7654_3210);

/// The two users with these ids.
fn users<T: User>(ids: [T::Id; 2]) -> [T; 2] {
    ids.map(T::of)
}

fn texts() -> [String; 2] {
    ["ada", "Bob"].map(str::to_owned)
}

fn handles() -> [Handle; 2] {
    texts().map(|text| Handle { text })
}

/// SQL that makes a table of users with these ids.
fn accounts(declared: &str, ids: &[&str]) -> String {
    let rows: Vec<_> = ids.iter().map(|id| format!("({id})")).collect();
    format!(
        "CREATE TABLE accounts (id {declared} NOT NULL PRIMARY KEY); \
         INSERT INTO accounts VALUES {}",
        rows.join(", ")
    )
}

/// The smallest number that no session can have for its user.
const FIRST_TOO_LARGE: u64 = 1 << 63;

#[track_caller]
fn is_refused<V: Debug>(answer: Result<V, Error>, id: u64) {
    let error = answer.expect_err("a user who can have no session");
    assert!(matches!(error, Error::WrongUserId(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "not a valid user id of this app: the user's id {id} is greater than \
             9223372036854775807, the largest id that a session can have"
        )
    );
}

#[actix_web::test]
async fn ids_need_no_database() {
    let users = users::<OfWrapped>([7, -8].map(Wrapped::from));
    let memory = MemoryStore::new();
    users.iter().cloned().for_each(|user| memory.insert_user(user));
    create_use_and_end_sessions(memory, users.clone()).await;

    let sessions = MemoryStore::<OfText>::new();
    for id in ["accounts/i:7", "accounts/i:-8"] {
        sessions.insert_user(OfText::of(id.to_owned()));
    }
    let load = |id: Wrapped| async move { Ok::<_, Error>(Some(OfWrapped::of(id))) };
    create_use_and_end_sessions(WithLoader::new(sessions, load), users).await;
}

#[actix_web::test]
async fn an_id_that_is_too_large_is_refused_and_all_others_work() {
    let store = MemoryStore::new();
    for id in [7, FIRST_TOO_LARGE - 1, FIRST_TOO_LARGE, u64::MAX] {
        store.insert_user(OfU64::of(id));
    }
    let auth = Auth::<OfU64>::builder(store.clone()).build().unwrap();
    for id in [FIRST_TOO_LARGE, u64::MAX] {
        is_refused(auth.create_session(&OfU64::of(id)).await, id);
        is_refused(auth.user_sessions(id).await, id);
        is_refused(auth.invalidate_user_sessions(id).await, id);
    }
    create_use_and_end_sessions(store, users([7, FIRST_TOO_LARGE - 1])).await;
}

/// The same helpers for each kind of database but for how one is opened.
macro_rules! helpers {
    ($database:ident, $place:ty, $open:expr) => {
        /// A store in a database of its own, with users of these ids, as SQL.
        async fn store<T: User>(
            declared: &str,
            ids: &[&str],
        ) -> ($place, SqlStore<sqlx::$database, T>) {
            let (place, store): (_, SqlStore<_, T>) = $open.await;
            let sql = accounts(declared, ids);
            let done = sqlx::raw_sql(AssertSqlSafe(&*sql)).execute(store.pool()).await;
            done.unwrap_or_else(|error| panic!("{error} in: {sql}"));
            store.migrate().await.unwrap();
            store.check().await.unwrap();
            (place, store)
        }

        async fn works<T: User>(declared: &str, ids: [(&str, T::Id); 2])
        where
            SqlStore<sqlx::$database, T>: SessionUserStore<T>,
        {
            let (_place, store) = store::<T>(declared, &ids.each_ref().map(|(sql, _)| *sql)).await;
            create_use_and_end_sessions(store, users(ids.map(|(_, id)| id))).await;
        }

        async fn works_with_texts(declared: &str) {
            let [ada, bob] = texts();
            works::<OfText>(declared, [("'ada'", ada), ("'Bob'", bob)]).await;
            let [ada, bob] = handles();
            works::<OfHandle>(declared, [("'ada'", ada), ("'Bob'", bob)]).await;
        }

        async fn works_with_uuids(declared: &str, [ada, bob]: [&str; 2]) {
            works::<OfUuid>(declared, [(ada, ADA), (bob, BOB)]).await;
            works::<OfSerial>(declared, [(ada, Serial(ADA)), (bob, Serial(BOB))]).await;
        }

        async fn works_with_newtypes_of_integers(declared: &str) {
            works::<OfAccountId>(declared, [("7", AccountId(7)), ("8", AccountId(8))]).await;
            works::<OfWrapped>(declared, [("7", 7.into()), ("8", 8.into())]).await;
        }
    };
}

const BYTES: [&str; 2] =
    ["x'0123456789abcdef0123456789abcdef'", "x'fedcba9876543210fedcba9876543210'"];

mod sqlite {
    use super::*;

    helpers!(Sqlite, (), async { ((), SqlStore::sqlite("sqlite::memory:").await.unwrap()) });

    #[actix_web::test]
    async fn sessions_work_with_every_type_of_id() {
        works::<OfI64>("INTEGER", [("7", 7), ("-9223372036854775808", i64::MIN)]).await;
        works::<OfI32>("INTEGER", [("7", 7), ("-2147483648", i32::MIN)]).await;
        works::<OfI16>("SMALLINT", [("7", 7), ("-32768", i16::MIN)]).await;
        works::<OfU64>("INTEGER", [("7", 7), ("9223372036854775807", FIRST_TOO_LARGE - 1)]).await;
        works::<OfU32>("INTEGER", [("7", 7), ("4294967295", u32::MAX)]).await;
        works_with_newtypes_of_integers("INTEGER").await;
        works_with_texts("TEXT").await;
        works_with_uuids("BLOB", BYTES).await;
    }

    /// SQLite has no such number, so no user who has it.
    #[actix_web::test]
    async fn an_id_that_is_too_large_is_refused() {
        let (_place, store) = store::<OfU64>("INTEGER", &["7", "-1"]).await;
        let auth = Auth::builder(store).build().unwrap();
        for id in [FIRST_TOO_LARGE, u64::MAX] {
            is_refused(auth.create_session(&OfU64::of(id)).await, id);
        }
        auth.create_session(&OfU64::of(7)).await.unwrap();
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use crate::servers::TestDatabase;

    helpers!(Postgres, TestDatabase<sqlx::Postgres>, crate::postgres());

    #[actix_web::test]
    async fn sessions_work_with_every_type_of_id() {
        works::<OfI64>("BIGINT", [("7", 7), ("-9223372036854775808", i64::MIN)]).await;
        works::<OfI32>("INTEGER", [("7", 7), ("-2147483648", i32::MIN)]).await;
        works::<OfI16>("SMALLINT", [("7", 7), ("-32768", i16::MIN)]).await;
        works::<OfU64AsI64>("BIGINT", [("7", 7), ("9223372036854775807", FIRST_TOO_LARGE - 1)])
            .await;
        works::<OfU32AsI64>("BIGINT", [("7", 7), ("4294967295", u32::MAX)]).await;
        works_with_newtypes_of_integers("BIGINT").await;
        works_with_texts("TEXT").await;
        let [ada, bob] = [ADA, BOB].map(|id| format!("'{id}'"));
        works_with_uuids("UUID", [&ada, &bob]).await;
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use locals::{StoreError, store::SessionStore};

    use super::*;
    use crate::servers::TestDatabase;

    helpers!(MySql, TestDatabase<sqlx::MySql>, crate::mysql());

    #[actix_web::test]
    async fn sessions_work_with_every_type_of_id() {
        works::<OfI64>("BIGINT", [("7", 7), ("-9223372036854775808", i64::MIN)]).await;
        works::<OfI32>("INT", [("7", 7), ("-2147483648", i32::MIN)]).await;
        works::<OfI16>("SMALLINT", [("7", 7), ("-32768", i16::MIN)]).await;
        works::<OfU64>("BIGINT UNSIGNED", [("7", 7), ("9223372036854775807", FIRST_TOO_LARGE - 1)])
            .await;
        works::<OfU32>("INT UNSIGNED", [("7", 7), ("4294967295", u32::MAX)]).await;
        works::<OfU32>("SMALLINT UNSIGNED", [("7", 7), ("65535", 65_535)]).await;
        works_with_newtypes_of_integers("BIGINT").await;
        works_with_texts("VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin").await;
        works_with_uuids("BINARY(16)", BYTES).await;
    }

    #[actix_web::test]
    async fn an_id_that_is_too_large_is_refused_for_that_row_only() {
        let ids = ["7", "9223372036854775807", "9223372036854775808", "18446744073709551615"];
        let (_database, store) = store::<OfU64>("BIGINT UNSIGNED", &ids).await;
        let auth = Auth::<OfU64>::builder(store.clone()).build().unwrap();
        for id in [FIRST_TOO_LARGE, u64::MAX] {
            let user = OfU64::of(id);
            is_refused(auth.create_session(&user).await, id);
            is_refused(auth.user_sessions(id).await, id);
            is_refused(auth.invalidate_user_sessions(id).await, id);
            let mut transaction = store.pool().begin().await.unwrap();
            let mut within = auth.within(&mut transaction).unwrap();
            is_refused(within.create_session(&user).await, id);
            is_refused(within.invalidate_user_sessions(id).await, id);
        }
        let count = "SELECT CAST(COUNT(*) AS SIGNED) FROM user_sessions";
        let sessions: i64 = sqlx::query_scalar(count).fetch_one(store.pool()).await.unwrap();
        assert_eq!(sessions, 0);
        create_use_and_end_sessions(store, users([7, FIRST_TOO_LARGE - 1])).await;
    }

    #[actix_web::test]
    async fn a_session_with_an_id_that_is_too_large_is_refused_with_a_reason() {
        let (_database, store) =
            store::<OfU64>("BIGINT UNSIGNED", &["7", "18446744073709551615"]).await;
        let auth = Auth::<OfU64>::builder(store.clone()).build().unwrap();
        let [kept, given_away] =
            [auth.create_session(&OfU64::of(7)).await, auth.create_session(&OfU64::of(7)).await]
                .map(Result::unwrap);
        sqlx::query("UPDATE user_sessions SET user_id = 18446744073709551615 WHERE id = ?")
            .bind(&given_away.id().as_bytes()[..])
            .execute(store.pool())
            .await
            .unwrap();

        let read = store.find_with_user(given_away.id()).await;
        let Err(StoreError::Corrupt(cause)) = read else { panic!("{read:?}") };
        assert_eq!(
            cause,
            "the user's id 18446744073709551615 is greater than 9223372036854775807, the largest id \
             that a session can have"
        );
        let token = given_away.token().expose_secret();
        assert!(auth.validate_session_user(token).await.unwrap().is_none());
        assert!(auth.validate_session(token).await.unwrap().is_none());

        // The number read as a signed one belongs to no user, either.
        assert_eq!(auth.invalidate_user_sessions(-1_i64).await.unwrap(), 0);
        assert!(matches!(store.find(given_away.id()).await, Err(StoreError::Corrupt(_))));
        let token = kept.token().expose_secret();
        assert!(auth.validate_session_user(token).await.unwrap().is_some());
        assert_eq!(auth.user_sessions(7_u64).await.unwrap().len(), 1);
    }
}
