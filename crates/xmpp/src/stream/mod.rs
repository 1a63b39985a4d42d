//! The server's side of a client's stream (RFC 6120 §4–7, RFC 7395, XEP-0198) without I/O or a clock: bytes and a time
//! go in, events come out; commands go in, bytes come out.
//!
//! ```text
//!  bytes ──► next() ──► Event        the driver asks whoever decides …
//!  bytes ◄── Output ◄── command      … and passes the answer on
//! ```
//! An event that needs a decision pauses the machine: [`Machine::is_paused`] holds and no further input is read until
//! its command comes, so what a client sends ahead waits in the transport. Which transport it is matters in two
//! places only: [`Framing`] and [`Security`].
//!
//! A login is an exchange of opaque data. The machine knows no order of login, restart and bind: being authorised and
//! having a resource are facts that commands state ([`Machine::authorise`], [`Machine::bind`], [`Machine::resume`]),
//! so that one command may follow another without an element of the client's between them.

mod counts;
mod error;
mod features;
mod header;
mod login;
mod negotiation;
mod output;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use sha2::{Digest, Sha256};

pub use self::{
    counts::Counts,
    error::{Condition, StreamError},
    negotiation::Then,
    output::Output,
    settings::{Framing, Host, Security, Settings},
};
use self::{counts::Managed, features::Offer};
use crate::{
    jid::Jid,
    sasl::Mechanism,
    stanza::Stanza,
    xml::{Element, Incoming, Limits, Reader, XmlError},
};

/// What the client did. Those marked *pauses* wait for the commands that are named.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "an event is moved once; a box for each stanza would cost more")]
pub enum Event {
    /// The first header names a domain, not prepared. *Pauses* for [`Machine::accept`] or [`Machine::fail`].
    Opened {
        /// As in `to`.
        domain: Jid,
    },
    /// Take what is in the output, do the handshake. *Pauses* for [`Machine::secure`].
    StartTls,
    /// A login begins. *Pauses* for [`Machine::challenge`], [`Machine::authorise`] or [`Machine::refuse_login`].
    Login {
        /// One of those offered.
        mechanism: Mechanism,
        /// The initial response, decoded.
        initial: Option<Vec<u8>>,
    },
    /// The login goes on. *Pauses* as it began.
    Response(Vec<u8>),
    /// The login was given up; there is no answer to give.
    LoginAborted,
    /// A stanza of in-band registration before login. *Pauses* for [`Machine::registered`].
    Register(Box<Stanza>),
    /// A resource is asked for. *Pauses* for [`Machine::bind`] or [`Machine::refuse_bind`].
    Bind {
        /// Not prepared.
        resource: Option<String>,
    },
    /// An old stream is asked for. *Pauses* for [`Machine::resume`] or [`Machine::refuse_resume`].
    Resume {
        /// The id that [`Machine::enable`] gave.
        previd: String,
        /// What the client has, modulo 2³².
        h: u32,
    },
    /// Stream management is asked for: [`Machine::enable`] or [`Machine::refuse_enable`], whenever.
    Enable {
        /// It should be resumable.
        resume: bool,
        /// For how long, if the client says so.
        max_s: Option<u32>,
    },
    /// A stanza, `from` set to the full address; its number is [`Counts::arrived`].
    Stanza(Stanza),
    /// The client has what it was given up to this absolute number.
    Acked(u64),
    /// XEP-0352.
    Active(bool),
    /// The stream is over; send the output and close the transport.
    Over(Ending),
}

/// Why a stream is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Closed by the client, or at its request.
    Closed,
    /// The client was not heard any more.
    Lost,
    /// With this error of the client's making.
    Failed(StreamError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A header must come.
    Header,
    /// Features were sent.
    Negotiation,
    /// A resource is bound.
    Session,
    /// Nothing is read or written any more.
    Over,
}

/// What the machine waits for while it is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wait {
    Accept,
    Tls,
    Login,
    Register,
    Bind { id: Box<str> },
    Resume,
}

/// State that ends when a resource is bound.
#[derive(Debug, Default)]
struct Opening {
    security: Option<Security>,
    seed: [u8; 16],
    headers: u32,
    authorised: Option<Jid>,
    exchange: bool,
    tries: u8,
    bytes: usize,
    elements: u32,
}

