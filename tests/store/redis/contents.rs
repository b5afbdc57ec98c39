//! What stands in Redis, and for how long.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use locals::{
    Auth, DataChange, StoreError, Timestamp, TokenChange, UserId,
    store::{End, Ends, GuestChange, SessionStore, WithLoader},
};
use uuid::Uuid;

use super::{DAY, Keys, guest, renewal_of, session};
use crate::{
    assert_no_part_of,
    loader::{Directory, Person},
};

const HOUR: i64 = 60 * 60 * 1_000;

/// Names, types, times and values of all keys.
fn dump(keys: &Keys) -> String {
    let all = keys.all();
    let describe = |key: &String| {
        let value = match keys.cli(&["TYPE", key]).as_str() {
            "string" => keys.cli(&["GET", key]),
            "zset" => keys.cli(&["ZRANGE", key, "0", "-1", "WITHSCORES"]),
            other => panic!("{key} is a {other}"),
        };
        format!("{key}\n{value}\n")
    };
    all.iter().map(describe).collect()
}

fn time_to_live(keys: &Keys, key: &str) -> i64 {
    keys.cli(&["PTTL", key]).parse().unwrap()
}

#[actix_web::test]
async fn nothing_that_opens_a_session_is_in_redis() {
    let keys = Keys::new();
    let users = Directory::default();
    users.add(1_i64);
    let store = WithLoader::<_, _, Person<i64>>::new(keys.store().await, users);
    let auth = Auth::builder(store).build().unwrap();

    for _ in 0..3 {
        let session = auth.create_session(&Person { id: 1_i64 }).await.unwrap();
        let text = session.token().expose_secret();
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        let secret = &bytes[16..];
        let dump = dump(&keys);
        let holds = |part: &[u8]| dump.as_bytes().windows(part.len()).any(|window| window == part);

        assert!(holds(session.id().to_string().as_bytes()), "the session is in the dump");
        let hash = URL_SAFE_NO_PAD.encode(session.token().secret_hash::<Person<i64>>().as_bytes());
        assert!(holds(hash.as_bytes()), "the hash of its secret is there");
        assert_no_part_of(secret, holds);
        for shift in 0..3 {
            let shifted = URL_SAFE_NO_PAD.encode(&secret[shift..]);
            for part in shifted.as_bytes()[..shifted.len() - 1].windows(8) {
                assert!(!holds(part), "the text of the secret is there");
            }
        }
    }
}

#[actix_web::test]
async fn every_key_expires_an_hour_or_more_after_the_session() {
    let keys = Keys::new();
    let store = keys.store().await;
    let session = session(0, 1_i64);
    store.create(&session, Ends::default()).await.unwrap();
    let lasts = |days: i64| {
        let session = time_to_live(&keys, &keys.session(session.id));
        let index = time_to_live(&keys, &keys.index("i:1"));
        assert!(session <= days * DAY + HOUR && session > days * DAY, "{session} of {days} days");
        assert!(index > session, "{index}: the index lasts longer");
        assert!(index <= days * DAY + 2 * HOUR, "{index}: but not forever");
    };
    lasts(8);

    let mut renewal = renewal_of(&session);
    renewal.active_expires_at = Timestamp::from_millis(4 * DAY);
    renewal.idle_expires_at = Timestamp::from_millis(12 * DAY);
    assert!(store.renew(session.id, renewal).await.unwrap());
    lasts(12);
    assert_eq!(keys.all().len(), 2);
}

#[actix_web::test]
async fn a_renewal_to_earlier_expiries_shortens_the_time_to_live() {
    let keys = Keys::new();
    let store = keys.store().await;
    // Created by a clock that was 30 days ahead.
    let mut session = session(0, 1_i64);
    for time in [
        &mut session.created_at,
        &mut session.renewed_at,
        &mut session.active_expires_at,
        &mut session.idle_expires_at,
        &mut session.absolute_expires_at,
    ] {
        *time = Timestamp::from_millis(time.as_millis() + 30 * DAY);
    }
    store.create(&session, Ends::default()).await.unwrap();
    let mut renewal = renewal_of(&session);
    renewal.active_expires_at = Timestamp::from_millis(DAY);
    renewal.idle_expires_at = Timestamp::from_millis(8 * DAY);
    renewal.renewed_at = Timestamp::from_millis(0);
    assert!(store.renew(session.id, renewal).await.unwrap());
    let left = time_to_live(&keys, &keys.session(session.id));
    assert!(left > 8 * DAY && left <= 8 * DAY + HOUR, "{left}");
    assert!(time_to_live(&keys, &keys.index("i:1")) > left, "the index lasts longer");
}

