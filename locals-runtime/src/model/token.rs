//! Session tokens: how they are generated, written and hashed.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::model::{
    error::Error,
    hashes::SecretHash,
    session_id::{ID_BYTES, SessionId},
    user::AuthUser,
};

const SECRET_BYTES: usize = SecretHash::BYTES;
const TOKEN_BYTES: usize = ID_BYTES + SECRET_BYTES;
const TOKEN_CHARS: usize = TOKEN_BYTES / 3 * 4;

/// Generates a salt from the operating system's random numbers.
pub(crate) fn salt() -> Result<[u8; SECRET_BYTES], Error> {
    let mut salt = [0; SECRET_BYTES];
    getrandom::fill(&mut salt).map_err(|error| Error::Random(error.into()))?;
    Ok(salt)
}

/// The token of a session, as the session cookie holds it: 48 random bytes as 64 characters of base64url.
///
/// The first 16 bytes are the session's public [id](SessionId). The other 32 are a secret, of
/// which the store keeps only a [hash](Self::secret_hash). 256 random bits are twice what OWASP
/// ASVS 5.0 §7.2.3 asks for.
///
/// `Debug` shows only the id. Tokens are compared in constant time.
#[derive(Clone)]
pub struct SessionToken {
    text: [u8; TOKEN_CHARS],
    id: SessionId,
    secret: [u8; SECRET_BYTES],
}

/// The error for a text that is not a token, that is, not exactly 64 characters of the base64url alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session token: expected {TOKEN_CHARS} characters of base64url")]
pub struct MalformedToken;

impl SessionToken {
    /// Generates a new token from the operating system's random numbers.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.into()))?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Generates a token with a new secret for the id of an existing session.
    pub(crate) fn of_session(id: SessionId) -> Result<Self, Error> {
        Ok(Self::from_parts(id, Self::generate()?.secret))
    }

    /// Derives the token that this one is rotated to, with the salt that the store keeps. The old token
    /// and the salt always give the same new token; neither of them suffices alone.
    pub(crate) fn rotated(&self, salt: &[u8; SECRET_BYTES]) -> Self {
        self.derived_for(self.id, salt)
    }

    /// Derives a token for another session id in the same way.
    pub(crate) fn derived_for(&self, id: SessionId, salt: &[u8; SECRET_BYTES]) -> Self {
        let hash = Sha256::new().chain_update(b"locals: exchanged").chain_update(salt);
        Self::from_parts(id, hash.chain_update(self.secret).finalize().into())
    }

