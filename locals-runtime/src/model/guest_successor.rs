//! The successor of a guest whose data a login has taken over.
//!
//! Requests that the browser sent before it received the response of the login present the old token.
//! Those that write data start a new guest. If each of them generated its own token, the browser would
//! keep only one of them, and the data that the others wrote would be lost. So for a while the row of
//! the old guest stays and names its successor. It does not contain the successor's token, which is
//! derived from the old token and a salt.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::{
    error::Error,
    record::GuestRecord,
    session_id::SessionId,
    time::Timestamp,
    token::{self, SessionToken},
};

/// How long the old token leads to the successor.
const OVERLAP: Duration = Duration::from_mins(1);

/// The prefix of the data in such a row. No JSON begins with it.
const PREFIX: &str = "moved ";

/// The guest that follows another. Its row may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Successor {
    id: SessionId,
    salt: [u8; 32],
}

impl Successor {
    /// Generates a successor with a random id and salt.
    pub(crate) fn generate() -> Result<Self, Error> {
        Ok(Self { id: SessionToken::generate()?.id(), salt: token::salt()? })
    }

    /// Parses the successor from the data of a row; `None` if they are data of the app.
    pub(crate) fn read(data: &str) -> Option<Self> {
        let (id, salt) = data.strip_prefix(PREFIX)?.split_once(' ')?;
        let salt = URL_SAFE_NO_PAD.decode(salt).ok()?;
        Some(Self { id: id.parse().ok()?, salt: salt.try_into().ok()? })
    }

    fn to_text(&self) -> String {
        format!("{PREFIX}{} {}", self.id, URL_SAFE_NO_PAD.encode(self.salt))
    }

    /// Derives the successor's token from the token of the previous guest.
    pub(crate) fn token(&self, old: &SessionToken) -> SessionToken {
        old.derived_for(self.id, &self.salt)
    }

    /// Returns the new record of a guest whose data are taken over now.
    pub(crate) fn record_after(&self, guest: &GuestRecord, now: Timestamp) -> GuestRecord {
        GuestRecord {
            data: self.to_text(),
            data_revision: guest.data_revision + 1,
            expires_at: guest.expires_at.min(now + OVERLAP),
            ..guest.clone()
        }
    }
}

#[cfg(test)]
mod tests;