/// One client's stream.
#[derive(Debug)]
pub struct Machine {
    settings: Arc<Settings>,
    host: Option<Arc<Host>>,
    reader: Reader,
    framing: Framing,
    phase: Phase,
    managed: Managed,
    wait: Option<Box<Wait>>,
    opening: Option<Box<Opening>>,
    jid: Option<Jid>,
    counts: Counts,
    /// `arrived` at the last `<r/>` that `handled` has not reached.
    owed: Option<u64>,
    /// When input came last; before a resource is bound, when the stream began.
    heard: Instant,
    /// When the client was asked whether it is there.
    asked: Option<Instant>,
    /// `given` at the last `<r/>`.
    asked_at: u64,
}

impl Machine {
    /// A stream whose transport is there. `seed` is random and makes the stream's ids; `security` is what protects
    /// the transport already.
    pub fn new(
        settings: Arc<Settings>,
        framing: Framing,
        security: Option<Security>,
        seed: [u8; 16],
        now: Instant,
    ) -> Self {
        let limits = Limits {
            stanza_bytes_max: settings.login_bytes_max,
            elements_max: settings.login_elements_max,
            ..Limits::BEFORE_LOGIN
        };
        Self {
            reader: match framing {
                Framing::Document => Reader::stream(limits),
                Framing::Messages => Reader::frames(limits),
            },
            settings,
            host: None,
            framing,
            phase: Phase::Header,
            managed: Managed::Off,
            wait: None,
            opening: Some(Box::new(Opening { security, seed, ..Opening::default() })),
            jid: None,
            counts: Counts::default(),
            owed: None,
            heard: now,
            asked: None,
            asked_at: 0,
        }
    }

    /// Reads one thing from `input`; `None`: more input is needed, or a command. For messages, `input` is one.
    pub fn next(&mut self, input: &mut BytesMut, now: Instant, out: &mut Output) -> Option<Event> {
        if self.phase == Phase::Session {
            self.heard = now;
        }
        loop {
            if self.wait.is_some() || self.phase == Phase::Over {
                return None;
            }
            let before = input.len();
            let read = self.reader.read(input);
            if let Err(error) = self.spend(before, input.len()) {
                return Some(self.end(error, out));
            }
            let incoming = match read {
                Ok(Some(incoming)) => match self.count(&incoming) {
                    Ok(()) => incoming,
                    Err(error) => return Some(self.end(error, out)),
                },
                Ok(None) => return None,
                Err(error) => return Some(self.end(unreadable(error), out)),
            };
            let event = match self.phase {
                Phase::Header => self.on_header(incoming, out),
                Phase::Negotiation => self.on_negotiation(incoming, input, out),
                Phase::Session => self.on_session(incoming, out),
                Phase::Over => return None,
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// Whether a command must come before input is read again.
    pub fn is_paused(&self) -> bool {
        self.wait.is_some()
    }

    /// Whether the stream is over.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The full address, once a resource is bound.
    pub fn jid(&self) -> Option<&Jid> {
        self.jid.as_ref()
    }

    /// The bare address that a login authorised, until a resource is bound.
    pub fn authorised(&self) -> Option<&Jid> {
        self.opening.as_ref()?.authorised.as_ref()
    }

    /// The domain's offer, once the first header was accepted.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.host.as_ref()
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether stream management is on.
    pub fn is_managed(&self) -> bool {
        self.managed == Managed::On
    }

    /// What protects the transport, until a resource is bound.
    pub fn security(&self) -> Option<&Security> {
        self.opening.as_ref()?.security.as_ref()
    }

    /// Ends the stream with an error; a header goes ahead if none was sent (RFC 6120 §4.9.1.2).
    pub fn fail(&mut self, error: &StreamError, out: &mut Output) {
        if self.phase == Phase::Over {
            return;
        }
        self.write_header_if_missing(out);
        error.write(out);
        self.write_close(out);
        self.phase = Phase::Over;
    }

    /// Ends the stream without an error.
    pub fn close(&mut self, out: &mut Output) {
        if self.phase != Phase::Over {
            self.write_header_if_missing(out);
            self.write_close(out);
            self.phase = Phase::Over;
        }
    }

    /// When [`Machine::tick`] wants to be called; it may be called at any time.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Over => None,
            Phase::Session => Some(match self.asked {
                Some(asked) if self.managed == Managed::On => asked + self.settings.answer_time_max,
                Some(asked) => asked.max(self.heard) + self.settings.quiet_time_max,
                None => self.heard + self.settings.quiet_time_max,
            }),
            Phase::Header | Phase::Negotiation => Some(self.heard + self.settings.login_time_max),
        }
    }

    /// Time went by.
    pub fn tick(&mut self, now: Instant, out: &mut Output) -> Option<Event> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        let error = StreamError::from(Condition::ConnectionTimeout);
        if self.phase != Phase::Session {
            return Some(self.end(error, out));
        }
        if self.managed == Managed::On {
            if self.asked.is_some_and(|asked| self.heard <= asked) {
                // Not `Failed`: the client may be on its way back to resume.
                self.fail(&error, out);
                return Some(Event::Over(Ending::Lost));
            }
            self.request(now, out);
        } else {
            // RFC 6120 §4.6.1: whitespace shows a broken connection to the transport. Messages have pings of their own.
            self.asked = Some(now);
            if self.framing == Framing::Document {
                out.push(&[" "]);
            }
        }
        None
    }

