//! Stream headers: `<stream:stream>` and `<open/>` are checked and answered alike (RFC 6120 §4.7, RFC 7395 §3.3).

use super::{Condition, Event, Framing, Machine, Output, Phase, StreamError, Wait};
use crate::{
    jid::Jid,
    xml::{Header, Incoming},
};

impl Machine {
    pub(super) fn on_header(&mut self, incoming: Incoming, out: &mut Output) -> Option<Event> {
        let header = match incoming {
            Incoming::Header(header) => header,
            Incoming::Close => return Some(self.closed(out)),
            // Only messages can come without a header around them.
            Incoming::Stanza(_) | Incoming::Other(_) => {
                return Some(self.end(Condition::NotAuthorized.into(), out));
            }
        };
        let domain = match self.check(&header) {
            Ok(domain) => domain,
            Err(error) => return Some(self.end(error, out)),
        };
        self.phase = Phase::Negotiation;
        if self.host.is_some() {
            self.open(out);
            return None;
        }
        self.phase = Phase::Header;
        self.wait = Some(Box::new(Wait::Accept));
        Some(Event::Opened { domain })
    }

    /// The domain of the first header is served here.
    pub fn accept(&mut self, host: std::sync::Arc<super::Host>, out: &mut Output) {
        if self.wait.as_deref() == Some(&Wait::Accept) {
            self.wait = None;
            self.host = Some(host);
            self.phase = Phase::Negotiation;
            self.open(out);
        }
    }

    /// Header and features. What is offered follows from what is known of the client.
    fn open(&mut self, out: &mut Output) {
        self.write_header(out);
        self.write_features(out);
    }

    pub(super) fn write_features(&self, out: &mut Output) {
        match self.offer() {
            Some(offer) if self.authorised().is_some() => offer.write_session(out),
            Some(offer) => offer.write_login(out),
            None => {}
        }
    }

    fn check(&self, header: &Header) -> Result<Jid, StreamError> {
        // RFC 6120 §4.7.5: no version is 0.9; the major number decides.
        let major = header.version.as_deref().and_then(|text| text.split('.').next()?.parse::<u32>().ok());
        if major.is_none_or(|major| major < 1) {
            return Err(Condition::UnsupportedVersion.into());
        }
        let to = header.to.as_deref().ok_or(Condition::ImproperAddressing)?;
        let domain: Jid = to.parse().map_err(|_| Condition::ImproperAddressing)?;
        if domain.node().is_some() || domain.resource().is_some() {
            return Err(Condition::ImproperAddressing.into());
        }
        // A stream that changed its host after TLS or login would carry that trust across domains.
        if self.host.as_ref().is_some_and(|host| *host.domain != *domain.as_str()) {
            return Err(StreamError::with_text(
                Condition::ImproperAddressing,
                "the stream's domain was fixed by its first header",
            ));
        }
        Ok(domain)
    }

    fn write_header(&mut self, out: &mut Output) {
        let id = self.stream_id();
        match self.framing {
            Framing::Document => out.push(&[
                "<?xml version='1.0'?><stream:stream xmlns='jabber:client' ",
                "xmlns:stream='http://etherx.jabber.org/streams'",
            ]),
            Framing::Messages => out.push(&["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'"]),
        }
        if let Some(host) = &self.host {
            out.attribute("from", &host.domain);
        }
        out.attribute("id", &id);
        out.push(&[" version='1.0' xml:lang='en'", if out.is_framed() { "/>" } else { ">" }]);
        out.end();
    }

    /// An error needs a stream to stand in.
    pub(super) fn write_header_if_missing(&mut self, out: &mut Output) {
        if self.phase == Phase::Header {
            self.write_header(out);
        }
    }

    pub(super) fn write_close(&self, out: &mut Output) {
        out.push(&[match self.framing {
            Framing::Document => "</stream:stream>",
            Framing::Messages => "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        }]);
        out.end();
    }
}
