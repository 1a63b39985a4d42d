//! The three ways to Redis, and a connection of any of them.

use std::time::Duration;

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisFuture,
    RedisResult, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::{Options, Servers};
use crate::{Error, Result};

/// Commands that may wait for a connection's writer.
const WRITER_COMMANDS_MAX: usize = 1024;
/// How often a command is sent to a cluster whose slots have moved, or that has lost a node.
const CLUSTER_RETRIES: u32 = 3;
/// Before it is sent again, in milliseconds: at first, and at most.
const CLUSTER_RETRY_MS: (u64, u64) = (20, 100);

/// How a connection is made.
pub(super) enum Way {
    Single(Box<Client>),
    Sentinel(Box<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

/// A connection, shared by everybody.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl Way {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let unusable = |error: RedisError| Error::Refused(format!("redis cannot be used: {error}"));
        match &options.servers {
            Servers::Single(url) => single(options, url).map(Box::new).map(Self::Single),
            Servers::Sentinel { sentinels, master } => {
                sentinel(options, sentinels, master).map(Box::new).map(Self::Sentinel)
            }
            Servers::Cluster(nodes) => cluster(options, nodes).map(Box::new).map(Self::Cluster),
        }
        .map_err(unusable)
    }

    /// Connects; to a cluster, to as many of its nodes as there are.
    pub(super) async fn connect(&mut self, timeout: Duration) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_pipeline_buffer_size(WRITER_COMMANDS_MAX);
        match self {
            Self::Single(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::One)
            }
            Self::Sentinel(client) => {
                client.get_async_connection_with_config(&config).await.map(Connection::One)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Many),
        }
    }

    /// How many requests in a row may fail before the connection is taken to be broken. That of a cluster mends itself,
    /// and one of its nodes may be away while the others answer.
    pub(super) fn failures_max(&self) -> u32 {
        match self {
            Self::Single(_) | Self::Sentinel(_) => 1,
            Self::Cluster(_) => 16,
        }
    }

    /// How many timeouts one connection may take to make: each Sentinel may be away.
    pub(super) fn timeouts(&self) -> u32 {
        match self {
            Self::Single(_) => 1,
            Self::Sentinel(_) | Self::Cluster(_) => 3,
        }
    }
}

fn certificates(options: &Options) -> Option<TlsCertificates> {
    let authority = options.authority.clone()?;
    Some(TlsCertificates { client_tls: None, root_cert: Some(authority) })
}

fn single(options: &Options, url: &str) -> RedisResult<Client> {
    let mut info = url.into_connection_info()?;
    if let Some((user, password)) = &options.credentials {
        let settings = credentials(info.redis_settings().clone(), user, password);
        info = info.set_redis_settings(settings);
    }
    match certificates(options) {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn credentials(settings: RedisConnectionInfo, user: &str, password: &str) -> RedisConnectionInfo {
    let settings = if user.is_empty() { settings } else { settings.set_username(user) };
    settings.set_password(password)
}

/// Sentinels and servers are reached alike: all with TLS, or none.
fn sentinel(options: &Options, sentinels: &[String], master: &str) -> RedisResult<SentinelClient> {
    let infos = sentinels.iter().map(|url| url.as_str().into_connection_info());
    let infos = infos.collect::<RedisResult<Vec<_>>>()?;
    let addresses: Vec<_> = infos.iter().map(|info| info.addr().clone()).collect();
    let tls = sentinels.iter().any(|url| url.starts_with("rediss:"));
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?;
    if let Some(settings) = infos.first().map(::redis::ConnectionInfo::redis_settings) {
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_sentinel_password(password);
        }
    }
    if let Some((user, password)) = &options.credentials {
        if !user.is_empty() {
            builder = builder.set_client_to_redis_username(user);
        }
        builder = builder.set_client_to_redis_password(password);
    }
    if tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates(options) {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn cluster(options: &Options, nodes: &[String]) -> RedisResult<ClusterClient> {
    let mut builder = ClusterClient::builder(nodes.iter().map(String::as_str))
        .connection_timeout(options.timeout)
        .response_timeout(options.timeout)
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(CLUSTER_RETRY_MS.0)
        .max_retry_wait(CLUSTER_RETRY_MS.1);
    if let Some((user, password)) = &options.credentials {
        if !user.is_empty() {
            builder = builder.username(user);
        }
        builder = builder.password(password);
    }
    if let Some(certificates) = certificates(options) {
        builder = builder.certs(certificates);
    }
    builder.build()
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Many(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a ::redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Many(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}
