//! Guests in the store: finding one by its token, and the limit of their number.

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

/// A guest of this request, as the store has them.
pub(crate) struct Guest {
    pub record: GuestRecord,
    pub token: SessionToken,
}

impl Guest {
    /// The guest with what the one who wrote before has left, if that is newer.
    pub(crate) fn after(self: Rc<Self>, permit: Option<&mut WritePermit>) -> Rc<Self> {
        let newest = permit.and_then(|permit| permit.newer_than(self.record.data_revision));
        let Some(newest) = newest else { return self };
        let mut record = self.record.clone();
        (record.data, record.data_revision) = (newest.data, newest.revision);
        Rc::new(Self { record, token: self.token.clone() })
    }
}

/// How many logins in a row, each of which has taken the guest over, a token is followed through.
const MAX_MOVES: usize = 8;

/// What the token of a guest leads to.
#[derive(Default)]
pub(crate) struct FoundGuest {
    /// The guest, if they are there.
    pub guest: Option<Rc<Guest>>,
    /// The token of one who is yet to come, and who follows a guest that a login has taken over.
    pub successor: Option<SessionToken>,
    /// The rows of those whom a login has taken over, each of which names the next.
    moved: Vec<SessionId>,
}

impl FoundGuest {
    /// Whom others may write to as well.
    pub(crate) fn id(&self) -> Option<SessionId> {
        let guest = self.guest.as_ref().map(|guest| guest.record.id);
        guest.or_else(|| self.successor.as_ref().map(SessionToken::id))
    }

    /// The token of the guest, or of the one who begins now.
    pub(crate) fn token(&self) -> Result<SessionToken, Error> {
        match (&self.guest, &self.successor) {
            (Some(guest), _) => Ok(guest.token.clone()),
            (None, Some(successor)) => Ok(successor.clone()),
            (None, None) => SessionToken::generate(),
        }
    }

    /// All rows, in an order in which whatever is left of them leads to the rest.
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
    /// A place in the store for a new guest, if it has one.
    pub(crate) async fn reserve_guest_slot(&self) -> Result<GuestSlot<'_>, Error> {
        let most = self.context().settings.max_guests;
        loop {
            let now = self.now();
            match self.context().guest_quota.enter(now, most) {
                QuotaCheck::Free(place) => return Ok(place),
                QuotaCheck::Full { is_news } => {
                    if is_news {
                        Event::GuestsFull { most }.record();
                    }
                    return Err(Error::TooManyGuests { most });
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
    /// Whom a token leads to: the guest whose it is, or the one who follows them.
    pub(crate) async fn find_guest(&self, token: &SessionToken) -> Result<FoundGuest, Error> {
        let mut found = FoundGuest::default();
        let mut token = token.clone();
        while found.moved.len() < MAX_MOVES {
            let Some(record) = self.store().find_guest(token.id()).await? else {
                found.successor = (!found.moved.is_empty()).then_some(token);
                return Ok(found);
            };
            let is_living = self.now() < record.expires_at;
            if !is_living || record.secret_hash != self.hash(&token) {
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
