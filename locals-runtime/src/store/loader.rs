//! Sessions of one store and users of another place, joined.

use std::{fmt, future::Future, marker::PhantomData};

use sha2::{Digest, Sha256};

use super::{Ends, GuestChange, SessionStore, SessionUserStore, StoreFuture};
use crate::model::{
    error::{BoxError, StoreError},
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::Timestamp,
    user::AuthUser,
    user_id::{UserId, WrongIdKind},
};

/// Loads a user by their id, from wherever the app keeps its users.
///
/// A closure that takes the id and returns a future of `Result<Option<T>, E>` is one; see
/// [`WithLoader`]. So is a type of yours, such as one that keeps users for a while:
///
/// ```
/// use std::collections::HashMap;
///
/// use locals::{AuthUser, store::{StoreFuture, UserLoader}};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64, email: String }
///
/// struct Staff(HashMap<i64, Account>);
///
/// impl UserLoader<Account> for Staff {
///     fn load(&self, id: i64) -> StoreFuture<'_, Option<Account>> {
///         Box::pin(async move { Ok(self.0.get(&id).cloned()) })
///     }
/// }
/// ```
///
/// A user who is not there is `Ok(None)`. Every error is an outage, answered by 503, whatever it is: also
/// sqlx's `RowNotFound`. So ask by `fetch_optional`, and not by `fetch_one`, which would make a request of
/// each deleted user fail instead of logging them out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not load a `{T}`",
    note = "write a closure like `move |id: i64| async move {{ .. }}` that gives a `Result<Option<{T}>, E>`, or implement `UserLoader<{T}>`"
)]
pub trait UserLoader<T: AuthUser>: Send + Sync + 'static {
    /// The user with this id; `None` if there is none, or none who may be logged in.
    fn load(&self, id: T::Id) -> StoreFuture<'_, Option<T>>;
}

impl<T, F, Answer, E> UserLoader<T> for F
where
    T: AuthUser,
    F: Fn(T::Id) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Option<T>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn load(&self, id: T::Id) -> StoreFuture<'_, Option<T>> {
        let answer = self(id);
        Box::pin(async move { answer.await.map_err(StoreError::backend) })
    }
}

/// Any store of sessions, joined with a [loader](UserLoader) of users: for apps whose users
/// are not in the database that keeps the sessions.
///
/// ```
/// use locals::{
///     Auth, AuthUser, BoxError,
///     store::{SessionStore, WithLoader},
/// };
///
/// #[derive(AuthUser)]
/// struct Account { id: i64, email: String }
///
/// # #[derive(Clone)]
/// # struct Directory;
/// # impl Directory {
/// #     async fn account(&self, id: i64) -> Result<Option<Account>, BoxError> { Ok(None) }
/// # }
/// # fn example(sessions: impl SessionStore, directory: Directory) -> Result<(), BoxError> {
/// let store = WithLoader::new(sessions, move |id: i64| {
///     let directory = directory.clone();
///     async move { directory.account(id).await }
/// });
/// let auth = Auth::<Account>::builder(store).build()?;
/// # Ok(())
/// # }
/// ```
///
/// A session whose user is not loaded is not found, so a user who is deleted or locked out is
/// logged out at once, and cannot log in. The price is one load for each session that is found or
/// created, also where the handler asks for the session alone.
///
/// Two types of user may share a store of sessions if they name [tables](AuthUser::TABLE) of their
/// own, `#[auth_user(table = "staff")]`: the store is given the ids of users as texts that begin with
/// the table, and guests by ids made of both, so that neither is known to the other type.
///
/// No foreign key deletes the sessions with the user: end them, by
/// [`invalidate_user_sessions`](crate::SessionManager::invalidate_user_sessions), when a user is
/// deleted. Otherwise they come back to life with the next user who is given the same id.
///
/// Neither is so where the store of sessions refers to the [table of these
/// users](SessionStore::users_table), as a `SqlStore` does: it is given the ids as they are, and its foreign key ends the sessions of who is
/// deleted. That is for users whom another crate reads; the guide has a page on it.
pub struct WithLoader<S, L, T> {
    sessions: S,
    loader: L,
    user: PhantomData<fn() -> T>,
}

impl<S: SessionStore, L: UserLoader<T>, T: AuthUser> WithLoader<S, L, T> {
    /// Joins a store of sessions with a loader of their users.
    pub fn new(sessions: S, loader: L) -> Self {
        Self { sessions, loader, user: PhantomData }
    }

    /// The store of the sessions alone.
    pub fn sessions(&self) -> &S {
        &self.sessions
    }
}

