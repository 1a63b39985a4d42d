//! Elements over a byte stream, in both directions. Whatever the transport, what arrives is cut into elements here,
//! and what is pushed leaves with the next drain.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use crate::error::{Error, Stage};
use crate::framer::{Framed, Framer};
use crate::io::Io;

/// An element, and what waits to be written, may have this many bytes.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What an idle connection keeps of the buffer it writes from, in bytes.
const KEPT_BYTES_MAX: usize = 1024;

/// One connection's two directions.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    framer: Framer,
    inbox: BytesMut,
    outbox: Vec<u8>,
    /// How much of the outbox has been written.
    written: usize,
    /// Something is written that the layers below may still hold.
    unflushed: bool,
}

impl Wire {
    pub(crate) fn new(io: Io) -> Wire {
        Wire {
            io,
            framer: Framer::default(),
            inbox: BytesMut::new(),
            outbox: Vec::new(),
            written: 0,
            unflushed: false,
        }
    }

    /// The connection alone, to be secured.
    pub(crate) fn into_io(self) -> Io {
        self.io
    }

    /// Has an element, or a stream's header or end, written with the next drain.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
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
                if self.inbox.len() >= BUFFER_BYTES_MAX
                    || ready!(self.io.poll_read(cx, &mut self.inbox))? == 0
                {
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Framed>>> {
        // Whatever becomes of it is seen at the next flush, or by reading.
        let _ = self.poll_drain(cx);
        loop {
            if !self.inbox.is_empty()
                && let Some(framed) = self.framer.next(&mut self.inbox)
            {
                return Poll::Ready(Ok(Some(framed)));
            }
            if self.inbox.is_empty() {
                // Lets go of what was read into.
                self.inbox = BytesMut::new();
            } else if self.inbox.len() > BUFFER_BYTES_MAX {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an element without an end",
                )));
            }
            if ready!(self.io.poll_read(cx, &mut self.inbox))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
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

/// Whatever ends a connection, as an error of the stage it ended in.
pub(crate) fn ended<T>(stage: Stage, result: io::Result<Option<T>>) -> Result<T, Error> {
    match result {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Error::closed(stage)),
        Err(error) => Err(Error::io(stage, &error)),
    }
}
