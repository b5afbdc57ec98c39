//! The hashes that a store keeps instead of secrets.

use std::fmt;

use subtle::ConstantTimeEq;

/// The hash of a token's secret, see
/// [`SessionToken::secret_hash`](crate::SessionToken::secret_hash). Compared in constant time;
/// `Debug`
/// does not show it.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) const BYTES: usize = 32;

    /// Creates a hash from its bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the hash, for a store.
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

/// A keyed digest of the credential that a session is bound to, such as the user's password hash.
/// Compared in constant time; `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// Creates a digest from its bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the digest, for a store.
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
    fn digests_are_compared_in_full_and_not_shown() {
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
