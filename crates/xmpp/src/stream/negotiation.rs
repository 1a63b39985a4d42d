//! From the first features to a bound resource: STARTTLS, login, registration, bind, resumption.

use std::time::Instant;

use bytes::BytesMut;

use super::{
    Condition, Counts, Ending, Event, Framing, Machine, Managed, Output, Phase, Security, StreamError, Wait,
    counts::{write_failed, write_resumed},
    login::{self, Said},
    session::{self, Request},
};
use crate::{
    jid::Jid,
    ns::{BIND, REGISTER, TLS},
    sasl::{self, Mechanism},
    stanza::{Kind, Stanza, StanzaError, Type},
    xml::{Element, Incoming, Limits},
};

/// What comes after a login that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The client sends a new header (RFC 6120 §6.4.6).
    Restart,
    /// New features follow at once.
    Features,
    /// Another command follows at once and binds or resumes.
    Nothing,
}

impl Machine {
    pub(super) fn on_negotiation(
        &mut self,
        incoming: Incoming,
        input: &mut BytesMut,
        out: &mut Output,
    ) -> Option<Event> {
        match incoming {
            Incoming::Close => Some(self.closed(out)),
            // A header where none is due.
            Incoming::Header(_) => Some(self.end(Condition::InvalidXml.into(), out)),
            Incoming::Stanza(stanza) => Some(self.on_early_stanza(stanza, out)),
            Incoming::Other(element) => self.on_element(&element, input, out),
        }
    }

    fn on_element(&mut self, element: &Element, input: &mut BytesMut, out: &mut Output) -> Option<Event> {
        if element.ns() == TLS && element.name() == "starttls" {
            return Some(self.on_starttls(input, out));
        }
        if let Some(said) = login::read(element) {
            return self.on_login(said, out);
        }
        match session::read(element) {
            Some(Request::Resume { previd: Some(previd), h: Some(h) }) if self.authorised().is_some() => {
                self.wait = Some(Box::new(Wait::Resume));
                Some(Event::Resume { previd, h })
            }
            Some(Request::Resume { .. }) if self.authorised().is_some() => {
                write_failed(out, "bad-request", None);
                None
            }
            Some(Request::Active(_)) => Some(self.end(Condition::NotAuthorized.into(), out)),
            Some(_) => {
                write_failed(out, "unexpected-request", None);
                None
            }
            None => Some(self.end(Condition::UnsupportedStanzaType.into(), out)),
        }
    }

    fn on_starttls(&mut self, input: &mut BytesMut, out: &mut Output) -> Event {
        if !self.offer().is_some_and(|offer| offer.starttls()) || self.authorised().is_some() {
            // RFC 6120 §5.4.2.2: the stream and the connection end.
            out.push(&["<failure xmlns='", TLS, "'/>"]);
            out.end();
            self.close(out);
            return Event::Over(Ending::Failed(Condition::UnsupportedFeature.into()));
        }
        // What was sent ahead in plain text would be taken for protected afterwards.
        let ahead = input.iter().any(|byte| !byte.is_ascii_whitespace());
        input.clear();
        if ahead {
            return self.end(
                StreamError::with_text(
                    Condition::PolicyViolation,
                    "nothing may follow <starttls/> before TLS",
                ),
                out,
            );
        }
        out.push(&["<proceed xmlns='", TLS, "'/>"]);
        out.end();
        self.wait = Some(Box::new(Wait::Tls));
        Event::StartTls
    }

