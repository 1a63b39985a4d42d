//! Stream errors: why a stream ends (RFC 6120 §4.9).

use std::borrow::Cow;

use super::Output;

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The defined conditions of a stream error, RFC 6120 §4.9.3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition { $($(#[$doc])* $name,)* }

        impl Condition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The element's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

conditions! {
    /// Sent XML that cannot be processed.
    BadFormat = "bad-format",
    /// A prefix that is not bound, or not as the stream requires.
    BadNamespacePrefix = "bad-namespace-prefix",
    /// Another stream of the same resource took over.
    Conflict = "conflict",
    /// Nothing was heard for too long.
    ConnectionTimeout = "connection-timeout",
    /// The domain is no longer served here.
    HostGone = "host-gone",
    /// The domain in `to` is not served here.
    HostUnknown = "host-unknown",
    /// A needed address is absent or of no domain.
    ImproperAddressing = "improper-addressing",
    /// The server failed.
    InternalServerError = "internal-server-error",
    /// `from` is not the address that was authorised.
    InvalidFrom = "invalid-from",
    /// The stream's or content's namespace is another.
    InvalidNamespace = "invalid-namespace",
    /// Invalid against the schema.
    InvalidXml = "invalid-xml",
    /// Sent what needs a login, or a bound resource, before it.
    NotAuthorized = "not-authorized",
    /// Not XML.
    NotWellFormed = "not-well-formed",
    /// A limit or another local rule was broken.
    PolicyViolation = "policy-violation",
    /// A connection that is needed to deliver could not be had.
    RemoteConnectionFailed = "remote-connection-failed",
    /// Features must be negotiated anew.
    Reset = "reset",
    /// The server has too much to do.
    ResourceConstraint = "resource-constraint",
    /// Comment, processing instruction, DTD or entity (RFC 6120 §11.1).
    RestrictedXml = "restricted-xml",
    /// The domain is served elsewhere.
    SeeOtherHost = "see-other-host",
    /// The server is going down.
    SystemShutdown = "system-shutdown",
    /// A condition of an application.
    UndefinedCondition = "undefined-condition",
    /// Not UTF-8.
    UnsupportedEncoding = "unsupported-encoding",
    /// A feature that the client requires is not supported.
    UnsupportedFeature = "unsupported-feature",
    /// A child of the stream that is neither a stanza nor known.
    UnsupportedStanzaType = "unsupported-stanza-type",
    /// A version of XMPP that is not supported.
    UnsupportedVersion = "unsupported-version",
}

impl Condition {
    /// The condition of this name, if it is one of the RFC's.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|condition| condition.name() == name)
    }
}

/// A stream error as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The defined condition.
    pub condition: Condition,
    /// For people; English.
    pub text: Option<Cow<'static, str>>,
    /// An element of an application, already written.
    pub application: Option<String>,
    /// Where the client should go (RFC 6120 §4.9.3.19).
    pub host: Option<String>,
}

impl From<Condition> for StreamError {
    fn from(condition: Condition) -> Self {
        Self { condition, text: None, application: None, host: None }
    }
}

impl StreamError {
    /// An error with words for people.
    pub fn with_text(condition: Condition, text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition, text: Some(text.into()), application: None, host: None }
    }

    /// The client is served at another host, `domain` or `domain:port` (RFC 6120 §4.9.3.19).
    pub fn see_other_host(host: impl Into<String>) -> Self {
        Self { condition: Condition::SeeOtherHost, text: None, application: None, host: Some(host.into()) }
    }

    /// XEP-0198 §6: the client says that it has more stanzas than it was given.
    pub(super) fn handled_count_too_high(h: u32, sent: u32) -> Self {
        Self {
            condition: Condition::UndefinedCondition,
            text: Some(format!("You acknowledged {h} stanzas, but I only sent you {sent} so far").into()),
            application: Some(format!(
                "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='{h}' send-count='{sent}'/>"
            )),
            host: None,
        }
    }

    /// Writes the element; order of children as RFC 6120 §4.9.2 has it.
    pub(super) fn write(&self, out: &mut Output) {
        const NS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
        out.stream_element("error");
        out.push(&["<", self.condition.name(), " xmlns='", NS, "'"]);
        match &self.host {
            Some(host) => {
                out.push(&[">"]);
                out.push_escaped(host);
                out.push(&["</", self.condition.name(), ">"]);
            }
            None => out.push(&["/>"]),
        }
        if let Some(text) = &self.text {
            out.push(&["<text xmlns='", NS, "' xml:lang='en'>"]);
            out.push_escaped(text);
            out.push(&["</text>"]);
        }
        if let Some(application) = &self.application {
            out.push(&[application]);
        }
        out.push(&["</stream:error>"]);
        out.end();
    }
}