impl<S, L, T> WithLoader<S, L, T>
where
    S: SessionStore,
    L: UserLoader<T>,
    T: AuthUser<Id: TryFrom<UserId, Error = WrongIdKind>>,
{
    async fn load(&self, id: SessionId) -> Result<Option<(SessionRecord, T)>, StoreError> {
        let Some(session) = self.sessions.find(id).await?.and_then(|it| self.own(it)) else {
            return Ok(None);
        };
        Ok(self.user(&session).await?.map(|user| (session, user)))
    }

    /// The user of a session, if they are there.
    async fn user(&self, session: &SessionRecord) -> Result<Option<T>, StoreError> {
        // An id of another kind is nobody's: the app has changed the type of its ids.
        let Ok(user) = session.user_id.clone().try_into() else {
            return Ok(None);
        };
        self.loader.load(user).await
    }
}

impl<S: SessionStore, L, T: AuthUser> WithLoader<S, L, T> {
    /// Whether the sessions refer to the table of these users, and to no other.
    fn is_beside_users(&self) -> bool {
        self.sessions.users_table() == Some(T::TABLE)
    }

    /// The id of a user as the store of sessions is given it.
    fn stored(&self, user: &UserId) -> UserId {
        if self.is_beside_users() {
            return user.clone();
        }
        UserId::Text(format!("{}/{}", T::TABLE, user.to_text()))
    }

    /// A stored session with the id of its user, if that is one of this type.
    fn own(&self, session: SessionRecord) -> Option<SessionRecord> {
        if self.is_beside_users() {
            return Some(session);
        }
        let UserId::Text(stored) = &session.user_id else { return None };
        let user_id = UserId::from_text(stored.strip_prefix(T::TABLE)?.strip_prefix('/')?)?;
        Some(SessionRecord { user_id, ..session })
    }
}

/// The id by which the store of sessions knows a guest.
fn guest_id<T: AuthUser>(id: SessionId) -> SessionId {
    let hash = Sha256::new().chain_update(T::TABLE).chain_update([0]).chain_update(id.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    SessionId::from_bytes(std::array::from_fn(|place| hash[place]))
}

/// A guest as the store of sessions is given them.
fn own_guest<T: AuthUser>(guest: &GuestRecord) -> GuestRecord {
    GuestRecord { id: guest_id::<T>(guest.id), ..guest.clone() }
}

impl<S, L, T> SessionStore for WithLoader<S, L, T>
where
    S: SessionStore,
    L: UserLoader<T>,
    T: AuthUser<Id: TryFrom<UserId, Error = WrongIdKind>>,
{
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        let user_id = self.stored(&session.user_id);
        let own = SessionRecord { user_id, ..session.clone() };
        let guest = ends.guest.map(|change| (change.replaces, own_guest::<T>(change.record)));
        Box::pin(async move {
            if self.user(session).await?.is_none() {
                return Err(StoreError::UserGone);
            }
            let guest =
                guest.as_ref().map(|(replaces, record)| GuestChange::new(*replaces, record));
            self.sessions.create(&own, Ends { guest, ..ends }).await
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(async move { Ok(self.load(id).await?.map(|(session, _)| session)) })
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        self.sessions.renew(id, renewal)
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        self.sessions.change_token(id, change)
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        self.sessions.write_data(id, change)
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.sessions.delete(id)
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        let user = self.stored(user);
        Box::pin(async move { self.sessions.delete_by_user(&user, keep).await })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        let user = self.stored(user);
        Box::pin(async move {
            let sessions = self.sessions.list_by_user(&user).await?;
            Ok(sessions.into_iter().filter_map(|it| self.own(it)).collect())
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        let user = self.stored(user);
        Box::pin(async move { self.sessions.list_times_by_user(&user).await })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.sessions.delete_expired(now, limit)
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        Box::pin(async move {
            let guest = self.sessions.find_guest(guest_id::<T>(id)).await?;
            Ok(guest.map(|guest| GuestRecord { id, ..guest }))
        })
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        let guest = own_guest::<T>(guest);
        Box::pin(async move { self.sessions.write_guest(&guest, replaces).await })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.sessions.delete_guest(guest_id::<T>(id))
    }

    /// Those of all types of user that share the store: it is the store that is not to overflow.
    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        self.sessions.count_guests(now)
    }
}

impl<S, L, T> SessionUserStore<T> for WithLoader<S, L, T>
where
    S: SessionStore,
    L: UserLoader<T>,
    T: AuthUser<Id: TryFrom<UserId, Error = WrongIdKind>>,
{
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        Box::pin(self.load(id))
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<T>> {
        match id.clone().try_into() {
            Ok(id) => self.loader.load(id),
            Err(_) => Box::pin(async { Ok(None) }),
        }
    }
}

impl<S: Clone, L: Clone, T> Clone for WithLoader<S, L, T> {
    fn clone(&self) -> Self {
        Self { sessions: self.sessions.clone(), loader: self.loader.clone(), user: PhantomData }
    }
}

impl<S: fmt::Debug, L, T> fmt::Debug for WithLoader<S, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithLoader").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}
