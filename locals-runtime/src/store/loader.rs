//! Joins a store of sessions with users that are loaded from elsewhere.

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
/// Implemented by closures that take the id and return a future of `Result<Option<T>, E>`; see
/// [`WithLoader`]. It can also be implemented by a type, such as a cache of users:
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
/// Return `Ok(None)` for a user who does not exist. Every error counts as an outage and becomes 503, even
/// sqlx's `RowNotFound`. So query with `fetch_optional`: with `fetch_one`, a deleted user would get errors
/// instead of being logged out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not load a `{T}`",
    note = "write a closure like `move |id: i64| async move {{ .. }}` that gives a `Result<Option<{T}>, E>`, or implement `UserLoader<{T}>`"
)]
pub trait UserLoader<T: AuthUser>: Send + Sync + 'static {
    /// Returns the user with this id; `None` if there is none, or if they may not be logged in.
    fn load(&self, id: T::Id) -> StoreFuture<'_, Option<T>>;
}

impl<T, F, Fut, E> UserLoader<T> for F
where
    T: AuthUser,
    F: Fn(T::Id) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn load(&self, id: T::Id) -> StoreFuture<'_, Option<T>> {
        let user = self(id);
        Box::pin(async move { user.await.map_err(StoreError::backend) })
    }
}

/// Combines any session store with a [loader](UserLoader) of users, for apps whose users are not in the
/// database that keeps the sessions.
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
/// A session whose user cannot be loaded is not found. So a user who is deleted or locked out is logged
/// out immediately and cannot log in. The price is one load for each session that is found or created,
/// even if the handler needs only the session.
///
/// Two user types may share a session store if their [tables](AuthUser::TABLE) have different names, as
/// with `#[auth_user(table = "staff")]`. The ids of users are passed to the store as texts that begin
/// with the table, and guests get ids derived from the table and their own id, so that one type never
/// sees the sessions or guests of the other.
///
/// No foreign key deletes the sessions with the user. When a user is deleted, end their sessions with
/// [`invalidate_user_sessions`](crate::SessionManager::invalidate_user_sessions); otherwise the next user
/// with the same id takes them over.
///
/// The last two paragraphs do not apply if the session store refers to the [table of these
/// users](SessionStore::users_table), as a `SqlStore` does. Such a store gets the ids unchanged, and its
/// foreign key ends the sessions of deleted users. Use this for users that another crate reads; the guide
/// has a page on it.
pub struct WithLoader<S, L, T> {
    sessions: S,
    loader: L,
    user: PhantomData<fn() -> T>,
}

impl<S: SessionStore, L: UserLoader<T>, T: AuthUser> WithLoader<S, L, T> {
    /// Combines a session store with a loader of its users.
    pub fn new(sessions: S, loader: L) -> Self {
        Self { sessions, loader, user: PhantomData }
    }

    /// Returns the session store.
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

    /// Loads the user of a session.
    async fn user(&self, session: &SessionRecord) -> Result<Option<T>, StoreError> {
        // No user has an id of another kind: the app has changed the type of its ids.
        let Ok(user) = session.user_id.clone().try_into() else {
            return Ok(None);
        };
        self.loader.load(user).await
    }
}

impl<S: SessionStore, L, T: AuthUser> WithLoader<S, L, T> {
    /// Whether the session store refers to the table of these users.
    fn is_beside_users(&self) -> bool {
        self.sessions.users_table() == Some(T::TABLE)
    }

    /// Returns the id of a user as it is passed to the session store.
    fn stored(&self, user: &UserId) -> UserId {
        if self.is_beside_users() {
            return user.clone();
        }
        UserId::Text(format!("{}/{}", T::TABLE, user.to_text()))
    }

    /// Returns a stored session with the original id of its user; `None` if the user is of another type.
    fn own(&self, session: SessionRecord) -> Option<SessionRecord> {
        if self.is_beside_users() {
            return Some(session);
        }
        let UserId::Text(stored) = &session.user_id else { return None };
        let user_id = UserId::from_text(stored.strip_prefix(T::TABLE)?.strip_prefix('/')?)?;
        Some(SessionRecord { user_id, ..session })
    }
}

/// Returns the id of a guest as it is passed to the session store.
fn guest_id<T: AuthUser>(id: SessionId) -> SessionId {
    let hash = Sha256::new().chain_update(T::TABLE).chain_update([0]).chain_update(id.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    SessionId::from_bytes(std::array::from_fn(|place| hash[place]))
}

/// Returns a guest as it is passed to the session store.
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

    /// Counts the guests of all user types that share the store, because the limit protects the store.
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
