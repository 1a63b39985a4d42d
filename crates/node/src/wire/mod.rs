//! The only place that knows where a role is: in this process, or behind a connection.
//!
//! Both are the same boxed service that a generated gRPC client takes, so a role cannot tell which it has. In this
//! process it is the server object itself: frames are encoded and decoded as between processes, and nothing else is.
//! How connections are made and secured is a [`Transport`].

mod connection;
mod tls;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::uri::InvalidUri;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::transport::{Endpoint, Server, Uri};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

pub use self::tls::{FileError, Files, Part, Tls};

/// Where requests to another role go.
pub type Wire = BoxCloneSyncService<Request<Body>, Response<Body>, Broken>;

/// The other role could not be reached.
#[derive(Debug, thiserror::Error)]
pub struct Broken(#[from] tonic::transport::Error);

/// A message on a wire at most, in bytes: a batch of frames, each at most a stanza.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a connection attempt to another role may take with its handshake, in milliseconds.
pub const CONNECT_MS_MAX: u64 = 2_000;

/// Connections that are quiet for this long are asked whether somebody is there, in milliseconds.
pub const KEEPALIVE_INTERVAL_MS: u64 = 1_000;

/// A peer that has not answered that for this long is gone, in milliseconds.
pub const KEEPALIVE_TIMEOUT_MS: u64 = 2_000;

const WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// How wires to other processes are made and served: in the clear, or secured on both sides.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    tls: Option<Arc<Tls>>,
}

impl Transport {
    /// In the clear, for one machine or a network of one's own.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Both sides show certificates of one authority (RFC 8446).
    pub fn secured(tls: Arc<Tls>) -> Self {
        Self { tls: Some(tls) }
    }

    /// A wire to the process at `host:port`; it connects when first used, and again after it broke.
    ///
    /// # Errors
    /// When this is no address.
    pub fn remote(&self, address: &str) -> Result<Wire, InvalidUri> {
        Ok(self.channel(format!("http://{address}").parse()?))
    }

    fn channel(&self, uri: Uri) -> Wire {
        let opener = Arc::new(connection::Opener::new(self.tls.clone()));
        let connector = tower::service_fn(move |uri: Uri| {
            let opener = Arc::clone(&opener);
            async move { opener.open(&uri).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from(uri)
            .http2_keep_alive_interval(Duration::from_millis(KEEPALIVE_INTERVAL_MS))
            .keep_alive_timeout(Duration::from_millis(KEEPALIVE_TIMEOUT_MS))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .connect_with_connector_lazy(connector);
        BoxCloneSyncService::new(channel.map_err(Broken::from))
    }

    /// Serves one generated server on a listening socket until `stop` completes.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve<S>(
        &self,
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
            .http2_keepalive_interval(Some(Duration::from_millis(KEEPALIVE_INTERVAL_MS)))
            .http2_keepalive_timeout(Some(Duration::from_millis(KEEPALIVE_TIMEOUT_MS)))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .add_service(service)
            .serve_with_incoming_shutdown(connection::accepted(listener, self.tls.clone()), stop)
            .await
    }
}

/// A wire to a role in this process: `service` is a generated server.
pub fn local<S>(service: S) -> Wire
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|never: Infallible| match never {}))
}

/// A wire in the clear to another process, `http://host:port`.
pub fn remote(uri: Uri) -> Wire {
    Transport::plain().channel(uri)
}

/// Serves one generated server in the clear on a listening socket until `stop` completes.
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
    Transport::plain().serve(listener, service, stop).await
}

/// The whole story: what gRPC says of a connection alone is `transport error`.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other role cannot be reached")?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
