//! Elements over a byte stream, in both directions. Whatever the transport, what arrives is cut into elements here,
//! and what is pushed leaves with the next drain.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use memchr::memmem;
use xmpp::xml::write_attribute;

use crate::error::{Error, Stage};
use crate::framer::{Framed, Framer, markup};
use crate::http::invalid;
use crate::io::Io;
use crate::websocket::WebSocket;

/// An element, and what waits to be written, may have this many bytes.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What an idle connection keeps of the buffer it writes from, in bytes.
const KEPT_BYTES_MAX: usize = 1024;

/// One connection's two directions.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    /// RFC 7395, if elements travel in messages of their own.
    socket: Option<Box<WebSocket>>,
    framer: Framer,
    inbox: BytesMut,
    outbox: Vec<u8>,
    /// How much of the outbox has been written.
    written: usize,
    /// Something is written that the layers below may still hold.
    unflushed: bool,
}

impl Wire {
    /// Elements in one long document (RFC 6120 §4.2).
    pub(crate) fn stream(io: Io) -> Wire {
        Wire {
            io,
            socket: None,
            framer: Framer::default(),
            inbox: BytesMut::new(),
            outbox: Vec::new(),
            written: 0,
            unflushed: false,
        }
    }

    /// Elements in messages (RFC 7395 §3.3).
    pub(crate) fn messages(io: Io, socket: WebSocket) -> Wire {
        Wire { socket: Some(Box::new(socket)), ..Wire::stream(io) }
    }

    /// The connection alone, to be secured or dropped.
    pub(crate) fn into_io(self) -> Io {
        self.io
    }

    /// Opens a stream to a domain, the first one or a new one after the login.
    pub(crate) fn open(&mut self, domain: &str) {
        let mut to = Vec::new();
        write_attribute(&mut to, "to", domain);
        match &mut self.socket {
            Some(socket) => {
                let open =
                    [b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'", &to[..], b"/>"]
                        .concat();
                socket.message(&open, &mut self.outbox);
            }
            None => {
                self.outbox.extend_from_slice(
                    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' version='1.0'",
                );
                self.outbox.extend_from_slice(&to);
                self.outbox.push(b'>');
            }
        }
    }

    /// Closes the stream.
    pub(crate) fn close(&mut self) {
        match &mut self.socket {
            Some(socket) => {
                socket.message(b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", &mut self.outbox);
            }
            None => self.outbox.extend_from_slice(b"</stream:stream>"),
        }
    }

    /// Has an element written with the next drain.
    pub(crate) fn push(&mut self, element: &[u8]) {
        match &mut self.socket {
            Some(socket) => match content_ns(element) {
                Some(name_end) => {
                    let (name, rest) = element.split_at(name_end);
                    socket.message(&[name, b" xmlns='jabber:client'", rest].concat(), &mut self.outbox);
                }
                None => socket.message(element, &mut self.outbox),
            },
            None => self.outbox.extend_from_slice(element),
        }
    }

    /// Whether there is room for more.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.len() - self.written < BUFFER_BYTES_MAX
    }

    /// The next thing the server sends; writes what waits meanwhile. `None` is the end of the connection.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Framed>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Writes everything pushed; reads meanwhile, for a server may stop to read until it is read from.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            while self.poll_drain(cx)?.is_pending() {
                if self.inbox.len() >= BUFFER_BYTES_MAX || ready!(self.poll_fill(cx))? == 0 {
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Framed>>> {
        // Whatever becomes of it is seen at the next flush, or by reading.
        let _ = self.poll_drain(cx);
        loop {
            if !self.inbox.is_empty()
                && let Some(framed) = self.framer.next(&mut self.inbox)
            {
                return Poll::Ready(Ok(Some(self.understood(framed))));
            }
            if self.inbox.is_empty() {
                // Lets go of what was read into.
                self.inbox = BytesMut::new();
            } else if self.inbox.len() > BUFFER_BYTES_MAX {
                return Poll::Ready(Err(invalid("an element without an end")));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// In messages, elements open and close a stream (RFC 7395 §3.4, §3.6).
    fn understood(&self, framed: Framed) -> Framed {
        match framed {
            Framed::Element(element) if self.socket.is_some() => match element.name() {
                b"open" => Framed::Header,
                b"close" => Framed::End,
                _ => Framed::Element(element),
            },
            other => other,
        }
    }

    /// Appends to the inbox; 0 bytes are the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else { return self.io.poll_read(cx, &mut self.inbox) };
        if socket.is_closed() {
            return Poll::Ready(Ok(0));
        }
        let count = ready!(self.io.poll_read(cx, socket.raw()))?;
        socket.decode(&mut self.inbox, &mut self.outbox)?;
        Poll::Ready(Ok(count))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outbox.len() {
            let count = ready!(self.io.poll_write(cx, &self.outbox[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(self.io.poll_flush(cx))?;
            self.unflushed = false;
        }
        self.written = 0;
        self.outbox.clear();
        if self.outbox.capacity() > KEPT_BYTES_MAX {
            self.outbox = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// Where an element that stands alone has to be told its namespace (RFC 7395 §3.3.3); `None` if it says it itself.
fn content_ns(element: &[u8]) -> Option<usize> {
    let head = &element[..markup(element, 0)?.end];
    let name_end = head.iter().position(|byte| matches!(byte, b' ' | b'/' | b'>'))?;
    memmem::find(head, b" xmlns=").is_none().then_some(name_end)
}

/// Whatever ends a connection, as an error of the stage it ended in.
pub(crate) fn ended<T>(stage: Stage, result: io::Result<Option<T>>) -> Result<T, Error> {
    match result {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Error::closed(stage)),
        Err(error) => Err(Error::io(stage, &error)),
    }
}
