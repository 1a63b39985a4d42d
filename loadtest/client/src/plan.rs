//! Where a client connects, and how.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use xmpp::sasl::Mechanism;

use crate::sasl::SaltedPassword;
use crate::tls::Tls;

/// Everything that is known about a connection before it is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server's address.
    pub address: SocketAddr,
    /// The address to connect from, if the system is not to choose: one loopback address has no more than some
    /// 28,000 ports.
    pub source: Option<IpAddr>,
    /// The domain of the account; also what the server's certificate is for.
    pub domain: Arc<str>,
    /// How bytes travel.
    pub transport: Transport,
    /// The side of TLS; required by transports that use it.
    pub tls: Option<Tls>,
    /// The path of WebSocket or BOSH, as in `/ws`.
    pub path: Arc<str>,
    /// The account's name before the `@`; unused by ANONYMOUS.
    pub username: String,
    /// The account's password; unused by ANONYMOUS.
    pub password: String,
    /// How to log in.
    pub mechanism: Mechanism,
    /// The resource to ask for; `None` lets the server choose.
    pub resource: Option<String>,
    /// Registers the account before the login (XEP-0077). That it exists already is no error.
    pub register: bool,
    /// Turns on stream management (XEP-0198).
    pub management: Option<Management>,
    /// How long everything up to the end of the login may take.
    pub timeout: Duration,
    /// The account's salted password, once it has been made; clones share it.
    pub salted: SaltedPassword,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP, not secured.
    #[default]
    Tcp,
    /// TCP with STARTTLS (RFC 6120 §5).
    Starttls,
    /// TLS from the first byte (XEP-0368).
    Tls,
    /// RFC 7395 over `ws:`.
    WebSocket,
    /// RFC 7395 over `wss:`.
    WebSocketTls,
    /// XEP-0124 and XEP-0206 over `http:`.
    Bosh,
    /// XEP-0124 and XEP-0206 over `https:`.
    BoshTls,
}

/// How stream management is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Management {
    /// Asks for a session that can be resumed, and keeps what is not acknowledged.
    pub resume: bool,
    /// Asks for an acknowledgement after this many stanzas; 0 never asks.
    pub request_every: u32,
    /// How many stanzas may wait for their acknowledgement.
    pub unacknowledged_max: u32,
}

impl Plan {
    /// PLAIN over TCP, with a minute for the login.
    pub fn new(address: SocketAddr, domain: impl Into<Arc<str>>, username: &str, password: &str) -> Plan {
        Plan {
            address,
            source: None,
            domain: domain.into(),
            transport: Transport::Tcp,
            tls: None,
            path: "/ws".into(),
            username: username.to_owned(),
            password: password.to_owned(),
            mechanism: Mechanism::Plain,
            resource: None,
            register: false,
            management: None,
            timeout: Duration::from_mins(1),
            salted: SaltedPassword::default(),
        }
    }
}

impl Default for Management {
    fn default() -> Self {
        Management { resume: true, request_every: 5, unacknowledged_max: 10_000 }
    }
}
