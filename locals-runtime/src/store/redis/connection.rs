//! The connection to a server or a cluster: one for all requests, with automatic reconnection.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterConfig, NodeAddress},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use crate::model::error::StoreError;

/// The timeout of a command, including reconnection, redirections and a retry.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// How many keys a server examines in one step of a scan.
const SCAN_COUNT: u32 = 1_000;

pub(super) struct Connection {
    link: Link,
    timeout: Duration,
}

enum Link {
    Server { client: Client, connection: RwLock<ConnectionManager> },
    Cluster { client: ClusterClient, connection: ClusterConnection },
}

/// A server whose keys can be scanned.
pub(super) enum Node {
    TheServer,
    OfCluster(NodeAddress),
}

impl Connection {
    pub(super) async fn to_server(url: &str) -> Result<Self, StoreError> {
        let connection = async {
            let client = Client::open(connection_info(url)?)?;
            // The connection manager retries forever, so it would not report what is wrong.
            let once = AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT));
            client.get_multiplexed_async_connection_with_config(&once).await?;
            Self::server(client, TIMEOUT).await
        };
        in_time(2 * TIMEOUT, connection).await?.map_err(StoreError::backend)
    }

    async fn server(client: Client, timeout: Duration) -> RedisResult<Self> {
        let mut connection = reconnecting(&client, timeout)?;
        // The connection is made here, so that it is driven by this thread. A worker thread may be
        // busy with a handler while the other workers need a reply.
        ::redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(Self { link: Link::Server { client, connection: RwLock::new(connection) }, timeout })
    }

    pub(super) async fn to_cluster(urls: &[String]) -> Result<Self, StoreError> {
        let connection = async {
            let nodes: RedisResult<Vec<_>> = urls.iter().map(|url| connection_info(url)).collect();
            let client = ClusterClient::builder(nodes?)
                .tcp_settings(tcp_settings())
                .connection_timeout(TIMEOUT / 2)
                // The total time is limited by `bounded`, and each reply of a node below.
                .overall_response_timeout(None)
                .retries(10)
                .min_retry_wait(10)
                .max_retry_wait(200)
                .build()?;
            Self::cluster(client, TIMEOUT).await
        };
        in_time(2 * TIMEOUT, connection).await?.map_err(StoreError::backend)
    }

    async fn cluster(client: ClusterClient, timeout: Duration) -> RedisResult<Self> {
        let config = ClusterConfig::new().set_response_timeout(timeout);
        let connection = client.get_async_connection_with_config(config).await?;
        Ok(Self { link: Link::Cluster { client, connection }, timeout })
    }

    /// Makes another connection to the same server or cluster, with another timeout.
    pub(super) async fn another(&self, timeout: Duration) -> Result<Self, StoreError> {
        self.bounded(async {
            match &self.link {
                Link::Server { client, .. } => Self::server(client.clone(), timeout).await,
                Link::Cluster { client, .. } => Self::cluster(client.clone(), timeout).await,
            }
        })
        .await
    }

    /// Runs a command. Even if it returns an error, the command may have been executed.
    pub(super) async fn query<V: FromRedisValue>(&self, command: &Cmd) -> Result<V, StoreError> {
        self.bounded(self.send(command)).await
    }

    /// Runs a command that only reads. It is retried once if the connection is lost.
    pub(super) async fn read<V: FromRedisValue>(&self, command: &Cmd) -> Result<V, StoreError> {
        self.bounded(async {
            match self.send(command).await {
                Err(error) if error.is_connection_dropped() => self.send(command).await,
                result => result,
            }
        })
        .await
    }

    async fn send<V: FromRedisValue>(&self, command: &Cmd) -> RedisResult<V> {
        match &self.link {
            Link::Server { connection, .. } => command.query_async(&mut current(connection)).await,
            Link::Cluster { connection, .. } => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Runs commands on one key as a pipeline on one connection.
    pub(super) async fn pipeline<V: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<V, StoreError> {
        self.bounded(async {
            match &self.link {
                Link::Server { connection, .. } => {
                    commands.query_async(&mut current(connection)).await
                }
                Link::Cluster { connection, .. } => {
                    commands.query_async(&mut connection.clone()).await
                }
            }
        })
        .await
    }

    /// Returns the servers that have keys: the server, or all primaries of a cluster.
    pub(super) async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let Link::Cluster { connection, .. } = &self.link else {
            return Ok(vec![Node::TheServer]);
        };
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let replies =
            self.bounded(connection.clone().route_command(::redis::cmd("PING"), primaries)).await?;
        let Value::Map(replies) = replies else {
            return Err(StoreError::backend("the cluster does not list its primaries"));
        };
        let node = |(address, _)| -> RedisResult<Node> {
            let address: String = ::redis::from_redis_value(address)?;
            Ok(Node::OfCluster(address.parse()?))
        };
        replies.into_iter().map(node).collect::<Result<_, _>>().map_err(StoreError::backend)
    }

    /// Runs one step of a scan of the keys of a node. Returns the next cursor and the keys.
    pub(super) async fn scan(
        &self,
        node: &Node,
        cursor: u64,
        pattern: &str,
    ) -> Result<(u64, Vec<String>), StoreError> {
        let mut step = ::redis::cmd("SCAN");
        step.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
        match (&self.link, node) {
            (Link::Cluster { connection, .. }, Node::OfCluster(address)) => {
                let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress {
                    host: address.host().to_owned(),
                    port: address.port(),
                });
                let found = self.bounded(connection.clone().route_command(step, node)).await?;
                ::redis::from_redis_value(found).map_err(StoreError::backend)
            }
            _ => self.read(&step).await,
        }
    }

    async fn bounded<V>(
        &self,
        work: impl Future<Output = RedisResult<V>>,
    ) -> Result<V, StoreError> {
        in_time(self.timeout, work).await?.map_err(|error| {
            self.reconnect_if_read_only(&error);
            StoreError::backend(error)
        })
    }

    /// Replaces the connection if the server is now read-only. After a failover the connection may still
    /// lead to the old primary, which is now a replica: it accepts reads and refuses writes. A new
    /// connection to the same name or address leads to the new primary. (In a cluster the driver handles
    /// this.)
    fn reconnect_if_read_only(&self, error: &RedisError) {
        if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            && let Link::Server { client, connection } = &self.link
            && let Ok(new) = reconnecting(client, self.timeout)
        {
            *connection.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }
}

async fn in_time<T>(timeout: Duration, work: impl Future<Output = T>) -> Result<T, StoreError> {
    tokio::time::timeout(timeout, work).await.map_err(|_| {
        StoreError::backend(format!(
            "no connection to Redis, or no reply from it, within {timeout:?}"
        ))
    })
}

fn current(connection: &RwLock<ConnectionManager>) -> ConnectionManager {
    connection.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Creates a connection that is made when it is first used, and made again whenever it is lost. It
/// retries without limit; each command waits for it until its own timeout.
fn reconnecting(client: &Client, timeout: Duration) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(usize::MAX)
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(200))
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(timeout));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

fn connection_info(url: &str) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    let mut settings = info.redis_settings().clone();
    // With RESP3 the driver notices a lost connection before it is used again.
    if !url.contains("protocol=") {
        settings = settings.set_protocol(ProtocolVersion::RESP3);
    }
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
}

fn tcp_settings() -> TcpSettings {
    // Keepalive probes keep an idle connection in the tables of routers, and detect a broken one.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    // A connection to a server that vanished is closed soon; by default Linux retries for 15 minutes.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let settings = settings.set_user_timeout(TIMEOUT);
    settings
}
