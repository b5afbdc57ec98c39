//! The hashes that a store keeps in place of secrets.

use std::fmt;

use subtle::ConstantTimeEq;

/// The hash of a token's secret, see [`SessionToken::secret_hash`]. Compared in constant time; `Debug`
/// shows nothing of it.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) const BYTES: usize = 32;

    /// The hash made of these bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash, for a store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// A keyed digest of a user's credential, such as the hash of their password, which a session is
/// bound to. Compared in constant time; `Debug` shows nothing of it.
#[derive(Clone, Copy)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// The digest made of these bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the digest, for a store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CredentialHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CredentialHash {}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_credentials_are_compared_and_never_shown() {
        let one = CredentialHash::from_bytes([7; 32]);
        assert_eq!(one, CredentialHash::from_bytes(*one.as_bytes()));
        for place in 0..32 {
            let mut bytes = [7; 32];
            bytes[place] ^= 1;
            assert_ne!(one, CredentialHash::from_bytes(bytes), "byte {place}");
        }
        assert_eq!(format!("{one:?}"), "CredentialHash(..)");
    }
}
