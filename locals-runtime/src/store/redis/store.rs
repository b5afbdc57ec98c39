//! The store: its connection, its settings, and the names of its keys.

use super::{
    connection::{Connection, TIMEOUT},
    record,
};
use crate::model::{error::StoreError, session_id::SessionId, user_id::UserId};
use std::{fmt, sync::Arc, time::Duration};

/// Sessions in Redis 6.0 or later, Valkey, or a cluster of them.
///
/// It holds no users: [`WithLoader`](crate::store::WithLoader) joins it with them.
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
/// | `locals:u:<user>` | the index of a user's sessions: a sorted set. For users of [`WithLoader`](crate::store::WithLoader) such as `t:accounts/i:7`: the table, the kind of id and the id |
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
    pub(super) prefix: Arc<str>,
    pub(super) connection: Arc<Connection>,
    pub(super) confirmation: Option<Confirmation>,
}

/// What a deletion waits for.
#[derive(Clone)]
pub(super) struct Confirmation {
    /// `WAIT` blocks its connection, so it has one of its own.
    pub connection: Arc<Connection>,
    pub replicas: u32,
    pub timeout: Duration,
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

    pub(super) fn new(connection: Connection) -> Self {
        Self { prefix: Arc::from("locals:"), connection: Arc::new(connection), confirmation: None }
    }

    /// What the names of all keys begin with. `locals:` by default.
    ///
    /// Apps that share a server need different ones. Several types of user of one app may share one,
    /// if their tables have different names: see [`WithLoader`](crate::store::WithLoader).
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
        let connection = self.connection.another(timeout + TIMEOUT).await?;
        let connection = Arc::new(connection);
        Ok(Self { confirmation: Some(Confirmation { connection, replicas, timeout }), ..self })
    }

    pub(super) fn session_key(&self, id: SessionId) -> String {
        record::session_key(&self.prefix, id)
    }

    pub(super) fn index_key(&self, user: &UserId) -> String {
        record::index_key(&self.prefix, user)
    }

    pub(super) fn guest_key(&self, id: SessionId) -> String {
        record::guest_key(&self.prefix, id)
    }

    pub(super) fn guests_key(&self) -> String {
        record::guests_key(&self.prefix)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
