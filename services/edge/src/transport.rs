//! How bytes travel: TCP, TLS over it, or WebSocket. One set of polls for all, none of which holds a buffer while it
//! waits.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use axum::extract::ws::{Message, WebSocket};
use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{Accept, server::TlsStream};
use xmpp::stream::Output;

/// A client's transport.
pub(crate) enum Transport {
    Tcp(TcpStream),
    /// A TLS handshake; its state is large and short-lived.
    Handshake(Pin<Box<Accept<TcpStream>>>),
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocket>),
    Gone,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Bytes were appended; of a WebSocket, one message.
    Some,
    /// A message without content for the stream: a ping, a pong.
    Control,
    /// The client sends nothing more.
    End,
}

/// What waits for the transport to take it.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) out: Output,
    /// Bytes of `out` that were taken, and messages.
    taken: usize,
    messages: usize,
    /// TLS or WebSocket took it and has not written it.
    unflushed: bool,
}

impl Queue {
    pub(crate) fn new(framed: bool) -> Self {
        let out = if framed { Output::frames() } else { Output::stream() };
        Self { out, taken: 0, messages: 0, unflushed: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.out.bytes.len() - self.taken
    }

    /// Whether the transport took all, though it may not have written it.
    fn is_taken(&self) -> bool {
        self.taken == self.out.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_taken() && !self.unflushed
    }

    /// Drops everything, and its space.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.out.is_framed());
    }
}

impl Transport {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<Read>> {
        let read = match self {
            Self::Tcp(tcp) => ready!(pin!(tcp.read_buf(buffer)).poll(cx)),
            Self::Tls(tls) => ready!(pin!(tls.read_buf(buffer)).poll(cx)),
            Self::WebSocket(socket) => return poll_message(socket, cx, buffer),
            Self::Handshake(_) => return Poll::Pending,
            Self::Gone => Ok(0),
        };
        Poll::Ready(match read {
            Ok(0) => Ok(Read::End),
            Ok(_) => Ok(Read::Some),
            // A client that closes without TLS's goodbye is gone all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Read::End),
            Err(error) => Err(error),
        })
    }

    /// Writes all that waits. Ready: the queue is empty and its space given back.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, queue: &mut Queue) -> Poll<io::Result<()>> {
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match self {
            Self::Tcp(tcp) => {
                while !queue.is_taken() {
                    let wrote = Pin::new(&mut *tcp).poll_write(cx, &queue.out.bytes[queue.taken..]);
                    queue.taken += nonzero(ready!(wrote))?;
                }
            }
            Self::Tls(tls) => {
                while !queue.is_taken() {
                    let wrote = Pin::new(&mut **tls).poll_write(cx, &queue.out.bytes[queue.taken..]);
                    queue.taken += nonzero(ready!(wrote))?;
                    queue.unflushed = true;
                }
                ready!(Pin::new(&mut **tls).poll_flush(cx))?;
            }
            Self::WebSocket(socket) => ready!(poll_send(socket, cx, queue))?,
            Self::Handshake(_) => return Poll::Pending,
            Self::Gone => {}
        }
        queue.clear();
        Poll::Ready(Ok(()))
    }

    /// Asks a client on a WebSocket whether it is there: messages have no whitespace between them.
    pub(crate) fn ping(&mut self, cx: &mut Context<'_>, queue: &mut Queue) {
        if let Self::WebSocket(socket) = self
            && let Poll::Ready(Ok(())) = Pin::new(&mut **socket).poll_ready(cx)
            && Pin::new(&mut **socket).start_send(Message::Ping(Bytes::new())).is_ok()
        {
            queue.unflushed = true;
        }
    }

    /// Says that nothing more is written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Self::WebSocket(socket) => Pin::new(&mut **socket).poll_close(cx).map_err(io::Error::other),
            Self::Handshake(_) | Self::Gone => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn is_handshake(&self) -> bool {
        matches!(self, Self::Handshake(_))
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

fn nonzero(wrote: io::Result<usize>) -> io::Result<usize> {
    match wrote {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        wrote => wrote,
    }
}

fn poll_message(
    socket: &mut WebSocket,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<Read>> {
    Poll::Ready(match ready!(Pin::new(socket).poll_next(cx)) {
        Some(Ok(Message::Text(text))) => {
            buffer.extend_from_slice(text.as_bytes());
            Ok(Read::Some)
        }
        // RFC 7395 §3.2: only text.
        Some(Ok(Message::Binary(_))) => Err(io::Error::other("binary message")),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Read::Control),
        Some(Ok(Message::Close(_))) | None => Ok(Read::End),
        Some(Err(error)) => Err(io::Error::other(error)),
    })
}

fn poll_send(socket: &mut WebSocket, cx: &mut Context<'_>, queue: &mut Queue) -> Poll<io::Result<()>> {
    let mut socket = Pin::new(socket);
    while let Some(&end) = queue.out.ends.get(queue.messages) {
        ready!(socket.as_mut().poll_ready(cx)).map_err(io::Error::other)?;
        let text = String::from_utf8_lossy(&queue.out.bytes[queue.taken..end]).into_owned();
        socket.as_mut().start_send(Message::Text(text.into())).map_err(io::Error::other)?;
        queue.taken = end;
        queue.messages += 1;
        queue.unflushed = true;
    }
    socket.poll_flush(cx).map_err(io::Error::other)
}