    /// The transport is protected now, after [`Event::StartTls`] or before the first byte; the client begins a new stream.
    pub fn secure(&mut self, security: Security) {
        let untouched = self.wait.is_none() && self.host.is_none() && self.phase == Phase::Header;
        if (untouched || self.wait.as_deref() == Some(&Wait::Tls))
            && let Some(opening) = &mut self.opening
        {
            opening.security = Some(security);
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.wait = None;
        self.phase = Phase::Header;
        self.reader.restart();
    }

    // --- login ---

    fn on_login(&mut self, said: Said, out: &mut Output) -> Option<Event> {
        let Some(opening) = self.opening.as_mut().filter(|opening| opening.authorised.is_none()) else {
            return Some(
                self.end(StreamError::with_text(Condition::PolicyViolation, "this stream is logged in"), out),
            );
        };
        let running = std::mem::take(&mut opening.exchange);
        match said {
            Said::Auth { mechanism, initial } if !running => match self.chosen(&mechanism) {
                Ok(mechanism) => {
                    self.wait = Some(Box::new(Wait::Login));
                    Some(Event::Login { mechanism, initial })
                }
                Err(condition) => self.login_failed(condition, "", false, out),
            },
            Said::Response(data) if running => {
                self.wait = Some(Box::new(Wait::Login));
                Some(Event::Response(data))
            }
            said => {
                let condition = match said {
                    Said::Abort => sasl::Condition::Aborted,
                    Said::Malformed(condition) => condition,
                    Said::Auth { .. } | Said::Response(_) => sasl::Condition::MalformedRequest,
                };
                let over = self.login_failed(condition, "", false, out);
                over.or(running.then_some(Event::LoginAborted))
            }
        }
    }

    /// Only what was offered can be chosen.
    fn chosen(&self, mechanism: &str) -> Result<Mechanism, sasl::Condition> {
        let offer = self.offer().ok_or(sasl::Condition::TemporaryAuthFailure)?;
        let mechanism = Mechanism::parse(mechanism);
        if offer.tls_missing() || mechanism == Some(Mechanism::Plain) && !offer.plain() {
            return Err(sasl::Condition::EncryptionRequired);
        }
        mechanism
            .filter(|mechanism| offer.mechanisms().contains(mechanism))
            .ok_or(sasl::Condition::InvalidMechanism)
    }

    /// The mechanisms that the client is offered now.
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        self.offer().map_or_else(Vec::new, |offer| offer.mechanisms())
    }

    /// The login needs another step of the client's.
    pub fn challenge(&mut self, data: &[u8], out: &mut Output) {
        if self.take_wait(&Wait::Login) {
            self.set_exchange(true);
            login::write_challenge(out, data);
        }
    }

    /// The login failed with this condition (RFC 6120 §6.5). `close`: the stream ends, as it does after too many.
    pub fn refuse_login(
        &mut self,
        condition: sasl::Condition,
        text: &str,
        close: bool,
        out: &mut Output,
    ) -> Option<Event> {
        if !self.take_wait(&Wait::Login) {
            return None;
        }
        self.login_failed(condition, text, close, out)
    }

    fn login_failed(
        &mut self,
        condition: sasl::Condition,
        text: &str,
        close: bool,
        out: &mut Output,
    ) -> Option<Event> {
        self.set_exchange(false);
        login::write_failure(out, condition, text);
        let tries = self.opening.as_mut().map_or(0, |opening| {
            opening.tries = opening.tries.saturating_add(1);
            opening.tries
        });
        if !close && tries < self.settings.login_tries_max {
            return None;
        }
        Some(self.end(StreamError::with_text(Condition::PolicyViolation, "too many failed logins"), out))
    }

    /// The client is `jid`, a bare address. `data` goes with the success.
    pub fn authorise(&mut self, jid: Jid, data: &[u8], then: Then, out: &mut Output) {
        if !self.take_wait(&Wait::Login) {
            return;
        }
        login::write_success(out, data);
        if let Some(opening) = &mut self.opening {
            opening.exchange = false;
            opening.authorised = Some(jid);
        }
        self.reader.set_limits(Limits { stanza_bytes_max: self.stanza_bytes_max(), ..Limits::default() });
        match then {
            Then::Restart => self.restart(),
            Then::Features => self.write_features(out),
            Then::Nothing => self.wait = Some(Box::new(Wait::Resume)),
        }
    }

