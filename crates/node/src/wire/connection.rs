//! Connections between processes: opened and accepted, with a handshake where wires are secured.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use http::Uri;
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::Connected;

use super::{CONNECT_MS_MAX, Tls};

/// Handshakes under way at a time; who comes after them waits to be accepted.
const HANDSHAKES_MAX: usize = 256;

const LIMIT: Duration = Duration::from_millis(CONNECT_MS_MAX);

/// Pause after an accept that failed, as without free file descriptors, in milliseconds.
const PAUSE_MS: u64 = 50;

/// A connection whose bytes are those of HTTP/2, whatever is below.
pub(super) type Connection = Box<dyn Duplex>;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Opens the connections of one wire.
pub(super) struct Opener {
    tls: Option<Arc<Tls>>,
    /// The last try failed, which is in the log.
    failed: AtomicBool,
}

impl Opener {
    pub(super) fn new(tls: Option<Arc<Tls>>) -> Self {
        Self { tls, failed: AtomicBool::new(false) }
    }

    /// Connects to the host and the port of a URI. Who cannot be reached is said once, not at every try.
    pub(super) async fn open(&self, uri: &Uri) -> io::Result<Connection> {
        let opened = tokio::time::timeout(LIMIT, connect(uri, self.tls.as_deref())).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let failed_before = self.failed.swap(opened.is_err(), Ordering::Relaxed);
        if let Err(error) = &opened
            && !failed_before
        {
            tracing::warn!(address = uri.authority().map(Authority::as_str), %error, "no connection to another role");
        }
        opened
    }
}

async fn connect(uri: &Uri, tls: Option<&Tls>) -> io::Result<Connection> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    prepare(&tcp);
    Ok(match tls {
        Some(tls) => Box::new(tls.connect(tcp).await?),
        None => Box::new(tcp),
    })
}

/// Those who connect to this socket, as their handshakes end.
pub(super) fn accepted(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
) -> impl Stream<Item = io::Result<Connection>> {
    let arriving = stream::unfold(listener, |listener| async { Some((accept(&listener).await, listener)) });
    let shaking = arriving.map(move |(tcp, peer)| admit(tcp, peer, tls.clone()));
    shaking.buffer_unordered(HANDSHAKES_MAX).filter_map(std::future::ready).map(Ok)
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
            }
        }
    }
}

/// `None`: it did not prove who it is.
async fn admit(tcp: TcpStream, peer: SocketAddr, tls: Option<Arc<Tls>>) -> Option<Connection> {
    prepare(&tcp);
    let Some(tls) = tls else { return Some(Box::new(tcp)) };
    let handshake = tokio::time::timeout(LIMIT, tls.accept(tcp)).await;
    match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Some(Box::new(stream)),
        Err(error) => {
            tracing::warn!(%peer, %error, "a connection from another role was refused");
            None
        }
    }
}

/// Frames are gathered here already; waiting for more only delays them.
fn prepare(tcp: &TcpStream) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "a connection would not hurry");
    }
}
