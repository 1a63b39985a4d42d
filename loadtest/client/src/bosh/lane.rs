//! One of a session's HTTP connections, with at most one request under way.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};

use crate::error::Error;
use crate::http::{Head, invalid};
use crate::io::{Io, Secured};
use crate::plan::{Plan, Transport};

/// An answer may have this many bytes.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Lane {
    plan: Plan,
    link: Link,
    request: Option<Request>,
    /// What has arrived of the answer.
    raw: BytesMut,
}

#[derive(Debug)]
enum Link {
    Closed,
    Connecting(Connecting),
    Open(Io),
}

struct Connecting(Pin<Box<dyn Future<Output = Result<Io, Error>> + Send + Sync>>);

#[derive(Debug)]
struct Request {
    rid: u64,
    bytes: Vec<u8>,
    written: usize,
    is_flushed: bool,
    /// It was sent on a connection that the server closed, as servers do with one that was idle.
    is_repeated: bool,
    answer: Option<BytesMut>,
}

impl Lane {
    pub(super) fn new(plan: &Plan) -> Lane {
        Lane { plan: plan.clone(), link: Link::Closed, request: None, raw: BytesMut::new() }
    }

    pub(super) fn is_free(&self) -> bool {
        self.request.is_none()
    }

    /// The number of the request under way; the last of all without one.
    pub(super) fn rid(&self) -> u64 {
        self.request.as_ref().map_or(u64::MAX, |request| request.rid)
    }

    /// Begins a request with this body.
    pub(super) fn begin(&mut self, rid: u64, body: &[u8]) {
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            self.plan.path,
            self.plan.domain,
            self.plan.address.port(),
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.request =
            Some(Request { rid, bytes, written: 0, is_flushed: false, is_repeated: false, answer: None });
    }

    /// Ready when the request has left.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(request) = self.request.as_mut().filter(|request| !request.is_flushed) else {
            return Poll::Ready(Ok(()));
        };
        loop {
            match &mut self.link {
                Link::Closed => {
                    self.raw = BytesMut::new();
                    self.link = Link::Connecting(Connecting(Box::pin(open(self.plan.clone()))));
                }
                Link::Connecting(connecting) => {
                    self.link = Link::Open(ready!(connecting.0.as_mut().poll(cx)).map_err(io::Error::other)?);
                }
                Link::Open(io) => {
                    while request.written < request.bytes.len() {
                        request.written += ready!(io.poll_write(cx, &request.bytes[request.written..]))?;
                    }
                    ready!(io.poll_flush(cx))?;
                    request.is_flushed = true;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Ready when the answer is there.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(cx))?;
            let (Some(request), Link::Open(io)) = (&mut self.request, &mut self.link) else {
                return Poll::Pending;
            };
            if request.answer.is_some() {
                return Poll::Ready(Ok(()));
            }
            if ready!(io.poll_read(cx, &mut self.raw))? == 0 {
                if request.is_repeated || !self.raw.is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                (request.written, request.is_flushed, request.is_repeated) = (0, false, true);
                self.link = Link::Closed;
                continue;
            }
            let Some(head) = Head::parse(&self.raw)? else { continue };
            if head.status() != 200 {
                return Poll::Ready(Err(invalid(format!("http status {}", head.status()))));
            }
            let length = head.field("content-length").and_then(|length| length.parse().ok());
            let length = length.filter(|length| *length <= BODY_BYTES_MAX);
            let length = length.ok_or_else(|| invalid("an answer without its length"))?;
            let (begin, is_last) =
                (head.length, head.field("connection").is_some_and(|value| value.contains("close")));
            if self.raw.len() < begin + length {
                continue;
            }
            self.raw.advance(begin);
            request.answer = Some(self.raw.split_to(length));
            if self.raw.is_empty() {
                self.raw = BytesMut::new();
            }
            if is_last {
                self.link = Link::Closed;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// The answer, after which the lane is free.
    pub(super) fn take(&mut self) -> Option<BytesMut> {
        let answer = self.request.as_mut()?.answer.take()?;
        self.request = None;
        Some(answer)
    }

    pub(super) fn abandon(self) {
        if let Link::Open(io) = self.link {
            io.abandon();
        }
    }
}

async fn open(plan: Plan) -> Result<Io, Error> {
    let io = Io::connect(&plan).await?;
    if plan.transport == Transport::BoshTls { io.secure(&plan, Secured::Https).await } else { Ok(io) }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