    fn set_exchange(&mut self, running: bool) {
        if let Some(opening) = &mut self.opening {
            opening.exchange = running;
        }
    }

    pub(super) fn take_wait(&mut self, wait: &Wait) -> bool {
        let is = self.wait.as_deref() == Some(wait);
        if is {
            self.wait = None;
        }
        is
    }

    // --- stanzas before a resource is bound ---

    fn on_early_stanza(&mut self, stanza: Stanza, out: &mut Output) -> Event {
        let iq = stanza.kind == Kind::Iq && matches!(stanza.ty, Type::Get | Type::Set);
        if self.authorised().is_none() {
            if iq
                && stanza.payload.has(REGISTER, "query")
                && self.offer().is_some_and(|offer| offer.registers())
            {
                self.wait = Some(Box::new(Wait::Register));
                return Event::Register(Box::new(stanza));
            }
        } else if iq
            && stanza.ty == Type::Set
            && let Some(child) = stanza.payload.find(BIND, "bind")
        {
            let resource = stanza.payload.element(child).ok().and_then(|bind| {
                let text = bind.child("resource", BIND)?.text();
                (!text.is_empty()).then_some(text)
            });
            let id = stanza.id.unwrap_or_default();
            self.wait = Some(Box::new(Wait::Bind { id }));
            return Event::Bind { resource };
        }
        // RFC 6120 §4.9.3.12 before the login, §7.1 before bind.
        self.end(Condition::NotAuthorized.into(), out)
    }

    /// The answer to a stanza of registration, written by `write`.
    pub fn registered(&mut self, out: &mut Output, write: impl FnOnce(&mut Vec<u8>)) {
        if self.take_wait(&Wait::Register) {
            write(&mut out.bytes);
            out.end();
        }
    }

    // --- a resource ---

    /// The client is bound to `jid`, a full address.
    pub fn bind(&mut self, jid: Jid, now: Instant, out: &mut Output) {
        let Some(wait) = self.wait.take() else { return };
        if let Wait::Bind { id } = *wait {
            self.start_iq("result", &id, out);
            out.push(&["><bind xmlns='", BIND, "'><jid>"]);
            out.push_escaped(jid.as_str());
            out.push(&["</jid></bind></iq>"]);
            out.end();
        }
        self.begin(jid, now);
    }

    /// No resource; the client may ask again.
    pub fn refuse_bind(&mut self, error: &StanzaError, out: &mut Output) {
        let Some(wait) = self.wait.take() else { return };
        if let Wait::Bind { id } = *wait {
            self.start_iq("error", &id, out);
            out.push(&[">"]);
            error.to_element().write(&mut out.bytes, "jabber:client");
            out.push(&["</iq>"]);
            out.end();
        }
    }

    fn start_iq(&self, ty: &str, id: &str, out: &mut Output) {
        out.push(&["<iq"]);
        if self.framing == Framing::Messages {
            out.attribute("xmlns", "jabber:client");
        }
        out.attribute("type", ty);
        out.attribute("id", id);
    }

    /// The stream `previd` goes on here where `counts` says. What the client lacks is delivered next.
    pub fn resume(&mut self, jid: Jid, previd: &str, counts: Counts, now: Instant, out: &mut Output) {
        if self.take_wait(&Wait::Resume) {
            write_resumed(out, previd, counts.h());
            self.begin(jid, now);
            self.counts = counts;
            self.managed = Managed::On;
            self.asked_at = counts.acked;
        }
    }

    /// The old stream is gone; a resource may be bound instead. `h` is what it had handled, if that is known.
    pub fn refuse_resume(&mut self, condition: &str, h: Option<u32>, out: &mut Output) {
        if self.take_wait(&Wait::Resume) {
            write_failed(out, condition, h);
        }
    }

    fn begin(&mut self, jid: Jid, now: Instant) {
        self.jid = Some(jid);
        self.opening = None;
        self.phase = Phase::Session;
        self.heard = now;
    }
}
