//! What the machine is told about its listener and the hosts behind it.

use std::time::Duration;

use crate::sasl::Binding;

/// How bytes travel, as far as the stream's framing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One XML document, RFC 6120 §4.
    Document,
    /// One element a message, RFC 7395 §3.
    Messages,
}

/// What protects the transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// What a login can be bound to (XEP-0440); the one most wanted first.
    pub bindings: Vec<Binding>,
}

/// What all streams of one listener share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// STARTTLS is offered while the transport is plain.
    pub starttls: bool,
    /// Nothing but STARTTLS is offered while the transport is plain (RFC 6120 §5.3.1).
    pub tls_required: bool,
    /// PLAIN is offered without TLS; only for loopback.
    pub plain_without_tls: bool,
    /// Bytes of a top-level element once a resource is bound.
    pub stanza_bytes_max: u32,
    /// Bytes of all that comes before the login succeeded.
    pub login_bytes_max: u32,
    /// Elements, nested ones too, before the login succeeded.
    pub login_elements_max: u32,
    /// From the first byte to a bound resource.
    pub login_time_max: Duration,
    /// Logins that may fail on one stream.
    pub login_tries_max: u8,
    /// Without input for this long, the client is asked whether it is there.
    pub quiet_time_max: Duration,
    /// For an answer to that.
    pub answer_time_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            starttls: true,
            tls_required: true,
            plain_without_tls: false,
            stanza_bytes_max: 256 * 1024,
            login_bytes_max: 16 * 1024,
            login_elements_max: 64,
            login_time_max: Duration::from_mins(1),
            login_tries_max: 5,
            quiet_time_max: Duration::from_mins(14),
            answer_time_max: Duration::from_mins(1),
        }
    }
}

/// What one domain offers to its clients, as its owner says.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Prepared.
    pub domain: Box<str>,
    /// In-band registration before login (XEP-0077).
    pub register: bool,
    /// SASL ANONYMOUS (XEP-0175).
    pub anonymous: bool,
    /// `node` and `ver` of the server's own capabilities (XEP-0115 §6.3).
    pub caps: Option<(Box<str>, Box<str>)>,
    /// Instead of the listener's.
    pub stanza_bytes_max: Option<u32>,
}