#[actix_web::test]
async fn the_key_of_a_guest_expires_an_hour_or_more_after_the_guest() {
    let keys = Keys::new();
    let store = keys.store().await;
    let key = keys.guest(guest(1).id);
    // Where it has ended already, only the app's clock can say so.
    store.write_guest(&guest(1), None).await.unwrap();
    let left = time_to_live(&keys, &key);
    assert!(left > HOUR / 2 && left <= HOUR, "{left}");

    let now = Timestamp::from(SystemTime::now()).as_millis();
    let mut later = guest(1);
    later.expires_at = Timestamp::from_millis(now + 3 * DAY);
    assert!(store.write_guest(&later, Some(0)).await.unwrap());
    let left = time_to_live(&keys, &key);
    assert!(left > 3 * DAY && left <= 3 * DAY + HOUR, "{left}");
}

#[actix_web::test]
async fn changing_a_session_keeps_the_time_to_live_of_its_key() {
    let keys = Keys::new();
    let store = keys.store().await;
    let session = session(1, 1_i64);
    store.create(&session, Ends::default()).await.unwrap();
    let change = TokenChange::new(&session, guest(7).secret_hash);
    assert!(store.change_token(session.id, &change).await.unwrap());
    let change = DataChange::new(0, guest(1).data);
    assert!(store.write_data(session.id, &change).await.unwrap());
    let left = time_to_live(&keys, &keys.session(session.id));
    assert!(left > 8 * DAY && left <= 8 * DAY + HOUR, "{left}");
}

#[actix_web::test]
async fn a_login_that_cannot_end_the_old_session_leaves_no_new_one() {
    let keys = Keys::new();
    let store = keys.store().await;
    let (ended, stuck, new) = (session(1, 1_i64), session(2, 1_i64), session(3, 1_i64));
    store.create(&ended, Ends::default()).await.unwrap();
    store.create(&stuck, Ends::default()).await.unwrap();
    // A key that is no string is one that the script refuses.
    keys.cli(&["DEL", &keys.session(stuck.id)]);
    keys.cli(&["LPUSH", &keys.session(stuck.id), "no session"]);

    let visitor = guest(4);
    store.write_guest(&visitor, None).await.unwrap();
    let mut left = visitor.clone();
    (left.data, left.data_revision) = ("moved".to_owned(), visitor.data_revision + 1);

    let old = [ended.id, stuck.id].map(End::new);
    let mut ends = Ends::default();
    ends.sessions = &old;
    ends.guest = Some(GuestChange::new(visitor.data_revision, &left));
    let refused = store.create(&new, ends).await;

    assert!(matches!(refused, Err(StoreError::Backend(_))), "{refused:?}");
    assert_eq!(store.find(new.id).await.unwrap(), None);
    assert_eq!(store.find(ended.id).await.unwrap(), None, "those before it have ended");
    let found = store.find_guest(visitor.id).await.unwrap();
    assert_eq!(found, Some(visitor), "the guest is put back");
    keys.cli(&["DEL", &keys.session(stuck.id)]);
    assert_eq!(store.list_by_user(&new.user_id).await.unwrap(), []);
}

#[actix_web::test]
async fn a_guest_that_cannot_be_read_is_an_error_and_can_be_deleted() {
    let keys = Keys::new();
    let store = keys.store().await;
    let guest = guest(1);
    for junk in ["", "junk", "1", "1 2", "1 2 3", "x 2 hash {}"] {
        keys.cli(&["SET", &keys.guest(guest.id), junk]);
        for failed in [
            store.find_guest(guest.id).await.map(drop),
            store.write_guest(&guest, Some(1)).await.map(drop),
        ] {
            assert!(matches!(failed, Err(StoreError::Corrupt(_))), "{junk:?}: {failed:?}");
        }
        assert!(store.delete_guest(guest.id).await.unwrap(), "{junk:?}");
    }
}

#[actix_web::test]
async fn a_short_session_does_not_shorten_the_index() {
    let keys = Keys::new();
    let store = keys.store().await;
    store.create(&session(0, 1_i64), Ends::default()).await.unwrap();
    let mut short = session(1, 1_i64);
    short.idle_expires_at = Timestamp::from_millis(2);
    store.create(&short, Ends::default()).await.unwrap();
    assert!(time_to_live(&keys, &keys.index("i:1")) > 8 * DAY);
}

