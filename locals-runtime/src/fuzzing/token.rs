//! The input is the text of a token or of an id, or the bytes of an id.

use sha2::{Digest, Sha256};

use crate::model::{
    session_id::SessionId,
    token::{SessionToken, TokenDomain},
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Tokens and ids have only one text form, and decode to the same bytes as with a simple decoder.
pub fn token(data: &[u8]) {
    match SessionToken::parse(data) {
        Ok(token) => check(&token, data),
        Err(_) => assert!(!is_token(data), "a token was refused"),
    }
    if let Ok(text) = str::from_utf8(data) {
        let bytes = decoded(data).filter(|bytes| bytes.len() == 16 && data.len() == 22);
        let id = text.parse::<SessionId>().ok();
        assert_eq!(id.map(|id| id.as_bytes().to_vec()), bytes);
        assert!(id.is_none_or(|id| id.to_string() == text), "{text} is a second text form");
    }
    if let Some(bytes) = data.first_chunk() {
        let id = SessionId::from_bytes(*bytes);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

fn check(token: &SessionToken, text: &[u8]) {
    assert_eq!(token.expose_secret().as_bytes(), text, "a token has a second text form");
    let bytes = decoded(text).expect("a token is base64url");
    assert_eq!(token.id().as_bytes(), &bytes[..16]);
    let hash = token.hash_in(TokenDomain::of_table("users"));
    let plain = [Sha256::digest("users").as_slice(), &bytes[16..]].concat();
    assert_eq!(hash.as_bytes()[..], Sha256::digest(plain)[..]);
    // A token that the library derives can be parsed, too.
    let next = token.rotated(hash.as_bytes());
    assert_eq!(next.expose_secret().parse().as_ref(), Ok(&next));
    assert!(
        next.id() == token.id() && next != *token,
        "a rotation keeps the id and changes the secret"
    );
}

pub(super) fn is_token(text: &[u8]) -> bool {
    text.len() == 64 && text.iter().all(|byte| ALPHABET.contains(byte))
}

/// Decodes base64url without padding (RFC 4648 §5), bit by bit; `None` if spare bits are not zero.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bits = vec![];
    for byte in text {
        let digit = ALPHABET.iter().position(|it| it == byte)?;
        bits.extend((0..6).rev().map(|bit| digit >> bit & 1 == 1));
    }
    let bytes = bits.chunks_exact(8);
    let spare = bytes.remainder();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    (spare.len() < 6 && !spare.contains(&true)).then(|| bytes.map(byte).collect())
}