    /// Parses a token.
    ///
    /// # Errors
    /// [`MalformedToken`] for everything except the canonical form of a token.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedToken> {
        let text: &[u8; TOKEN_CHARS] = text.try_into().map_err(|_| MalformedToken)?;
        let mut bytes = [0; TOKEN_BYTES];
        URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| MalformedToken)?;
        Ok(Self::new(*text, &bytes))
    }

    fn from_parts(id: SessionId, secret: [u8; SECRET_BYTES]) -> Self {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[..ID_BYTES].copy_from_slice(id.as_bytes());
        bytes[ID_BYTES..].copy_from_slice(&secret);
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8; TOKEN_BYTES]) -> Self {
        let mut text = [0; TOKEN_CHARS];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(TOKEN_CHARS));
        Self::new(text, bytes)
    }

    fn new(text: [u8; TOKEN_CHARS], bytes: &[u8; TOKEN_BYTES]) -> Self {
        let mut parts = ([0; ID_BYTES], [0; SECRET_BYTES]);
        parts.0.copy_from_slice(&bytes[..ID_BYTES]);
        parts.1.copy_from_slice(&bytes[ID_BYTES..]);
        Self { text, id: SessionId::from_bytes(parts.0), secret: parts.1 }
    }

    /// Returns the public id of the session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Returns the hash of the secret for users of type `T`. A store keeps only this hash.
    ///
    /// It is the SHA-256 of the SHA-256 of the name of the users' [table](AuthUser::TABLE), followed by
    /// the secret. So a token that was created for the users of one table is not accepted for another,
    /// whatever store they use.
    ///
    /// ```
    /// use locals::{AuthUser, SessionToken};
    ///
    /// #[derive(AuthUser)]
    /// #[auth_user(table = "customers")]
    /// struct Customer { id: i64 }
    ///
    /// #[derive(AuthUser)]
    /// #[auth_user(table = "staff")]
    /// struct Staff { id: i64 }
    ///
    /// let token: SessionToken = "A".repeat(64).parse()?;
    /// assert_ne!(token.secret_hash::<Customer>(), token.secret_hash::<Staff>());
    /// # Ok::<(), locals::MalformedToken>(())
    /// ```
    pub fn secret_hash<T: AuthUser>(&self) -> SecretHash {
        self.hash_in(TokenDomain::of_table(T::TABLE))
    }

    /// Returns the hash of the secret for the users of this domain.
    pub(crate) fn hash_in(&self, domain: TokenDomain) -> SecretHash {
        let hash = Sha256::new().chain_update(domain.0).chain_update(self.secret);
        SecretHash::from_bytes(hash.finalize().into())
    }

    /// Returns the token as text. Whoever has it is logged in: keep it out of logs, URLs and pages.
    ///
    /// The session cookie is set automatically. This method is for other transports, such as an app on a
    /// phone that keeps the token in the key store of the system.
    pub fn expose_secret(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

/// Compares in constant time.
impl PartialEq for SessionToken {
    fn eq(&self, other: &Self) -> bool {
        self.text.ct_eq(&other.text).into()
    }
}

impl Eq for SessionToken {}

impl FromStr for SessionToken {
    type Err = MalformedToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The users that tokens are created for: those of one table, whatever Rust types read its rows.
///
/// It is the digest of the table's name, so that it has a fixed length, and is part of every hash in a
/// store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenDomain([u8; 32]);

impl TokenDomain {
    pub(crate) fn of_table(table: &str) -> Self {
        Self(Sha256::digest(table).into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::user::test_user::Account;

    impl SessionToken {
        fn to_bytes(&self) -> [u8; TOKEN_BYTES] {
            URL_SAFE_NO_PAD.decode(self.text).unwrap().try_into().unwrap()
        }
    }

    fn hash(token: &SessionToken) -> SecretHash {
        token.secret_hash::<Account>()
    }

    #[test]
    fn ten_thousand_tokens_are_distinct_and_every_bit_is_unbiased() {
        const TOKENS: u32 = 10_000;
        let mut seen = HashSet::new();
        let mut ones = [0_u32; TOKEN_BYTES * 8];
        for _ in 0..TOKENS {
            let token = SessionToken::generate().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(token.text).unwrap();
            assert_eq!((token.text.len(), bytes.len()), (64, 48));
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1);
            }
            assert!(seen.insert(token.text));
        }
        // 2.5 % is five standard deviations at 10,000 tokens.
        for count in ones {
            assert!((4_750..=5_250).contains(&count), "{count} of {TOKENS}");
        }
    }

    /// Checks that values look random: all are distinct, and every byte varies.
    fn assert_random<const N: usize>(drawn: &[[u8; N]]) {
        assert!(drawn.len() >= 64);
        assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), drawn.len());
        for byte in 0..N {
            let values: HashSet<_> = drawn.iter().map(|bytes| bytes[byte]).collect();
            // 64 random bytes with fewer than 32 distinct values are practically impossible.
            assert!(values.len() >= 32, "byte {byte}: {values:?}");
        }
    }

    #[test]
    fn tokens_ids_and_salts_are_random() {
        let draws = || 0..64;
        let tokens: Vec<_> = draws().map(|_| SessionToken::generate().unwrap()).collect();
        assert_random(&tokens.iter().map(SessionToken::to_bytes).collect::<Vec<_>>());
        assert_random(&tokens.iter().map(|token| *token.id().as_bytes()).collect::<Vec<_>>());
        let hashes: Vec<_> = tokens.iter().map(|token| *hash(token).as_bytes()).collect();
        assert_random(&hashes);
        assert_random(&draws().map(|_| salt().unwrap()).collect::<Vec<_>>());

        let id = tokens[0].id();
        let of_one: Vec<_> = draws().map(|_| SessionToken::of_session(id).unwrap()).collect();
        assert!(of_one.iter().all(|token| token.id() == id));
        let secrets: Vec<[u8; SECRET_BYTES]> =
            of_one.iter().map(|token| token.to_bytes()[ID_BYTES..].try_into().unwrap()).collect();
        assert_random(&secrets);
    }

    #[test]
    fn a_rotated_token_depends_on_every_byte_of_the_secret_and_the_salt() {
        let secret = |token: &SessionToken| token.to_bytes()[ID_BYTES..].to_vec();
        let (old, salt) = (SessionToken::from_bytes(&[7; TOKEN_BYTES]), [9; SECRET_BYTES]);
        let new = old.rotated(&salt);
        // SHA-256 of the prefix, the salt and the secret, in this order.
        let text = [b"locals: exchanged".as_slice(), &salt, &[7; SECRET_BYTES]].concat();
        assert_eq!(secret(&new), Sha256::digest(text).to_vec());
        assert_eq!(new.id(), old.id());
        let mut made = HashSet::from([secret(&old), secret(&new)]);
        for byte in 0..SECRET_BYTES {
            let (mut salt, mut bytes) = (salt, [7; TOKEN_BYTES]);
            salt[byte] ^= 1;
            assert!(made.insert(secret(&old.rotated(&salt))), "salt {byte}");
            bytes[ID_BYTES + byte] ^= 1;
            let other = SessionToken::from_bytes(&bytes);
            assert!(made.insert(secret(&other.rotated(&[9; SECRET_BYTES]))), "secret {byte}");
        }
        let id = SessionId::from_bytes([3; ID_BYTES]);
        let of_another = old.derived_for(id, &salt);
        assert_eq!((of_another.id(), secret(&of_another)), (id, secret(&new)));
    }

    #[test]
    fn a_token_round_trips_and_has_only_one_text_form() {
        let token = SessionToken::generate().unwrap();
        let text = token.expose_secret().to_owned();
        let read: SessionToken = text.parse().unwrap();
        assert_eq!((read.expose_secret(), read.id()), (text.as_str(), token.id()));
        assert_eq!(hash(&read), hash(&token));
        assert_eq!(read.to_bytes(), token.to_bytes());
        for text in [&text[1..], &format!("{text}A"), &format!("{}=", &text[1..]), ""] {
            assert_eq!(text.parse::<SessionToken>().unwrap_err(), MalformedToken);
        }
        assert!(format!("{}+", &text[1..]).parse::<SessionToken>().is_err());
    }

    #[test]
    fn the_hash_depends_on_the_users_table_and_the_secret() {
        let token = SessionToken::generate().unwrap();
        let secret = &token.to_bytes()[ID_BYTES..];
        let text = [Sha256::digest("accounts").as_slice(), secret].concat();
        assert_eq!(hash(&token).as_bytes()[..], Sha256::digest(text)[..]);
        let in_table = |table| token.hash_in(TokenDomain::of_table(table));
        assert_eq!(in_table("accounts"), hash(&token));
        let mut hashes = HashSet::from([Sha256::digest(secret).into()]);
        for table in ["accounts", "Accounts", "account", "accounts ", "auth.accounts", "staff", ""]
        {
            assert!(hashes.insert(*in_table(table).as_bytes()), "{table:?}");
        }
        // The id is not part of it: it is used to find the row.
        let same_secret = token.derived_for(SessionId::from_bytes([1; 16]), &[2; 32]);
        assert_eq!(hash(&same_secret), hash(&token.rotated(&[2; 32])));
        for byte in ID_BYTES..TOKEN_BYTES {
            let mut bytes = token.to_bytes();
            bytes[byte] ^= 1;
            assert_ne!(hash(&SessionToken::from_bytes(&bytes)), hash(&token), "{byte}");
        }
    }

    #[test]
    fn tokens_and_hashes_are_compared_in_full() {
        let token = SessionToken::from_bytes(&[7; TOKEN_BYTES]);
        assert!(token == token.clone() && hash(&token) == hash(&token));
        for byte in 0..TOKEN_BYTES {
            let mut bytes = [7; TOKEN_BYTES];
            bytes[byte] ^= 1;
            assert!(token != SessionToken::from_bytes(&bytes), "{byte}");
        }
        for byte in 0..SECRET_BYTES {
            let mut bytes = *hash(&token).as_bytes();
            bytes[byte] ^= 1;
            assert!(hash(&token) != SecretHash::from_bytes(bytes), "{byte}");
        }
        assert_eq!(format!("{:?}", hash(&token)), "SecretHash(..)");
    }

    #[test]
    fn debug_shows_only_the_id() {
        let token = SessionToken::generate().unwrap();
        let shown = format!("{token:?} {:?}", hash(&token));
        assert!(shown.contains(&token.id().to_string()));
        assert!(!shown.contains(&token.expose_secret()[22..]));
        assert!(!shown.contains(&token.expose_secret()[24..30]));
    }

    #[test]
    fn another_secret_changes_the_hash_but_not_the_id() {
        let one = SessionToken::from_bytes(&[7; TOKEN_BYTES]);
        let mut bytes = [7; TOKEN_BYTES];
        bytes[TOKEN_BYTES - 1] ^= 1;
        let other = SessionToken::from_bytes(&bytes);
        assert_eq!(one.id(), other.id());
        assert_ne!(hash(&one), hash(&other));
    }
}
