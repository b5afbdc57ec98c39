//! Sessions and guests in Redis, apart from the users.

use std::{fmt, sync::Arc, time::Duration};

use ::redis::Cmd;
use futures_util::future::join_all;

use super::{End, Ends, GuestChange, SessionStore, StoreFuture, readable};
use crate::model::{
    error::StoreError,
    record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
    session_id::SessionId,
    time::{Timestamp, millis},
    user_id::UserId,
};

mod connection;
mod record;
mod scripts;

use connection::{Connection, Node, PATIENCE};
use record::{GRACE, LONGEST};

/// How many commands are under way at once for one operation.
const CROWD: usize = 100;

/// Sessions in Redis 6.0 or later, Valkey, or a cluster of them.
///
/// It holds no users: [`WithLoader`](super::WithLoader) joins it with them.
///
/// ```no_run
/// use locals::{
///     Auth, AuthUser, BoxError,
///     store::{RedisStore, WithLoader},
/// };
///
/// #[derive(AuthUser)]
/// struct Account { id: i64, email: String }
///
/// # async fn account(id: i64) -> Result<Option<Account>, BoxError> { Ok(None) }
/// # async fn start() -> Result<(), BoxError> {
/// let sessions = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// let store = WithLoader::new(sessions, |id: i64| async move { account(id).await });
/// let auth = Auth::<Account>::builder(store).build()?;
/// # Ok(())
/// # }
/// ```
///
/// One connection, or one for each node of a cluster, serves all requests. When it is lost it is
/// made again. A command that has no answer within two seconds fails, so an outage is 503 after
/// two seconds, and over when the server is back. For `rediss://` turn on a feature of the crate
/// `redis` in your app, such as `tokio-rustls-comp`.
///
/// # What is where
///
/// | key | what it is |
/// |---|---|
/// | `locals:s:<session id>` | a session: a string, of what changes, the rest as JSON, and the data |
/// | `locals:g:<session id>` | a guest: a string, with the data |
/// | `locals:guests` | the index of all guests, which counts them: a sorted set |
/// | `locals:u:<user>` | the index of a user's sessions: a sorted set. For users of [`WithLoader`](super::WithLoader) such as `t:accounts/i:7`: the table, the kind of id and the id |
///
/// A session and its index take about 700 bytes of memory, and the data. All keys expire by
/// themselves, those of sessions and guests an hour after these have ended, so nobody needs to
/// sweep:
/// [`delete_expired_sessions`](crate::SessionManager::delete_expired_sessions) works, by a walk
/// over all keys.
///
/// A session is created, changed and ended in one step. All sessions of a user are ended one by
/// one: if that fails half-way, some have ended; try again.
///
/// What a login ends are other keys, on other nodes of a cluster: they are deleted one by one
/// after the new session has been created. If one of them fails, the new session is deleted again
/// and the login fails, but those before it have ended; a guest is put back. A login that is cut off in between, or
/// whose new session cannot be deleted because the server is gone, leaves both: the old session,
/// and a new one whose token nobody has been told, until it ends by its time.
///
/// Data that a login takes over are taken by one login alone: first the guest who had them is
/// overwritten, then the session that had some ends, each only if its data are as they were read. Where
/// the session has changed meanwhile, the guest is put back. A request that writes to the guest in
/// between makes another guest; and a login that is cut off there leaves their data in a session that
/// nobody opens.
///
/// Redis must not evict these keys: `maxmemory-policy` must be `noeviction`, its default. An
/// evicted session is a user logged out; an evicted index hides that user's sessions from lists,
/// and from "log out everywhere".
///
/// # What can get lost
///
/// Redis keeps an acknowledged write in memory, and hands it on afterwards. What a database of
/// SQL has committed stays; here a logout can come undone:
///
/// - **A restart** brings back what was on disk. With `appendonly yes` and `appendfsync everysec`
///   the logins and logouts of the last second or two are lost, with `appendfsync always` none,
///   with snapshots alone all since the last one, without any of them all sessions.
/// - **A failover** brings back what had reached the replica: usually all but the last
///   milliseconds, and all since it was cut off if it was. A login that is lost logs a user
///   out. A logout that is lost leaves the session as it was, until it ends by its time or is
///   ended again: the token in the browser is removed, but a stolen one works.
/// - **A primary that is cut off** from its replicas and the rest of a cluster goes on to answer
///   the apps on its side, for `cluster-node-timeout` in a cluster, and forever without
///   `min-replicas-to-write`. They do not see the logouts of the other side; and all that is
///   written there is lost when it comes back.
/// - **In a cluster** a session and its index are on different nodes. After a failover of the
///   node of the index, a session that was created right before can be missing in it, so that
///   "log out everywhere" does not end it. Its renewal enters it again.
/// - **A clock of a server that is set forward** lets the server expire keys before their time.
///
/// [`wait`](Self::wait) narrows this for logouts, at the price of their answering later, and not
/// at all while the replicas are down.
#[derive(Clone)]
pub struct RedisStore {
    prefix: Arc<str>,
    connection: Arc<Connection>,
    confirmation: Option<Confirmation>,
}

