//! The credential that the sessions of a user are bound to, such as the password hash.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{hashes::CredentialHash, session_id::SessionId};

/// Computes the digest of the fields of a user that are marked `#[auth_user(credential)]`.
///
/// The digest is keyed with the id of the session. So the digests of two sessions cannot be compared,
/// and a digest that is copied to another row does not match there.
pub struct CredentialDigest(Sha256);

impl CredentialDigest {
    pub(crate) fn new(session: SessionId) -> Self {
        let domain = b"locals: credential";
        Self(Sha256::new().chain_update(domain).chain_update(session.as_bytes()))
    }

    pub(crate) fn finish(self) -> CredentialHash {
        CredentialHash::from_bytes(self.0.finalize().into())
    }

    /// Adds a field.
    pub fn field(&mut self, field: &impl CredentialField) {
        field.add_to(self);
    }

    fn none(&mut self) {
        self.0.update([0]);
    }

    /// Adds the bytes after their length, so that bytes cannot move from one field to the next.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update([1]);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialDigest").finish_non_exhaustive()
    }
}

/// The types that a field marked `#[auth_user(credential)]` can have. `Some(value)` has the same digest
/// as `value`, so that two structs of one table may differ in that. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a credential that sessions are bound to",
    label = "not a type of credential",
    note = "the field may be `String`, `Vec<u8>`, `i64`, `i32`, `bool`, `uuid::Uuid`, or an `Option` of one of these"
)]
pub trait CredentialField: sealed::Sealed {
    /// Adds the value to a digest.
    #[doc(hidden)]
    fn add_to(&self, digest: &mut CredentialDigest);
}

mod sealed {
    pub trait Sealed {}
}

impl<F: CredentialField> sealed::Sealed for Option<F> {}

impl<F: CredentialField> CredentialField for Option<F> {
    fn add_to(&self, digest: &mut CredentialDigest) {
        match self {
            Some(field) => field.add_to(digest),
            None => digest.none(),
        }
    }
}

macro_rules! fields {
    ($($field:ty: |$value:ident| $bytes:expr;)+) => {$(
        impl sealed::Sealed for $field {}

        impl CredentialField for $field {
            fn add_to(&self, digest: &mut CredentialDigest) {
                let $value = self;
                digest.bytes($bytes);
            }
        }
    )+};
}

fields! {
    String: |text| text.as_bytes();
    Vec<u8>: |bytes| bytes;
    // As text, so that both integer types of one column give the same digest.
    i64: |number| number.to_string().as_bytes();
    i32: |number| number.to_string().as_bytes();
    bool: |is_set| &[u8::from(*is_set)];
    Uuid: |id| id.as_bytes();
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn digest(session: u8, add: impl FnOnce(&mut CredentialDigest)) -> [u8; 32] {
        let mut digest = CredentialDigest(Sha256::new().chain_update([session; 16]));
        add(&mut digest);
        digest.0.finalize().into()
    }

    #[test]
    fn different_values_have_different_digests() {
        let text = |text: &str| text.to_owned();
        let digests = [
            digest(1, |it| it.field(&text(""))),
            digest(2, |it| it.field(&text(""))),
            digest(1, |it| it.field(&text("a"))),
            digest(1, |it| it.field(&None::<String>)),
            digest(1, |it| {
                it.field(&text("a"));
                it.field(&text("b"));
            }),
            digest(1, |it| {
                it.field(&text("ab"));
                it.field(&text(""));
            }),
            digest(1, |it| {
                it.field(&text("b"));
                it.field(&text("a"));
            }),
            digest(1, |it| it.field(&7_i64)),
            digest(1, |it| it.field(&-7_i64)),
            digest(1, |it| it.field(&true)),
            digest(1, |it| it.field(&false)),
            digest(1, |it| it.field(&Uuid::nil())),
            digest(1, |it| it.field(&vec![7_u8])),
        ];
        assert_eq!(digests.iter().collect::<HashSet<_>>().len(), digests.len());
    }

    #[test]
    fn the_types_of_one_column_have_the_same_digest() {
        assert_eq!(digest(1, |it| it.field(&7_i32)), digest(1, |it| it.field(&7_i64)));
        let some = Some("a".to_owned());
        assert_eq!(digest(1, |it| it.field(&some)), digest(1, |it| it.field(&"a".to_owned())));
    }
}