#[actix_web::test]
async fn a_refused_create_does_not_shorten_the_stay_in_the_index() {
    let keys = Keys::new();
    let store = keys.store().await;
    let session = session(0, 1_i64);
    store.create(&session, Ends::default()).await.unwrap();
    let score = || keys.cli(&["ZSCORE", &keys.index("i:1"), &session.id.to_string()]);
    let before = score();
    let mut short = session.clone();
    short.idle_expires_at = Timestamp::from_millis(2);
    assert!(matches!(store.create(&short, Ends::default()).await, Err(StoreError::Collision)));
    assert_eq!(score(), before);
}

#[actix_web::test]
async fn a_session_that_never_expires_is_kept_as_long_as_redis_can() {
    let keys = Keys::new();
    let store = keys.store().await;
    let mut session = session(0, 1_i64);
    session.idle_expires_at = Timestamp::from_millis(i64::MAX - 1);
    store.create(&session, Ends::default()).await.unwrap();
    let mut renewal = renewal_of(&session);
    renewal.active_expires_at = Timestamp::from_millis(i64::MAX - 1);
    renewal.idle_expires_at = Timestamp::from_millis(i64::MAX);
    assert!(store.renew(session.id, renewal).await.unwrap());
    let found = store.find(session.id).await.unwrap().unwrap();
    assert_eq!(found.idle_expires_at, renewal.idle_expires_at);
    assert!(time_to_live(&keys, &keys.session(session.id)) > 400 * DAY);
}

#[actix_web::test]
async fn a_session_that_the_server_has_expired_is_gone_everywhere() {
    let keys = Keys::new();
    let store = keys.store().await;
    let (session, other) = (session(1, 1_i64), session(2, 1_i64));
    store.create(&session, Ends::default()).await.unwrap();
    store.create(&other, Ends::default()).await.unwrap();

    assert_eq!(keys.cli(&["PEXPIRE", &keys.session(session.id), "-1"]), "1");

    assert_eq!(store.find(session.id).await.unwrap(), None);
    let user = UserId::from(1_i64);
    assert_eq!(store.list_by_user(&user).await.unwrap(), [other]);
    assert_eq!(store.delete_by_user(&user, None).await.unwrap(), 1);
    assert!(!store.delete(session.id).await.unwrap());
}

#[actix_web::test]
async fn an_index_drops_expired_entries_and_no_others() {
    let keys = Keys::new();
    let store = keys.store().await;
    let index = keys.index("i:1");
    store.create(&session(1, 1_i64), Ends::default()).await.unwrap();
    let absent = session(2, 1_i64).id.to_string();
    assert_eq!(keys.cli(&["ZADD", &index, "1", &absent]), "1");
    assert_eq!(keys.cli(&["ZCARD", &index]), "2");

    store.create(&session(3, 1_i64), Ends::default()).await.unwrap();

    assert_eq!(keys.cli(&["ZSCORE", &index, &absent]), "");
    assert_eq!(store.list_by_user(&UserId::from(1_i64)).await.unwrap().len(), 2);
}

#[actix_web::test]
async fn an_index_is_gone_with_the_last_session() {
    let keys = Keys::new();
    let store = keys.store().await;
    let sessions = [session(1, 1_i64), session(2, 1_i64), session(3, 1_i64)];
    for session in &sessions {
        store.create(session, Ends::default()).await.unwrap();
    }
    store.delete(sessions[0].id).await.unwrap();
    assert_eq!(keys.all().len(), 3, "two sessions and the index");
    store.delete_by_user(&sessions[0].user_id, None).await.unwrap();
    assert_eq!(keys.all(), [""; 0]);
}

#[actix_web::test]
async fn ids_of_different_kinds_with_one_text_are_different_users() {
    let keys = Keys::new();
    let store = keys.store().await;
    let uuid = Uuid::from_u128(7);
    let users =
        [7_i64.into(), "7".into(), "i:7".into(), uuid.into(), UserId::from(uuid.to_string())];
    let sessions: Vec<_> = (1..).zip(&users).map(|(n, user)| session(n, user.clone())).collect();
    for session in &sessions {
        store.create(session, Ends::default()).await.unwrap();
    }
    assert_eq!(keys.all().len(), 2 * users.len(), "each has an index");
    for (user, session) in users.iter().zip(&sessions) {
        assert_eq!(store.list_by_user(user).await.unwrap(), std::slice::from_ref(session));
        assert_eq!(store.delete_by_user(user, None).await.unwrap(), 1, "{user:?}");
    }
}