/// What a deletion waits for.
#[derive(Clone)]
struct Confirmation {
    /// `WAIT` blocks its connection, so it has one of its own.
    connection: Arc<Connection>,
    replicas: u32,
    timeout: Duration,
}

impl RedisStore {
    /// Connects to a server: `redis://[user:password@]host[:port][/database]`.
    ///
    /// RESP3 is spoken; for a proxy that does not know it, add `?protocol=resp2`. Call it where the
    /// app starts, and clone the store for the workers: they share the connection.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the URL is none, or the server refuses the connection or does not
    /// answer in time.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Self::new(Connection::to_server(url).await?))
    }

    /// Connects to a cluster, by the URLs of some of its nodes; it names the others.
    ///
    /// ```no_run
    /// # use locals::{StoreError, store::RedisStore};
    /// # async fn start() -> Result<(), StoreError> {
    /// let sessions = RedisStore::cluster(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Backend`] if a URL is none, or none of these nodes is part of a working
    /// cluster.
    pub async fn cluster<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, StoreError> {
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        Ok(Self::new(Connection::to_cluster(&urls).await?))
    }

    fn new(connection: Connection) -> Self {
        Self { prefix: Arc::from("locals:"), connection: Arc::new(connection), confirmation: None }
    }

    /// What the names of all keys begin with. `locals:` by default.
    ///
    /// Apps that share a server need different ones. Several types of user of one app may share one,
    /// if their tables have different names: see [`WithLoader`](super::WithLoader).
    ///
    /// ```no_run
    /// # use locals::{StoreError, store::RedisStore};
    /// # async fn start() -> Result<(), StoreError> {
    /// let sessions = RedisStore::connect("redis://127.0.0.1:6379").await?.prefix("shop:");
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefix(self, prefix: &str) -> Self {
        Self { prefix: Arc::from(prefix), ..self }
    }

    /// Lets the end of a session wait until so many replicas have confirmed it.
    ///
    /// A logout that fewer have confirmed within `timeout` (at least a millisecond) is an error,
    /// 503 to the client. The session has ended on the primary all the same; to end it again, by
    /// its id or with all of its user, asks the replicas again.
    ///
    /// A confirmed logout survives the failover to any of the replicas that have confirmed it:
    /// name the number of all replicas that may take over (in a cluster: of each primary), and run
    /// no fewer. It does not bind a primary that is cut off, and a replica has it in memory, not
    /// yet on disk. See `WAIT` in the manual of Redis.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use locals::{StoreError, store::RedisStore};
    /// # async fn start() -> Result<(), StoreError> {
    /// let sessions = RedisStore::connect("redis://127.0.0.1:6379")
    ///     .await?
    ///     .wait(1, Duration::from_millis(200))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Backend`] if there is no second connection, which this needs.
    pub async fn wait(self, replicas: u32, timeout: Duration) -> Result<Self, StoreError> {
        // To Redis a timeout of zero is none.
        let timeout = timeout.max(Duration::from_millis(1));
        let connection = self.connection.another(timeout + PATIENCE).await?;
        let connection = Arc::new(connection);
        Ok(Self { confirmation: Some(Confirmation { connection, replicas, timeout }), ..self })
    }

    fn session_key(&self, id: SessionId) -> String {
        record::session_key(&self.prefix, id)
    }

    fn index_key(&self, user: &UserId) -> String {
        record::index_key(&self.prefix, user)
    }

    fn guest_key(&self, id: SessionId) -> String {
        record::guest_key(&self.prefix, id)
    }

    fn guests_key(&self) -> String {
        record::guests_key(&self.prefix)
    }

    async fn value(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let value = self.get(self.session_key(id)).await?;
        value.map(|value| record::read(id, &value)).transpose()
    }

    /// A session without its data.
    async fn head(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let head = script(scripts::GET_WITHOUT_DATA, &self.session_key(id));
        let value: Option<Vec<u8>> = self.connection.read(&head).await?;
        value.map(|value| record::read(id, &value)).transpose()
    }

    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection.read(::redis::cmd("GET").arg(key)).await
    }

    /// The ids in the index of a user: of all their sessions, and of some that are no more.
    async fn index(&self, user: &UserId) -> Result<Vec<SessionId>, StoreError> {
        let mut range = ::redis::cmd("ZRANGE");
        range.arg(self.index_key(user)).arg(0).arg(-1);
        let ids: Vec<String> = self.connection.read(&range).await?;
        let id = |id: String| id.parse().map_err(|_| unreadable_index(user));
        ids.into_iter().map(id).collect()
    }

    /// Puts a session into the index of its user, for as long as it may exist and a bit longer:
    /// in a cluster the two have different clocks.
    async fn enter(&self, user: &UserId, id: SessionId, exists: i64) -> Result<(), StoreError> {
        let mut enter = script(scripts::ADD_TO_INDEX, &self.index_key(user));
        enter.arg(id.to_string()).arg(exists.saturating_add(GRACE).min(LONGEST));
        self.connection.query(&enter).await
    }

    /// Takes ended sessions out of the index of their user.
    ///
    /// They are gone in any case, and a list leaves them out; so it is no error if this fails.
    async fn leave(&self, user: &UserId, ids: &[SessionId]) {
        if ids.is_empty() {
            return;
        }
        let mut remove = ::redis::cmd("ZREM");
        remove.arg(self.index_key(user));
        for id in ids {
            remove.arg(id.to_string());
        }
        if let Err(error) = self.connection.query::<()>(&remove).await {
            tracing::debug!(%error, "the index of a user keeps sessions that have ended");
        }
    }

    /// Puts a guest into the index of all guests. `how` is that of the script.
    async fn enter_guest(&self, guest: &GuestRecord, how: &str) -> Result<(), StoreError> {
        let mut enter = script(scripts::ADD_GUEST_TO_INDEX, &self.guests_key());
        enter
            .arg(guest.id.to_string())
            .arg(guest.expires_at.as_millis())
            .arg(record::guest_time_to_live(guest))
            .arg(how);
        self.connection.query(&enter).await
    }

    /// Takes guests that were deleted out of the index. They are gone in any case: if this fails, they are
    /// counted until their time has passed.
    async fn leave_guests(&self, ids: &[&str]) {
        if ids.is_empty() {
            return;
        }
        let mut remove = ::redis::cmd("ZREM");
        remove.arg(self.guests_key()).arg(ids);
        if let Err(error) = self.connection.query::<()>(&remove).await {
            tracing::debug!(%error, "the index of the guests keeps some that have ended");
        }
    }

    /// Waits until enough replicas know that a session has ended.
    ///
    /// The end is written again on the connection that waits, because `WAIT` speaks of the writes
    /// of its own connection. So it holds as well if another server has become the primary since
    /// the session was deleted.
    async fn confirm(&self, id: SessionId) -> Result<(), StoreError> {
        let Some(confirmation) = &self.confirmation else {
            return Ok(());
        };
        let &Confirmation { replicas, timeout, .. } = confirmation;
        let mut end_and_wait = ::redis::pipe();
        end_and_wait
            .add_command(script(scripts::WRITE_AND_DELETE, &self.session_key(id)))
            .ignore()
            .cmd("WAIT")
            .arg(replicas)
            .arg(millis(timeout));
        let (confirmed,): (u32,) = confirmation.connection.pipeline(&end_and_wait).await?;
        if confirmed < replicas {
            return Err(StoreError::backend(format!(
                "the session has ended, but {confirmed} of {replicas} replicas have confirmed it \
                 within {timeout:?}"
            )));
        }
        Ok(())
    }

    /// Ends a session unless it is another user's: 1, 0 if there is none, -1 if it is another's.
    async fn end_of_user(&self, user: &str, id: SessionId) -> Result<i8, StoreError> {
        let mut end = script(scripts::DELETE_OF_USER, &self.session_key(id));
        self.connection.query(end.arg(user)).await
    }

    /// Stores a value under a key that is free.
    async fn set_new(&self, key: String, value: String, exists: i64) -> Result<(), StoreError> {
        let mut set = ::redis::cmd("SET");
        set.arg(key).arg(value).arg("NX").arg("PX").arg(exists);
        let is_set: bool = self.connection.query(&set).await?;
        if is_set { Ok(()) } else { Err(StoreError::Collision) }
    }

    /// Runs a script that changes a value; says whether it did.
    async fn change(&self, script: &Cmd, what: &str, id: SessionId) -> Result<bool, StoreError> {
        match self.connection.query(script).await? {
            -1_i8 => Err(record::unreadable(what, id)),
            done => Ok(done == 1),
        }
    }

    /// Ends what ends with the creation of a session; `false` if one of those whose data are taken
    /// over has changed. Nothing else has ended then. Then, and after a fault, a guest is put back.
    async fn end_all(&self, ends: Ends<'_>) -> Result<bool, StoreError> {
        let before = match ends.guest {
            Some(change) => {
                let Some(before) = self.overwrite_guest(change).await? else {
                    return Ok(false);
                };
                Some((before, change.record.data_revision))
            }
            None => None,
        };
        let ended = self.end_sessions(ends.sessions).await;
        if let (Some((guest, replaces)), Ok(false) | Err(_)) = (before, &ended) {
            self.put_back(&guest, replaces).await;
        }
        ended
    }

    /// Overwrites a guest if their data have the revision that was read; gives what was there.
    async fn overwrite_guest(
        &self,
        change: GuestChange<'_>,
    ) -> Result<Option<GuestRecord>, StoreError> {
        let before = self.find_guest(change.record.id).await?;
        let Some(before) = before.filter(|guest| guest.data_revision == change.replaces) else {
            return Ok(None);
        };
        // Where the revision is still that one, so is all the rest.
        let is_written = self.write_guest(change.record, Some(change.replaces)).await?;
        Ok(is_written.then_some(before))
    }

    /// Ends these sessions, those first that are named with the revision of their data; `false`, and no
    /// other has ended, if one of them has another.
    async fn end_sessions(&self, sessions: &[End]) -> Result<bool, StoreError> {
        for end in sessions {
            let Some(revision) = end.data_revision else { continue };
            let mut unchanged = script(scripts::DELETE_IF_UNCHANGED, &self.session_key(end.id));
            let ended: Option<Vec<u8>> = self.connection.query(unchanged.arg(revision)).await?;
            let Some(value) = ended else { return Ok(false) };
            self.has_deleted(end.id, &value).await?;
        }
        for end in sessions.iter().filter(|end| end.data_revision.is_none()) {
            self.delete(end.id).await?;
        }
        Ok(true)
    }

    /// Puts a guest back who was overwritten a moment ago, by data of this revision.
    async fn put_back(&self, guest: &GuestRecord, replaces: i64) {
        match self.write_guest(guest, Some(replaces)).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!("a guest has ended during a login that was refused"),
            Err(error) => {
                tracing::warn!(%error, "a login that was refused has lost the data of a guest");
            }
        }
    }

    /// What follows the deletion of a session that had this value.
    async fn has_deleted(&self, id: SessionId, value: &[u8]) -> Result<(), StoreError> {
        self.confirm(id).await?;
        // One that cannot be read is deleted as well.
        if let Ok(session) = record::read(id, value) {
            self.leave(&session.user_id, &[id]).await;
        }
        Ok(())
    }

    /// Ends at most so many sessions or guests of a node that have ended at `now`, by a walk over
    /// its keys; says how many.
    async fn sweep(&self, node: &Node, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let pattern = record::pattern(&self.prefix);
        let (mut left, mut cursor) = (limit, 0);
        while left > 0 {
            let (next, keys) = self.connection.walk(node, cursor, &pattern).await?;
            let mut keys = &keys[..];
            while left > 0 && !keys.is_empty() {
                let at_once = keys.len().min(CROWD).min(left.try_into().unwrap_or(CROWD));
                let (some, others) = keys.split_at(at_once);
                left -= self.end_expired(some, now).await?;
                keys = others;
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        Ok(limit - left)
    }

    /// Ends those of these sessions and guests that have ended at `now`; says how many.
    async fn end_expired(&self, keys: &[String], now: Timestamp) -> Result<u64, StoreError> {
        let ends = keys.iter().map(|key| async move {
            let mut end = script(scripts::DELETE_IF_EXPIRED, key);
            self.connection.query::<u64>(end.arg(now.as_millis())).await
        });
        let ended = join_all(ends).await;
        let guests = keys.iter().zip(&ended).filter(|(_, ended)| matches!(ended, Ok(1)));
        let guests = guests.filter_map(|(key, _)| record::guest_of_key(&self.prefix, key));
        self.leave_guests(&guests.collect::<Vec<_>>()).await;
        ended.into_iter().sum()
    }
}

/// # Why no living session is missing in the index of its user
///
/// A session and its index are two keys, on two nodes of a cluster, so no step changes both.
/// What holds at every moment is that a session that exists is in the index of its user:
///
/// - It enters before it is created, and what it enters with lasts longer than the session does.
///   It is prolonged before the session is.
/// - An entry is removed only by who has just deleted its session (ids are random and never used
///   again, so there will be no other), or when its time has passed.
///
/// Nobody removes the entry of a session that is not there, though that would tidy up: it may be
/// one that has entered and is about to be created.
///
/// So a `delete_by_user` that starts after a `create` has answered finds the session in the index
/// and deletes it. Of one that runs meanwhile, the session may be missed, as if it had been
/// created afterwards; but then it is in the index, for the next. Whatever is cut off half-way
/// leaves at most an entry without a session, which nobody sees and which goes with its time.
impl SessionStore for RedisStore {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let exists = record::time_to_live(session);
            self.enter(&session.user_id, session.id, exists).await?;
            self.set_new(self.session_key(session.id), record::write(session)?, exists).await?;
            let ended = self.end_all(ends).await;
            if !matches!(ended, Ok(true))
                && let Err(error) = self.delete(session.id).await
            {
                tracing::warn!(%error, session = %session.id, "a login that failed leaves a session");
            }
            ended
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(self.value(id))
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let key = self.session_key(id);
            let mut read = ::redis::pipe();
            read.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
            let (value, left): (Option<Vec<u8>>, i64) = self.connection.pipeline(&read).await?;
            let Some(value) = value else {
                return Ok(false);
            };
            let session = record::read(id, &value)?;
            if session.active_expires_at != renewal.replaces
                || session.secret_hash != renewal.secret_hash
            {
                return Ok(false);
            }
            let moved = millis(renewal.idle_expires_at.since(session.idle_expires_at));
            let least = record::time_to_live_of(&renewal);
            let exists = left.max(GRACE).saturating_add(moved).max(least);
            self.enter(&session.user_id, id, exists).await?;
            let mut renew = script(scripts::RENEW, &key);
            renew
                .arg(renewal.replaces.as_millis())
                .arg(renewal.active_expires_at.as_millis())
                .arg(renewal.idle_expires_at.as_millis())
                .arg(renewal.renewed_at.as_millis())
                .arg(least)
                .arg(LONGEST)
                .arg(record::hash_text(&renewal.secret_hash));
            self.change(&renew, "session", id).await
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut script = script(scripts::CHANGE_TOKEN, &self.session_key(id));
            script.arg(record::hash_text(&change.replaces)).arg(record::changed_token(change));
            self.change(&script, "session", id).await
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut script = script(scripts::WRITE_DATA, &self.session_key(id));
            script.arg(change.replaces).arg(change.replaces.wrapping_add(1)).arg(&change.data);
            self.change(&script, "session", id).await
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let end = script(scripts::DELETE, &self.session_key(id));
            let value: Option<Vec<u8>> = self.connection.query(&end).await?;
            match &value {
                Some(value) => self.has_deleted(id, value).await?,
                // It may be of an attempt that was not confirmed.
                None => self.confirm(id).await?,
            }
            Ok(value.is_some())
        })
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let mut ids = self.index(user).await?;
            ids.retain(|id| Some(*id) != keep);
            let (mut deleted, mut absent) = (Vec::new(), Vec::new());
            let user_text = user.to_text();
            for ids in ids.chunks(CROWD) {
                let ends = ids.iter().map(|&id| self.end_of_user(&user_text, id));
                for (&id, ended) in ids.iter().zip(join_all(ends).await) {
                    match ended? {
                        1 => deleted.push(id),
                        0 => absent.push(id),
                        _ => {}
                    }
                }
            }
            // The absent too: they may be of an attempt that was not confirmed.
            for id in deleted.iter().chain(&absent) {
                self.confirm(*id).await?;
            }
            self.leave(user, &deleted).await;
            Ok(deleted.len() as u64)
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            let mut list = Vec::new();
            for ids in self.index(user).await?.chunks(CROWD) {
                let found = join_all(ids.iter().map(|&id| self.value(id))).await;
                list.extend(readable(found.into_iter().filter_map(Result::transpose))?);
            }
            // An entry can be without a session, and even with another user's: of a `create` that
            // was refused.
            list.retain(|session| session.user_id == *user);
            list.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
            Ok(list)
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        Box::pin(async move {
            let mut list = Vec::new();
            for ids in self.index(user).await?.chunks(CROWD) {
                let found = join_all(ids.iter().map(|&id| self.head(id))).await;
                list.extend(readable(found.into_iter().filter_map(Result::transpose))?);
            }
            list.retain(|session| session.user_id == *user);
            Ok(list.iter().map(SessionTimes::from).collect())
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut left = u64::from(limit);
            for node in self.connection.nodes().await? {
                left -= self.sweep(&node, now, left).await?;
            }
            Ok(u64::from(limit) - left)
        })
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        Box::pin(async move {
            let value = self.get(self.guest_key(id)).await?;
            value.map(|value| record::read_guest(id, &value)).transpose()
        })
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let (key, exists) = (self.guest_key(guest.id), record::guest_time_to_live(guest));
            let Some(revision) = replaces else {
                // Before it is there: one that is cut off in between is counted and not missed.
                self.enter_guest(guest, "NX").await?;
                self.set_new(key, record::write_guest(guest), exists).await?;
                return Ok(true);
            };
            let mut script = script(scripts::WRITE_GUEST, &key);
            script
                .arg(revision)
                .arg(guest.data_revision)
                .arg(guest.expires_at.as_millis())
                .arg(&guest.data)
                .arg(exists);
            let is_written = self.change(&script, "guest", guest.id).await?;
            if is_written && let Err(error) = self.enter_guest(guest, "CH").await {
                tracing::debug!(%error, "the index of the guests has an earlier end of one");
            }
            Ok(is_written)
        })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let mut delete = ::redis::cmd("DEL");
            let is_deleted = self.connection.query(delete.arg(self.guest_key(id))).await?;
            self.leave_guests(&[&id.to_string()]).await;
            Ok(is_deleted)
        })
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut count = script(scripts::COUNT_GUESTS, &self.guests_key());
            self.connection.read(count.arg(now.as_millis()).arg(record::LINGER)).await
        })
    }
}

/// A script on one key, to which its arguments are added.
fn script(source: &str, key: &str) -> Cmd {
    let mut script = ::redis::cmd("EVAL");
    script.arg(source).arg(1).arg(key);
    script
}

fn unreadable_index(user: &UserId) -> StoreError {
    StoreError::Corrupt(format!("the index of the user {user} in Redis"))
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