    fn end(&mut self, error: StreamError, out: &mut Output) -> Event {
        self.fail(&error, out);
        Event::Over(Ending::Failed(error))
    }

    /// The client said that it is finished (RFC 6120 §4.4).
    fn closed(&mut self, out: &mut Output) -> Event {
        self.close(out);
        Event::Over(Ending::Closed)
    }

    /// Counts what is read before a resource is bound, and what lies there unfinished.
    fn spend(&mut self, before: usize, after: usize) -> Result<(), StreamError> {
        let Some(opening) = self.opening.as_mut().filter(|opening| opening.authorised.is_none()) else {
            return Ok(());
        };
        opening.bytes = opening.bytes.saturating_add(before - after);
        if opening.bytes + after > self.settings.login_bytes_max as usize {
            return Err(StreamError::with_text(Condition::PolicyViolation, "too much before login"));
        }
        Ok(())
    }

    /// Counts elements before the login: many small ones cost more than their bytes tell.
    fn count(&mut self, incoming: &Incoming) -> Result<(), StreamError> {
        let Some(opening) = self.opening.as_mut().filter(|opening| opening.authorised.is_none()) else {
            return Ok(());
        };
        opening.elements += match incoming {
            Incoming::Other(element) => elements(element),
            // `</…>`, and `/>` in text, is counted for an element here; the bound errs on the safe side.
            Incoming::Stanza(stanza) => 1 + memchr::memchr_iter(b'<', stanza.payload.bytes()).count() as u32,
            Incoming::Header(_) | Incoming::Close => 1,
        };
        if opening.elements > self.settings.login_elements_max {
            return Err(StreamError::with_text(Condition::PolicyViolation, "too many elements before login"));
        }
        Ok(())
    }

    fn stanza_bytes_max(&self) -> u32 {
        let own = self.host.as_ref().and_then(|host| host.stanza_bytes_max);
        own.unwrap_or(self.settings.stanza_bytes_max)
    }

    /// A stream's id can't be guessed from another's (RFC 6120 §4.7.3).
    fn stream_id(&mut self) -> String {
        let Some(opening) = self.opening.as_mut() else { return String::new() };
        opening.headers += 1;
        let digest =
            Sha256::new().chain_update(opening.seed).chain_update(opening.headers.to_be_bytes()).finalize();
        digest[..16].iter().fold(String::with_capacity(32), |text, byte| text + &format!("{byte:02x}"))
    }

    fn offer(&self) -> Option<Offer<'_>> {
        let security = self.opening.as_ref().and_then(|opening| opening.security.as_ref());
        let host = self.host.as_deref()?;
        Some(Offer { settings: &self.settings, host, framing: self.framing, security })
    }
}

fn elements(element: &Element) -> u32 {
    1 + element.children().map(elements).sum::<u32>()
}

fn unreadable(error: XmlError) -> StreamError {
    let condition = Condition::from_name(error.condition()).unwrap_or(Condition::NotWellFormed);
    condition.into()
}
