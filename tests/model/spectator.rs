//! A store to look through: whoever uses it sees everything and changes nothing.

use locals::{
    DataChange, GuestRecord, Renewal, SessionId, SessionRecord, SessionTimes, Timestamp,
    TokenChange, UserId,
    store::{Ends, SessionStore, SessionUserStore, StoreFuture},
};

use crate::app::Account;

/// Looking at a session may renew it or rotate its token, or end it where the token is one that
/// was rotated long ago. Here that always comes too late, as if
/// another request had done it, so that what is looked at stays as it was.
pub struct Spectator<S>(pub S);

impl<S: SessionUserStore<Account>> SessionUserStore<Account> for Spectator<S> {
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, Account)>> {
        self.0.find_with_user(id)
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<Account>> {
        self.0.find_user(id)
    }
}

impl<S: SessionStore> SessionStore for Spectator<S> {
    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        self.0.find(id)
    }

    fn renew(&self, _: SessionId, _: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn change_token<'a>(&'a self, _: SessionId, _: &'a TokenChange) -> StoreFuture<'a, bool> {
        Box::pin(async { Ok(false) })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        self.0.list_by_user(user)
    }

    fn list_times_by_user<'a>(&'a self, _: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        only_looks()
    }

    fn create<'a>(&'a self, _: &'a SessionRecord, _: Ends<'a>) -> StoreFuture<'a, bool> {
        only_looks()
    }

    fn write_data<'a>(&'a self, _: SessionId, _: &'a DataChange) -> StoreFuture<'a, bool> {
        only_looks()
    }

    fn delete(&self, _: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn delete_by_user<'a>(&'a self, _: &'a UserId, _: Option<SessionId>) -> StoreFuture<'a, u64> {
        only_looks()
    }

    fn delete_expired(&self, _: Timestamp, _: u32) -> StoreFuture<'_, u64> {
        only_looks()
    }

    fn find_guest(&self, _: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        only_looks()
    }

    fn write_guest<'a>(&'a self, _: &'a GuestRecord, _: Option<i64>) -> StoreFuture<'a, bool> {
        only_looks()
    }

    fn delete_guest(&self, _: SessionId) -> StoreFuture<'_, bool> {
        only_looks()
    }

    fn count_guests(&self, _: Timestamp) -> StoreFuture<'_, u64> {
        only_looks()
    }
}

fn only_looks() -> ! {
    panic!("looking at a session asks for more than it should")
}