#[actix_web::test]
async fn a_script_reads_the_id_of_a_user_as_it_was_written() {
    let keys = Keys::new();
    let store = keys.store().await;
    let texts =
        ["", "\0", "a\0b", "\n", "\r\n", "\\", "\"", "/", "\u{7f}", "\u{2028}", "🦀", "{}", "é"];
    for user in texts.map(UserId::from) {
        let session = session(1, user.clone());
        store.create(&session, Ends::default()).await.unwrap();
        assert_eq!(store.list_by_user(&user).await.unwrap(), std::slice::from_ref(&session));
        assert_eq!(store.delete_by_user(&user, None).await.unwrap(), 1, "{user:?}");
        assert_eq!(store.find(session.id).await.unwrap(), None, "{user:?}");
    }
}

#[actix_web::test]
async fn a_refused_create_leaves_the_session_of_another_user_alone() {
    let keys = Keys::new();
    let store = keys.store().await;
    let of_ada = session(1, "ada");
    store.create(&of_ada, Ends::default()).await.unwrap();
    let refused = store.create(&session(1, "bob"), Ends::default()).await;
    assert!(matches!(refused, Err(StoreError::Collision)), "{refused:?}");

    assert_eq!(store.delete_by_user(&"bob".into(), None).await.unwrap(), 0);
    assert_eq!(store.list_by_user(&"bob".into()).await.unwrap(), []);
    assert_eq!(store.find(of_ada.id).await.unwrap(), Some(of_ada));
}

#[actix_web::test]
async fn a_prefix_is_text_and_no_pattern() {
    let keys = Keys::new();
    let ended = Timestamp::from_millis(9 * DAY);
    let mut others = Vec::new();
    for suffix in ["xx:", "x:", "a:", "\\:"] {
        let other =
            keys.store().await.prefix(&format!("{}{suffix}", keys.session(session(0, 0_i64).id)));
        other.create(&session(1, 1_i64), Ends::default()).await.unwrap();
        others.push(other);
    }
    for suffix in ["*:", "?:", "[a-z]:", "[^a]:", "\\\\:", "{x", "{}:"] {
        let prefix = format!("{}{suffix}", keys.session(session(0, 0_i64).id));
        let store = keys.store().await.prefix(&prefix);
        store.create(&session(1, 1_i64), Ends::default()).await.unwrap();
        assert_eq!(store.delete_expired(ended, 10).await.unwrap(), 1, "{suffix}");
    }
    for other in others {
        assert!(other.find(session(1, 1_i64).id).await.unwrap().is_some());
    }
}

#[actix_web::test]
async fn a_value_that_cannot_be_read_is_an_error_and_can_be_deleted() {
    let keys = Keys::new();
    let store = keys.store().await;
    let user = UserId::from(1_i64);
    let good = session(0, 1_i64);
    let value = {
        store.create(&good, Ends::default()).await.unwrap();
        keys.cli(&["GET", &keys.session(good.id)])
    };
    let half = &value[..value.len() / 2];
    let of_nobody = value.replace(r#""user":"i:1""#, r#""user":"x:1""#);
    let unknown = value.replace(r#""created_at":0"#, r#""created_at":"yesterday""#);
    let junk = ["", "junk", "1 2 3", "1 2 {}", "1 2 []", half, &of_nobody, &unknown];
    for (number, junk) in (1..).zip(junk) {
        let session = session(number, 1_i64);
        store.create(&session, Ends::default()).await.unwrap();
        keys.cli(&["SET", &keys.session(session.id), junk]);
        let renewal = renewal_of(&session);
        for failed in [
            store.find(session.id).await.map(drop),
            store.renew(session.id, renewal).await.map(drop),
        ] {
            assert!(matches!(failed, Err(StoreError::Corrupt(_))), "{junk:?}: {failed:?}");
        }
        let list = store.list_by_user(&user).await.unwrap();
        assert_eq!(list, std::slice::from_ref(&good), "{junk:?}: the others are listed");
        assert_eq!(store.delete_expired(Timestamp::from_millis(0), 10).await.unwrap(), 0);
        assert!(store.delete(session.id).await.unwrap(), "{junk:?}");

        store.create(&session, Ends::default()).await.unwrap();
        if number % 2 == 0 {
            keys.cli(&["SET", &keys.session(session.id), junk]);
        }
        let ended = store.delete_by_user(&user, Some(good.id)).await.unwrap();
        assert_eq!(ended, 1, "{junk:?}");
    }
    assert_eq!(store.find(good.id).await.unwrap(), Some(good));
}
