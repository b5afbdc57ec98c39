//! Guests in the store: finding one by its token, and limiting their number.

use std::rc::Rc;

use crate::{
    model::{
        error::{Error, StoreError},
        events::Event,
        guest_successor::Successor,
        record::GuestRecord,
        session_id::SessionId,
        token::SessionToken,
    },
    sessions::{
        guest_quota::{GuestSlot, QuotaCheck},
        manager::SessionManager,
        write_permits::WritePermit,
    },
};

/// A guest of this request, as it is stored.
pub(crate) struct Guest {
    pub record: GuestRecord,
    pub token: SessionToken,
}

impl Guest {
    /// Returns the guest with the data that the previous writer has left, if they are newer.
    pub(crate) fn after(self: Rc<Self>, permit: Option<&mut WritePermit>) -> Rc<Self> {
        let newest = permit.and_then(|permit| permit.newer_than(self.record.data_revision));
        let Some(newest) = newest else { return self };
        let mut record = self.record.clone();
        (record.data, record.data_revision) = (newest.data, newest.revision);
        Rc::new(Self { record, token: self.token.clone() })
    }
}

/// The maximum number of logins through which a guest's token is followed, each of which has taken
/// the guest over.
const MAX_MOVES: usize = 8;

/// The result of looking up a guest's token.
#[derive(Default)]
pub(crate) struct FoundGuest {
    /// The guest, if there is one.
    pub guest: Option<Rc<Guest>>,
    /// The token of the next guest, who is not stored yet, after a login has taken this one over.
    pub successor: Option<SessionToken>,
    /// The rows of guests that a login has taken over, each of which leads to the next.
    moved: Vec<SessionId>,
}

impl FoundGuest {
    /// Returns the id of the row that other requests may write too.
    pub(crate) fn id(&self) -> Option<SessionId> {
        let guest = self.guest.as_ref().map(|guest| guest.record.id);
        guest.or_else(|| self.successor.as_ref().map(SessionToken::id))
    }

    /// Returns the token of the guest, or of a new one.
    pub(crate) fn token(&self) -> Result<SessionToken, Error> {
        match (&self.guest, &self.successor) {
            (Some(guest), _) => Ok(guest.token.clone()),
            (None, Some(successor)) => Ok(successor.clone()),
            (None, None) => SessionToken::generate(),
        }
    }

    /// Returns all rows, in an order in which the remaining rows always lead to each other.
    pub(crate) fn rows(&self) -> impl Iterator<Item = SessionId> {
        let guest = self.guest.iter().map(|guest| guest.record.id);
        guest.chain(self.moved.iter().rev().copied())
    }
}

impl From<Rc<Guest>> for FoundGuest {
    fn from(guest: Rc<Guest>) -> Self {
        Self { guest: Some(guest), ..Self::default() }
    }
}

impl SessionManager {
    /// Reserves a slot for a new guest, if the store has room.
    pub(crate) async fn reserve_guest_slot(&self) -> Result<GuestSlot<'_>, Error> {
        let limit = self.context().settings.max_guests;
        loop {
            let now = self.now();
            match self.context().guest_quota.reserve(now, limit) {
                QuotaCheck::Free(slot) => return Ok(slot),
                QuotaCheck::Full { should_warn } => {
                    if should_warn {
                        Event::GuestsFull { most: limit }.record();
                    }
                    return Err(Error::TooManyGuests { most: limit });
                }
                QuotaCheck::Unknown(count) => match self.context().store.count_guests(now).await {
                    Ok(counted) => count.finish(counted),
                    Err(error) => {
                        count.fail();
                        return Err(error.into());
                    }
                },
                QuotaCheck::BeingCounted(count) => {
                    if !count.has_not_failed().await {
                        return Err(StoreError::backend("the guests could not be counted").into());
                    }
                }
            }
        }
    }

    /// Deletes the row of a guest.
    pub(crate) async fn delete_guest(&self, id: SessionId) -> Result<(), StoreError> {
        if self.context().store.delete_guest(id).await? {
            self.context().guest_quota.release_one();
        }
        Ok(())
    }
}

impl SessionManager {
    /// Returns the guest to which a token leads: its own, or the successor of that.
    pub(crate) async fn find_guest(&self, token: &SessionToken) -> Result<FoundGuest, Error> {
        let mut found = FoundGuest::default();
        let mut token = token.clone();
        while found.moved.len() < MAX_MOVES {
            let Some(record) = self.store().find_guest(token.id()).await? else {
                found.successor = (!found.moved.is_empty()).then_some(token);
                return Ok(found);
            };
            let is_valid = self.now() < record.expires_at;
            if !is_valid || record.secret_hash != self.hash(&token) {
                return Ok(found);
            }
            let Some(successor) = Successor::read(&record.data) else {
                found.guest = Some(Rc::new(Guest { record, token }));
                return Ok(found);
            };
            found.moved.push(record.id);
            token = successor.token(&token);
        }
        Ok(found)
    }
}
