use super::*;
use crate::model::{hashes::SecretHash, user::test_user::Account};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn hash(token: &SessionToken) -> SecretHash {
    token.secret_hash::<Account>()
}

const ONE: Successor = Successor { id: SessionId::from_bytes([0; 16]), salt: [255; 32] };

#[test]
fn a_successor_round_trips_and_its_text_is_not_json() {
    let text = ONE.to_text();
    let expected = "moved AAAAAAAAAAAAAAAAAAAAAA __________________________________________8";
    assert_eq!(text, expected);
    assert_eq!(Successor::read(&text), Some(ONE));
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
    for _ in 0..64 {
        let random = Successor::generate().unwrap();
        assert_eq!(Successor::read(&random.to_text()), Some(random));
    }
    for other in [
        "",
        "moved",
        "moved ",
        "moved  ",
        "{}",
        "\"moved\"",
        &text[1..],
        &text[..text.len() - 1],
        &format!("{text}8"),
        &format!("{text} "),
        &format!(" {text}"),
        &text.replace(' ', "  "),
        &text.replace("AA ", " "),
        &format!("\"{text}\""),
    ] {
        assert_eq!(Successor::read(other), None, "{other:?}");
    }
}

#[test]
fn successors_are_random_and_their_tokens_depend_on_the_old_token_and_the_salt() {
    let old = SessionToken::generate().unwrap();
    let (one, other) = (Successor::generate().unwrap(), Successor::generate().unwrap());
    assert!(one.id != other.id && one.salt != other.salt);
    let token = one.token(&old);
    assert_eq!((token.id(), &token), (one.id, &one.token(&old)), "the same each time");
    let same_id = SessionToken::of_session(old.id()).unwrap();
    let other_salt = Successor { salt: other.salt, ..one.clone() };
    for another in [one.token(&same_id), other_salt.token(&old), other.token(&old)] {
        assert_ne!(hash(&another), hash(&token));
    }
    assert_ne!(hash(&token), hash(&old));
}

#[test]
fn the_row_stays_for_a_minute_but_not_past_the_expiry_of_the_guest() {
    let token = SessionToken::generate().unwrap();
    let mut guest = GuestRecord::new(token.id(), hash(&token), "[7]", at(90_000));
    guest.data_revision = 4;
    let left = ONE.record_after(&guest, at(5));
    assert_eq!((left.id, left.secret_hash), (guest.id, guest.secret_hash));
    assert_eq!((left.data_revision, left.expires_at), (5, at(60_005)));
    assert_eq!(Successor::read(&left.data), Some(ONE));
    assert!(!left.data.contains(token.expose_secret()));
    assert_eq!(ONE.record_after(&guest, at(50_000)).expires_at, at(90_000));
}
