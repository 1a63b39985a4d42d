//! Sockets that clients come to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{
    client,
    config::{Listener, Transport as Kind},
    hub::Hub,
    tls,
    transport::Transport,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// Pause after an accept that failed, as without free file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Binds an address. Where the machine has no IPv6, "all addresses" means those of IPv4.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match open(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && !in_use(&error) => {
            open((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        done => done,
    }
}

fn in_use(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections for as long as it is polled and passes them on.
pub(crate) async fn accept(listener: TcpListener, mut pass: impl FnMut(TcpStream, IpAddr)) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                // Stanzas are small and gathered here already; waiting for more only delays them.
                let _ = tcp.set_nodelay(true);
                pass(tcp, peer.ip().to_canonical());
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts clients that speak XMPP from the first byte, or TLS.
pub(crate) async fn streams(hub: Arc<Hub>, listener: TcpListener, transport: Kind) {
    let loopback = is_loopback(&listener);
    accept(listener, |tcp, peer| {
        let Some(place) = hub.place(peer) else { return };
        let listener = Listener { transport, loopback: loopback && peer.is_loopback(), protected: false };
        let transport = match (&hub.tls, transport) {
            (Some(tls), Kind::DirectTls) => {
                let acceptor = TlsAcceptor::from(Arc::clone(&tls.direct));
                Transport::Handshake(Box::pin(acceptor.accept_with(tcp, tls::prepare)))
            }
            _ => Transport::Tcp(tcp),
        };
        tokio::spawn(client::serve(Arc::clone(&hub), transport, listener, place));
    })
    .await;
}

/// Whether only this machine can reach it.
pub(crate) fn is_loopback(listener: &TcpListener) -> bool {
    listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback())
}
