//! A bound stream: stanzas, stream management (XEP-0198), client state (XEP-0352).

use std::time::Instant;

use super::{
    Condition, Event, Machine, Managed, Output, Phase,
    counts::{Ack, write_enabled, write_failed, write_request},
};
use crate::{
    ns::{CSI, SESSION, SM},
    stanza::{Kind, Stanza, Type},
    xml::{Element, Incoming},
};

/// Elements of a stream that are no stanzas.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Enable { resume: bool, max_s: Option<u32> },
    Resume { previd: Option<String>, h: Option<u32> },
    R,
    A { h: Option<u32> },
    Active(bool),
}

pub(super) fn read(element: &Element) -> Option<Request> {
    let number = |name| element.attribute(name).and_then(|text| text.parse().ok());
    Some(match (element.ns(), element.name()) {
        (SM, "enable") => Request::Enable {
            resume: matches!(element.attribute("resume"), Some("true" | "1")),
            max_s: number("max"),
        },
        (SM, "resume") => {
            Request::Resume { previd: element.attribute("previd").map(str::to_owned), h: number("h") }
        }
        (SM, "r") => Request::R,
        (SM, "a") => Request::A { h: number("h") },
        (CSI, "active") => Request::Active(true),
        (CSI, "inactive") => Request::Active(false),
        _ => return None,
    })
}

impl Machine {
    pub(super) fn on_session(&mut self, incoming: Incoming, out: &mut Output) -> Option<Event> {
        match incoming {
            Incoming::Stanza(stanza) => self.on_stanza(stanza, out),
            Incoming::Other(element) => match read(&element) {
                Some(request) => self.on_request(request, out),
                None => Some(self.end(Condition::UnsupportedStanzaType.into(), out)),
            },
            Incoming::Close => Some(self.closed(out)),
            Incoming::Header(_) => Some(self.end(Condition::InvalidXml.into(), out)),
        }
    }

    fn on_stanza(&mut self, mut stanza: Stanza, out: &mut Output) -> Option<Event> {
        let jid = self.jid.as_ref()?;
        // RFC 6120 §8.1.2.1: the sender is who was authorised, whatever it says; another's address ends the stream.
        let honest = match &stanza.from {
            None => !stanza.flags.has_bad_from(),
            Some(from) => from == jid || from.as_str() == jid.bare_str(),
        };
        if !honest {
            return Some(self.end(Condition::InvalidFrom.into(), out));
        }
        if self.managed == Managed::Off && is_session_request(&stanza) {
            write_session_result(stanza.id.as_deref().unwrap_or_default(), out);
            return None;
        }
        stanza.from = Some(jid.clone());
        self.counts.arrived += 1;
        Some(Event::Stanza(stanza))
    }

    fn on_request(&mut self, request: Request, out: &mut Output) -> Option<Event> {
        match (request, self.managed) {
            (Request::Active(active), _) => Some(Event::Active(active)),
            (Request::Enable { resume, max_s }, Managed::Off) => {
                self.managed = Managed::Asked { r: false };
                self.counts.in_base = self.counts.arrived;
                Some(Event::Enable { resume, max_s })
            }
            (Request::R, Managed::On) => {
                self.answer(out);
                None
            }
            (Request::R, Managed::Asked { .. }) => {
                self.managed = Managed::Asked { r: true };
                None
            }
            (Request::A { h: Some(h) }, Managed::On) => match self.counts.ack(h) {
                Ack::Upto(acked) => {
                    self.counts.acked = acked;
                    self.asked = None;
                    Some(Event::Acked(acked))
                }
                Ack::Old => {
                    self.asked = None;
                    None
                }
                Ack::TooHigh(error) => Some(self.end(error, out)),
            },
            // XEP-0198 §6: such errors are to be recovered from.
            (Request::Enable { .. } | Request::Resume { .. } | Request::R, _) => {
                write_failed(out, "unexpected-request", None);
                None
            }
            (Request::A { h: None }, _) => Some(self.end(Condition::InvalidXml.into(), out)),
            (Request::A { .. }, _) => None,
        }
    }

    /// Stream management is on from here; `resume`: the id to come back with and for how many seconds.
    pub fn enable(&mut self, resume: Option<(&str, u32)>, out: &mut Output) {
        let Managed::Asked { r } = self.managed else { return };
        self.managed = Managed::On;
        self.counts.out_base = self.counts.given;
        self.counts.acked = self.counts.given;
        self.asked = None;
        self.asked_at = self.counts.given;
        if self.phase != Phase::Session {
            return;
        }
        write_enabled(out, resume);
        if r {
            self.answer(out);
        }
    }

    /// Stream management isn't to be had.
    pub fn refuse_enable(&mut self, condition: &str, out: &mut Output) {
        if matches!(self.managed, Managed::Asked { .. }) {
            self.managed = Managed::Off;
            write_failed(out, condition, None);
        }
    }

    /// At once with the present `h`, and again when it reaches what has arrived by now.
    fn answer(&mut self, out: &mut Output) {
        self.counts.write_ack(out);
        self.owed = (self.counts.handled < self.counts.arrived).then_some(self.counts.arrived);
    }

    /// The owner is done with what came up to this absolute number.
    pub fn handled(&mut self, n: u64, out: &mut Output) {
        // More than arrived cannot have been handled; an owner that says so must not make the client forget.
        self.counts.handled = self.counts.handled.max(n.min(self.counts.arrived));
        if self.owed.is_some_and(|owed| owed <= self.counts.handled) && self.phase == Phase::Session {
            self.owed = None;
            if self.managed == Managed::On {
                self.counts.write_ack(out);
            }
        }
    }

    /// Gives the client the stanza with this absolute number, written by `write` in the client's namespace (with an
    /// explicit one where [`Output::is_framed`]).
    pub fn deliver(&mut self, n: u64, out: &mut Output, write: impl FnOnce(&mut Vec<u8>)) {
        if self.phase == Phase::Session {
            self.counts.given = self.counts.given.max(n);
            write(&mut out.bytes);
            out.end();
        }
    }

    /// Counts the stanza with this number as given though nobody is there to take it: who resumes the stream gets it.
    pub fn withhold(&mut self, n: u64) {
        self.counts.given = self.counts.given.max(n);
    }

    /// After a batch of deliveries: asks the client what it has, if it was given something and isn't asked already.
    pub fn settle(&mut self, now: Instant, out: &mut Output) {
        let counts = &self.counts;
        if self.managed == Managed::On
            && self.asked.is_none()
            && counts.given > counts.acked
            && counts.given > self.asked_at
        {
            self.request(now, out);
        }
    }

    pub(super) fn request(&mut self, now: Instant, out: &mut Output) {
        self.asked = Some(now);
        self.asked_at = self.counts.given;
        write_request(out);
    }
}

fn is_session_request(stanza: &Stanza) -> bool {
    stanza.kind == Kind::Iq
        && stanza.ty == Type::Set
        && stanza.to.is_none()
        && stanza.payload.children().len() == 1
        && stanza.payload.has(SESSION, "session")
}

/// The session of RFC 3921 is there when a resource is bound. Once answers count they are the owner's.
fn write_session_result(id: &str, out: &mut Output) {
    out.push(&["<iq"]);
    if out.is_framed() {
        out.attribute("xmlns", "jabber:client");
    }
    out.attribute("type", "result");
    out.attribute("id", id);
    out.push(&["/>"]);
    out.end();
}
