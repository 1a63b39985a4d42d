//! What a stream offers next, in the order of XEP-0170: the one place where stream features are written.

use super::{Framing, Host, Output, Security, Settings};
use crate::sasl::{Mechanism, offered};

/// What the offer depends on.
pub(super) struct Offer<'a> {
    pub(super) settings: &'a Settings,
    pub(super) host: &'a Host,
    pub(super) framing: Framing,
    pub(super) security: Option<&'a Security>,
}

impl Offer<'_> {
    /// Whether the transport may still be protected.
    pub(super) fn starttls(&self) -> bool {
        // RFC 7395 §3.9: TLS below WebSocket is the transport's business.
        self.settings.starttls && self.security.is_none() && self.framing == Framing::Document
    }

    /// Whether a login must wait for TLS.
    pub(super) fn tls_missing(&self) -> bool {
        self.settings.tls_required && self.security.is_none()
    }

    /// PLAIN shows the password to whoever can read the transport.
    pub(super) fn plain(&self) -> bool {
        self.security.is_some() || self.settings.plain_without_tls
    }

    /// The mechanisms offered now.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        if self.tls_missing() {
            return Vec::new();
        }
        let bound = self.security.map_or(&[][..], |security| &security.bindings);
        let kinds: Vec<_> = bound.iter().map(|binding| binding.kind).collect();
        offered(self.security.is_some(), &kinds, self.settings.plain_without_tls, self.host.anonymous)
    }

    /// Features before the login.
    pub(super) fn write_login(&self, out: &mut Output) {
        out.stream_element("features");
        if self.starttls() {
            let required = if self.settings.tls_required { "<required/>" } else { "" };
            out.push(&["<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>", required, "</starttls>"]);
        }
        let mechanisms = self.mechanisms();
        if !mechanisms.is_empty() {
            out.push(&["<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"]);
            for mechanism in mechanisms {
                out.push(&["<mechanism>", mechanism.name(), "</mechanism>"]);
            }
            out.push(&["</mechanisms>"]);
            self.write_bindings(out);
        }
        if self.registers() {
            out.push(&["<register xmlns='http://jabber.org/features/iq-register'/>"]);
        }
        out.push(&["</stream:features>"]);
        out.end();
    }

    /// XEP-0077 §8: a password travels in it.
    pub(super) fn registers(&self) -> bool {
        self.host.register && !self.tls_missing() && self.plain()
    }

    fn write_bindings(&self, out: &mut Output) {
        let Some(security) = self.security.filter(|security| !security.bindings.is_empty()) else { return };
        out.push(&["<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"]);
        for binding in &security.bindings {
            out.push(&["<channel-binding type='", binding.kind.name(), "'/>"]);
        }
        out.push(&["</sasl-channel-binding>"]);
    }

    /// Features after the login.
    pub(super) fn write_session(&self, out: &mut Output) {
        out.stream_element("features");
        out.push(&[
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
            // RFC 3921 §3 clients insist on it; draft-cridland-xmpp-session-01 makes it optional.
            "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>",
            "<sm xmlns='urn:xmpp:sm:3'/>",
            "<ver xmlns='urn:xmpp:features:rosterver'/>",
            "<sub xmlns='urn:xmpp:features:pre-approval'/>",
            "<csi xmlns='urn:xmpp:csi:0'/>",
        ]);
        let bytes = self.host.stanza_bytes_max.unwrap_or(self.settings.stanza_bytes_max).to_string();
        let seconds = self.settings.quiet_time_max.as_secs().to_string();
        out.push(&["<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>", &bytes, "</max-bytes>"]);
        out.push(&["<idle-seconds>", &seconds, "</idle-seconds></limits>"]);
        if let Some((node, ver)) = &self.host.caps {
            out.push(&["<c xmlns='http://jabber.org/protocol/caps' hash='sha-1'"]);
            out.attribute("node", node);
            out.attribute("ver", ver);
            out.push(&["/>"]);
        }
        out.push(&["</stream:features>"]);
        out.end();
    }
}
