//! The byte streams below XMPP, and the one buffer per thread that they are read into: an idle connection holds none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::error::{Error, Stage};
use crate::plan::Plan;

/// What one read takes at most, in bytes: a TLS record.
const READ_BYTES_MAX: usize = 16 * 1024;
/// RFC 9266 §2.
const EXPORTED_BYTES: usize = 32;
/// What rustls holds for a server that reads slowly, in bytes.
const TLS_BUFFER_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES_MAX]);
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Io {
    /// Connects from the plan's source address.
    pub(crate) async fn connect(plan: &Plan) -> Result<Io, Error> {
        let stream = async {
            let socket = if plan.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            if let Some(source) = plan.source {
                // Ports of connections that have just ended may be taken again.
                socket.set_reuseaddr(true)?;
                socket.bind((source, 0).into())?;
            }
            let stream = socket.connect(plan.address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        stream.await.map(Io::Plain).map_err(|error| Error::io(Stage::Connect, &error))
    }

    /// Secures the connection, whose server has to be the plan's domain.
    pub(crate) async fn secure(self, plan: &Plan, kind: Secured) -> Result<Io, Error> {
        let Io::Plain(stream) = self else { return Ok(self) };
        let tls = plan.tls.as_ref().ok_or_else(|| Error::new(Stage::Tls, "not-configured"))?;
        let config = match kind {
            Secured::Starttls => &tls.starttls,
            Secured::Direct => &tls.direct,
            Secured::Https => &tls.https,
        };
        let name =
            ServerName::try_from(plan.domain.as_ref()).map_err(|_| Error::new(Stage::Tls, "bad-name"))?;
        let handshake =
            TlsConnector::from(config.clone()).connect_with(name.to_owned(), stream, |connection| {
                connection.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
            });
        let stream = handshake.await.map_err(|error| Error::io(Stage::Tls, &error))?;
        Ok(Io::Secure(Box::new(stream)))
    }

    /// Appends what has arrived; 0 bytes are the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(match self {
                Io::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                Io::Secure(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut buffer),
            })?;
            into.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Writes the front of `bytes`; how much of it.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Secure(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    /// Sees to it that everything written has left.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(_) => Poll::Ready(Ok(())),
            Io::Secure(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    /// Appends what has arrived; 0 bytes are the end.
    pub(crate) async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, into)).await
    }

    /// Writes all of it.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = &bytes[count..];
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Keying material of the connection (RFC 9266 §2); `None` without TLS.
    pub(crate) fn exported(&self) -> Option<Vec<u8>> {
        let Io::Secure(stream) = self else { return None };
        let connection = stream.get_ref().1;
        let bytes = vec![0; EXPORTED_BYTES];
        connection.export_keying_material(bytes, b"EXPORTER-Channel-Binding", Some(b"")).ok()
    }

    /// Drops the connection as a lost network would: the server is told nothing in XMPP or TLS, and the port is free
    /// at once.
    pub(crate) fn abandon(self) {
        let stream = match &self {
            Io::Plain(stream) => stream,
            Io::Secure(stream) => stream.get_ref().0,
        };
        // Fails only for a socket that is closed already.
        let _ = stream.set_zero_linger();
    }
}

/// What TLS is used for, which ALPN tells (XEP-0368 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secured {
    Starttls,
    Direct,
    Https,
}
