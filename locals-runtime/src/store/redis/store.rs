//! `RedisStore`: its connection, its settings, and the names of its keys.

use super::{
    connection::{Connection, TIMEOUT},
    record,
};
use crate::model::{error::StoreError, session_id::SessionId, user_id::UserId};
use std::{fmt, sync::Arc, time::Duration};

/// A store in Redis 6.0 or later, Valkey, or a cluster of them.
///
/// It holds no users; combine it with [`WithLoader`](crate::store::WithLoader).
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
/// One connection, or one per node of a cluster, serves all requests. It reconnects automatically. A
/// command without a reply fails after two seconds, so during an outage requests get 503 after two
/// seconds. For `rediss://`, enable a TLS feature of the crate `redis` in your app, such as
/// `tokio-rustls-comp`.
///
/// # Keys
///
/// | key | value |
/// |---|---|
/// | `locals:s:<session id>` | a session: a string with the fields that change, the other fields as JSON, and the data |
/// | `locals:g:<session id>` | a guest: a string with the data |
/// | `locals:guests` | the index of all guests, used to count them: a sorted set |
/// | `locals:u:<user>` | the index of a user's sessions: a sorted set. For users of [`WithLoader`](crate::store::WithLoader), `<user>` is the table, the kind of id and the id, such as `t:accounts/i:7` |
///
/// A session and its index take about 700 bytes of memory, plus the data. All keys have an expiry
/// time; those of sessions and guests expire an hour after the session or guest has ended. So no sweeper
/// is needed.
/// [`delete_expired_sessions`](crate::SessionManager::delete_expired_sessions) works, by a scan of all
/// keys.
///
/// # Atomicity
///
/// Creating, changing or ending one session is atomic. The sessions of a user are ended one by one: if
/// that fails halfway, some have ended; try again.
///
/// The sessions that a login ends are other keys, on other nodes of a cluster. They are deleted one by
/// one after the new session has been created. If one deletion fails, the new session is deleted again,
/// the guest is restored, and the login fails; the sessions deleted before have ended. If the login is
/// interrupted in between, or the new session cannot be deleted because the server is unreachable, both
/// sessions remain: the old one, and until it expires the new one, whose token no client has.
///
/// Data that a login takes over are taken over by one login only. First the guest is overwritten, then
/// the session that had data is ended, each only if its data have not changed since they were read. If
/// the session has changed in the meantime, the guest is restored. A request that writes to the guest in
/// between creates another guest. A login that is interrupted in between leaves the guest's data in a
/// session whose token no client has.
///
/// # Eviction
///
/// Redis must not evict these keys: `maxmemory-policy` must be `noeviction`, its default. If a session
/// is evicted, its user is logged out. If an index is evicted, the user's sessions are missing from lists
/// and are not ended by "log out everywhere".
///
/// # Durability
///
/// Redis acknowledges a write when it is in memory, before it is on disk or on a replica. Unlike with an
/// SQL database, a logout can therefore be undone:
///
/// - **A restart** restores what was on disk. With `appendonly yes` and `appendfsync everysec`, the
///   logins and logouts of the last second or two are lost; with `appendfsync always`, none; with
///   snapshots only, all since the last snapshot; without persistence, all sessions.
/// - **A failover** restores what had reached the replica: usually everything but the last milliseconds;
///   if the replica was disconnected, nothing since then. A lost login logs the user out. A lost logout
///   leaves the session as it was, until it expires or is ended again: the token is removed from the
///   browser, but a stolen one works.
/// - **A primary that is partitioned** from its replicas and the rest of a cluster keeps serving the
///   apps on its side: for `cluster-node-timeout` in a cluster, and forever without
///   `min-replicas-to-write`. They do not see the logouts of the other side, and everything written there
///   is lost when the partition ends.
/// - **In a cluster**, a session and its index are on different nodes. After a failover of the node with
///   the index, a session that was created immediately before can be missing from it, so that "log out
///   everywhere" does not end it. Its next renewal adds it again.
/// - **If the clock of a server is set forward**, the server expires keys too early.
///
/// [`wait`](Self::wait) reduces this risk for logouts. The price is that they take longer, and fail while
/// the replicas are down.
#[derive(Clone)]
pub struct RedisStore {
    pub(super) prefix: Arc<str>,
    pub(super) connection: Arc<Connection>,
    pub(super) confirmation: Option<Confirmation>,
}

/// What a deletion waits for before it returns.
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
    /// The protocol is RESP3; for a proxy that does not support it, add `?protocol=resp2`. Connect once
    /// when the app starts, and clone the store for the workers: clones share the connection.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the URL is invalid, or the server refuses the connection or does not
    /// reply in time.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Self::new(Connection::to_server(url).await?))
    }

    /// Connects to a cluster by the URLs of some of its nodes. The others are discovered.
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
    /// [`StoreError::Backend`] if a URL is invalid, or none of these nodes is part of a working cluster.
    pub async fn cluster<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, StoreError> {
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        Ok(Self::new(Connection::to_cluster(&urls).await?))
    }

    pub(super) fn new(connection: Connection) -> Self {
        Self { prefix: Arc::from("locals:"), connection: Arc::new(connection), confirmation: None }
    }

    /// Sets the prefix of all keys. `locals:` by default.
    ///
    /// Apps that share a server need different prefixes. Several user types of one app may share a
    /// prefix if their tables have different names: see [`WithLoader`](crate::store::WithLoader).
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

    /// Makes the end of a session wait until this many replicas have confirmed it.
    ///
    /// If fewer replicas confirm a logout within `timeout` (at least a millisecond), it fails, with 503
    /// to the client. The session has still ended on the primary. Ending it again, by its id or with all
    /// sessions of its user, asks the replicas again.
    ///
    /// A confirmed logout survives a failover to any of the replicas that confirmed it. So set `replicas`
    /// to the number of all replicas that may take over (in a cluster: of each primary), and run no
    /// fewer. It does not protect against a partitioned primary, and a replica has confirmed the write
    /// in memory, not yet on disk. See `WAIT` in the Redis manual.
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
    /// [`StoreError::Backend`] if the second connection that this needs cannot be made.
    pub async fn wait(self, replicas: u32, timeout: Duration) -> Result<Self, StoreError> {
        // Redis takes a timeout of zero as no timeout.
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
