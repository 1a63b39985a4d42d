//! Streams as plays: what the client says, what happens, what the server says.

mod errors;
mod login;
mod management;
mod messages;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;

use super::*;
use crate::sasl::{Binding, BindingKind};

pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='capulet.example' version='1.0' \
     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
pub(super) const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='capulet.example' version='1.0'/>";

/// A machine and the hand that drives it.
pub(super) struct Play {
    pub(super) machine: Machine,
    input: BytesMut,
    out: Output,
    pub(super) now: Instant,
    events: Vec<Event>,
}

impl Play {
    pub(super) fn with(settings: Settings, framing: Framing, security: Option<Security>) -> Self {
        let now = Instant::now();
        let out = if framing == Framing::Messages { Output::frames() } else { Output::stream() };
        let machine = Machine::new(Arc::new(settings), framing, security, [7; 16], now);
        Self { machine, input: BytesMut::new(), out, now, events: Vec::new() }
    }

    /// Over TCP, where TLS isn't required.
    pub(super) fn tcp() -> Self {
        Self::with(Settings { tls_required: false, ..Settings::default() }, Framing::Document, None)
    }

    /// Over a protected transport.
    pub(super) fn tls() -> Self {
        Self::with(Settings::default(), Framing::Document, Some(security()))
    }

    pub(super) fn websocket() -> Self {
        Self::with(Settings::default(), Framing::Messages, Some(security()))
    }

    /// Header and features are exchanged.
    pub(super) fn opened(mut self) -> Self {
        let header = if self.out.is_framed() { OPEN } else { HEADER };
        self.client(header);
        let Some(Event::Opened { .. }) = self.event() else { panic!("the header was not taken") };
        self.machine.accept(Arc::new(host()), &mut self.out);
        self.said();
        self
    }

    /// Juliet is logged in and has the new features.
    pub(super) fn authorised(mut self) -> Self {
        self = self.opened();
        self.client("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>Yg==</auth>");
        let Some(Event::Login { .. }) = self.event() else { panic!("no login") };
        self.act(|machine, out| machine.authorise(jid("juliet@capulet.example"), b"v=1", Then::Restart, out));
        let header = if self.out.is_framed() { OPEN } else { HEADER };
        self.client(header);
        self.said();
        self
    }

    /// Juliet is on her balcony.
    pub(super) fn bound(mut self) -> Self {
        self = self.authorised();
        self.client(
            &self.of_client("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
        );
        let Some(Event::Bind { resource: None }) = self.event() else { panic!("no bind") };
        let now = self.now;
        self.act(|machine, out| machine.bind(jid("juliet@capulet.example/balcony"), now, out));
        self.said();
        self
    }

    /// With stream management.
    pub(super) fn managed(mut self) -> Self {
        self = self.bound();
        self.client("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        let Some(Event::Enable { resume: true, max_s: None }) = self.event() else { panic!("no enable") };
        self.act(|machine, out| machine.enable(Some(("id1", 600)), out));
        self.said();
        self
    }

    fn of_client(&self, stanza: &str) -> String {
        if self.out.is_framed() {
            stanza.replacen("<iq", "<iq xmlns='jabber:client'", 1)
        } else {
            stanza.to_owned()
        }
    }

    pub(super) fn client(&mut self, text: &str) {
        self.input.extend_from_slice(text.as_bytes());
        self.read();
    }

    fn read(&mut self) {
        while let Some(event) = self.machine.next(&mut self.input, self.now, &mut self.out) {
            self.events.push(event);
        }
    }

    /// A command, after which input is read again.
    pub(super) fn act<T>(&mut self, command: impl FnOnce(&mut Machine, &mut Output) -> T) -> T {
        let result = command(&mut self.machine, &mut self.out);
        self.read();
        result
    }

    pub(super) fn after(&mut self, time: Duration) -> Option<Event> {
        self.now += time;
        self.machine.tick(self.now, &mut self.out)
    }

    /// The oldest event that was not looked at.
    pub(super) fn event(&mut self) -> Option<Event> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }

    /// All that the server said since this was asked last.
    pub(super) fn said(&mut self) -> String {
        let text = String::from_utf8(self.out.bytes.clone()).unwrap();
        self.out.clear();
        text
    }

    /// The same, by messages.
    pub(super) fn messages(&mut self) -> Vec<String> {
        let mut start = 0;
        let ends = std::mem::take(&mut self.out.ends);
        let text = self.said();
        let cut = |end: usize| text[std::mem::replace(&mut start, end)..end].to_owned();
        ends.into_iter().map(cut).collect()
    }

    /// The stream ended with this error, told to the client.
    #[track_caller]
    pub(super) fn failed(&mut self, condition: Condition) {
        match self.events.pop() {
            Some(Event::Over(Ending::Failed(error))) => assert_eq!(error.condition, condition),
            other => panic!("{condition:?} was expected, not {other:?}"),
        }
        let said = self.said();
        let element = format!("<{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", condition.name());
        assert!(said.contains(&element), "{said}");
        assert!(said.ends_with("</stream:error></stream:stream>"), "{said}");
        assert!(self.machine.is_over());
        self.client("<presence/>");
        assert!(self.event().is_none(), "nothing is heard after the end");
    }
}

pub(super) fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

pub(super) fn security() -> Security {
    let bindings = BindingKind::ALL.map(|kind| Binding { kind, bytes: vec![1; 32] });
    Security { bindings: bindings.to_vec() }
}

pub(super) fn host() -> Host {
    Host {
        domain: "capulet.example".into(),
        register: true,
        anonymous: false,
        caps: Some(("http://throng.example".into(), "QgayPKawpkPSDYmwT/WM94uAlu0=".into())),
        stanza_bytes_max: Some(20_000),
    }
}
