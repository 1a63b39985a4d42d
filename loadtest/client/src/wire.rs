//! Elements over a byte stream, in both directions. Whatever the transport, what arrives is cut into elements here,
//! and what is pushed leaves with the next drain.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use memchr::memmem;
use xmpp::xml::write_attribute;

use crate::bosh::Bosh;
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
    carrier: Carrier,
    framer: Framer,
    inbox: BytesMut,
    outbox: Vec<u8>,
    /// How much of the outbox has been written.
    written: usize,
    /// Something is written that the layers below may still hold.
    unflushed: bool,
}

/// What elements travel in.
#[derive(Debug)]
enum Carrier {
    /// One long document (RFC 6120 §4.2).
    Stream(Io),
    /// Messages (RFC 7395 §3.3).
    Messages(Io, Box<WebSocket>),
    /// Requests and their answers (XEP-0124).
    Requests(Box<Bosh>),
}

impl Wire {
    /// Elements in one long document (RFC 6120 §4.2).
    pub(crate) fn stream(io: Io) -> Wire {
        Wire::new(Carrier::Stream(io))
    }

    /// Elements in messages (RFC 7395 §3.3).
    pub(crate) fn messages(io: Io, socket: WebSocket) -> Wire {
        Wire::new(Carrier::Messages(io, Box::new(socket)))
    }

    /// Elements in requests (XEP-0206).
    pub(crate) fn requests(bosh: Bosh) -> Wire {
        Wire::new(Carrier::Requests(Box::new(bosh)))
    }

    fn new(carrier: Carrier) -> Wire {
        Wire {
            carrier,
            framer: Framer::default(),
            inbox: BytesMut::new(),
            outbox: Vec::new(),
            written: 0,
            unflushed: false,
        }
    }

    /// The connection alone, to be secured; `None` if it is not a stream's.
    pub(crate) fn into_io(self) -> Option<Io> {
        if let Carrier::Stream(io) = self.carrier { Some(io) } else { None }
    }

    /// What a login can be bound to (RFC 9266); `None` without TLS.
    pub(crate) fn exported(&self) -> Option<Vec<u8>> {
        match &self.carrier {
            Carrier::Stream(io) | Carrier::Messages(io, _) => io.exported(),
            Carrier::Requests(_) => None,
        }
    }

    /// Drops it as a lost network would.
    pub(crate) fn abandon(self) {
        match self.carrier {
            Carrier::Stream(io) | Carrier::Messages(io, _) => io.abandon(),
            Carrier::Requests(bosh) => bosh.abandon(),
        }
    }

    /// Opens a stream to a domain, the first one or a new one after the login.
    pub(crate) fn open(&mut self, domain: &str) {
        let mut to = Vec::new();
        write_attribute(&mut to, "to", domain);
        match &mut self.carrier {
            Carrier::Messages(_, socket) => {
                let open =
                    [b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'", &to[..], b"/>"]
                        .concat();
                socket.message(&open, &mut self.outbox);
            }
            Carrier::Requests(bosh) => bosh.open(),
            Carrier::Stream(_) => {
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
        match &mut self.carrier {
            Carrier::Messages(_, socket) => {
                socket.message(b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", &mut self.outbox);
            }
            Carrier::Requests(bosh) => bosh.close(),
            Carrier::Stream(_) => self.outbox.extend_from_slice(b"</stream:stream>"),
        }
    }

    /// Has an element written with the next drain.
    pub(crate) fn push(&mut self, element: &[u8]) {
        match &mut self.carrier {
            Carrier::Stream(_) => self.outbox.extend_from_slice(element),
            Carrier::Messages(_, socket) => socket.message(&alone(element), &mut self.outbox),
            Carrier::Requests(_) => self.outbox.extend_from_slice(&alone(element)),
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
            Framed::Element(element) if matches!(self.carrier, Carrier::Messages(..)) => match element.name()
            {
                b"open" => Framed::Header,
                b"close" if element.other_uri().is_none() => Framed::End,
                _ => Framed::Element(element),
            },
            other => other,
        }
    }

    /// Appends to the inbox; 0 bytes are the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Stream(io) => io.poll_read(cx, &mut self.inbox),
            Carrier::Messages(_, socket) if socket.is_closed() => Poll::Ready(Ok(0)),
            Carrier::Messages(io, socket) => {
                let count = ready!(io.poll_read(cx, socket.raw()))?;
                socket.decode(&mut self.inbox, &mut self.outbox)?;
                Poll::Ready(Ok(count))
            }
            Carrier::Requests(bosh) => bosh.poll_read(cx, &mut self.inbox, &mut self.outbox),
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = match &mut self.carrier {
            Carrier::Stream(io) | Carrier::Messages(io, _) => io,
            Carrier::Requests(bosh) => return bosh.poll_send(cx, &mut self.outbox),
        };
        while self.written < self.outbox.len() {
            let count = ready!(io.poll_write(cx, &self.outbox[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(io.poll_flush(cx))?;
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

/// An element that stands alone has to be told its namespace (RFC 7395 §3.3.3, XEP-0206 §2), unless it says it itself.
fn alone(element: &[u8]) -> Cow<'_, [u8]> {
    let head = markup(element, 0).map_or(element, |markup| &element[..markup.end]);
    if memmem::find(head, b" xmlns=").is_some() {
        return Cow::Borrowed(element);
    }
    let name_end = head.iter().position(|byte| matches!(byte, b' ' | b'/' | b'>')).unwrap_or(head.len());
    let (name, rest) = element.split_at(name_end);
    Cow::Owned([name, b" xmlns='jabber:client'", rest].concat())
}

/// Whatever ends a connection, as an error of the stage it ended in.
pub(crate) fn ended<T>(stage: Stage, result: io::Result<Option<T>>) -> Result<T, Error> {
    match result {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Error::closed(stage)),
        Err(error) => Err(Error::io(stage, &error)),
    }
}
