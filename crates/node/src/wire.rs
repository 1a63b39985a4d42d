//! The only place that knows where a role is: in this process, or behind a connection.
//!
//! Both are the same boxed service that a generated gRPC client takes, so a role cannot tell which it has. In this
//! process it is the server object itself: frames are encoded and decoded as between processes, and nothing else is.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::transport::{Endpoint, Server, Uri};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// Where requests to another role go.
pub type Wire = BoxCloneSyncService<Request<Body>, Response<Body>, Broken>;

/// The other role could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("the other role cannot be reached: {0}")]
pub struct Broken(#[from] tonic::transport::Error);

/// A message on a wire at most, in bytes: a batch of frames, each at most a stanza.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a connection attempt to another role may take, in milliseconds.
pub const CONNECT_MS_MAX: u64 = 2_000;

/// A peer that has not answered a ping for this long is gone, in milliseconds.
pub const KEEPALIVE_TIMEOUT_MS: u64 = 2_000;

const WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// A wire to a role in this process: `service` is a generated server.
pub fn local<S>(service: S) -> Wire
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|never: Infallible| match never {}))
}

/// A wire to another process, `http://host:port`; it connects when first used, and again after it broke.
pub fn remote(uri: Uri) -> Wire {
    let channel = Endpoint::from(uri)
        .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_millis(KEEPALIVE_TIMEOUT_MS))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_lazy();
    BoxCloneSyncService::new(channel.map_err(Broken::from))
}

/// Serves one generated server on a listening socket until `stop` completes.
///
/// # Errors
/// When the transport fails.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + tonic::server::NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(Duration::from_secs(1)))
        .http2_keepalive_timeout(Some(Duration::from_millis(KEEPALIVE_TIMEOUT_MS)))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .add_service(service)
        .serve_with_incoming_shutdown(tokio_stream::wrappers::TcpListenerStream::new(listener), stop)
        .await
}
