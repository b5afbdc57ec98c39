//! The public id of a session or a guest.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};

pub(super) const ID_BYTES: usize = 16;

/// The public id of a session, for lists, logs and ending it. It does not give access to the session.
///
/// Displayed and serialized as 22 characters of base64url.
///
/// ```
/// use locals::SessionId;
///
/// let id: SessionId = "AAAAAAAAAAAAAAAAAAAAAA".parse()?;
/// assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
/// assert!("AAAA".parse::<SessionId>().is_err());
/// # Ok::<(), locals::MalformedId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; ID_BYTES]);

/// The error for a text that is not a session id, that is, not 22 characters of base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session id: expected 22 characters of base64url")]
pub struct MalformedId;

impl SessionId {
    /// Creates an id from its bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the id, for a store.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; ID_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(ID_BYTES) => Ok(Self(bytes)),
            _ => Err(MalformedId),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        base64::display::Base64Display::new(&self.0, &URL_SAFE_NO_PAD).fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_round_trips_and_has_only_one_text_form() {
        let id = SessionId::from_bytes(std::array::from_fn(|byte| byte.to_le_bytes()[0] * 16));
        assert_eq!(id.to_string().parse::<SessionId>(), Ok(id));
        assert_eq!(format!("{id:?}"), format!("SessionId({id})"));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<SessionId>("\"AAAA\"").is_err());
        // Too short, too long, padded, or with unused bits set.
        for text in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAB",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(MalformedId), "{text}");
        }
    }
}
