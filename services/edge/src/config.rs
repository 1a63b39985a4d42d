//! What an operator can say about an edge, with defaults that are safe to serve the public with.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use xmpp::stream::Settings;

/// An edge's configuration. An empty list of addresses is a transport that is off.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of this edge among its owners; default `edge`.
    pub member: String,
    /// TCP with STARTTLS (RFC 6120 §5); default `[::]:5222`.
    pub starttls: Vec<SocketAddr>,
    /// TLS from the first byte (XEP-0368); default `[::]:5223`. Needs a certificate.
    pub direct_tls: Vec<SocketAddr>,
    /// Plain HTTP for WebSocket and host-meta, behind a proxy or on loopback; default `127.0.0.1:5280`.
    pub http: Vec<SocketAddr>,
    /// HTTP over TLS; default off. Needs a certificate.
    pub https: Vec<SocketAddr>,
    /// Certificates; which one a connection gets follows from its SNI, the first is for those without. Default none:
    /// neither STARTTLS nor TLS is offered.
    pub certificates: Vec<Certificate>,
    /// How often certificate files are looked at for changes, in seconds; default 30.
    pub certificates_check_s: u64,
    /// Nothing is offered before TLS; default true. WebSocket over plain HTTP counts as protected by its proxy.
    pub tls_required: bool,
    /// PLAIN without TLS for connections that come from and arrive at loopback; default false.
    pub plain_on_loopback: bool,
    /// Channel binding on TLS 1.2 too; default false: clients that know only `tls-unique`, which cannot be offered,
    /// would choose a -PLUS mechanism there and fail.
    pub channel_binding_on_tls12: bool,
    /// Where browsers find the WebSocket (XEP-0156), as `wss://chat.example/xmpp-websocket`; default: the host and
    /// scheme of the request for host-meta.
    pub websocket_url: Option<String>,
    /// Where clients are sent when the edge drains, a host with or without a port (RFC 6120 §4.9.3.19); default: nowhere,
    /// they are told that the system shuts down.
    pub see_other_host: Option<String>,
    /// A folder of static files served at `/`; default none.
    pub page_dir: Option<PathBuf>,
    /// Proxies in front of `http` whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; default loopback.
    pub proxies: Vec<IpAddr>,
    /// Limits.
    pub limits: Limits,
}

/// A certificate with its key, both PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What one client, and all together, may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections in all; default 1,000,000 (the process's limit of open files is usually lower).
    pub connections_max: usize,
    /// Connections of one IPv4 address or IPv6 /64; default 1,000. Loopback isn't limited.
    pub connections_per_address_max: u32,
    /// For a TLS handshake, in seconds; default 10.
    pub handshake_s: u64,
    /// From the first byte to a bound resource, in seconds; default 60.
    pub login_s: u64,
    /// Bytes of everything before the login succeeded; default 16,384.
    pub login_bytes: u32,
    /// Elements before the login succeeded, nested ones too; default 64.
    pub login_elements: u32,
    /// Failed logins on one stream; default 5.
    pub login_tries: u8,
    /// Bytes of a stanza; default 262,144.
    pub stanza_bytes: u32,
    /// Seconds without input until a client is asked whether it is there; default 840.
    pub quiet_s: u64,
    /// Seconds for the answer to that; default 60.
    pub answer_s: u64,
    /// Bytes waiting for one client's socket; beyond it the client is too slow and is closed. Default 4 MiB.
    pub out_queue_bytes: usize,
    /// Stanzas of one client that its owner isn't finished with; beyond it its socket isn't read. Default 512.
    pub unfinished_items: usize,
    /// Bytes of those; default 1 MiB.
    pub unfinished_bytes: usize,
    /// Stanzas that one client with stream management has not acknowledged; beyond it its stream is closed. Default 10,000.
    pub mailbox_items: usize,
    /// WebSocket pings and pongs in a row, without a stanza between them, in a minute; default 60.
    pub control_frames: u32,
    /// Bytes of deliveries that an owner may have on its way to this edge; default 64 MiB.
    pub credit_bytes: u64,
    /// Deliveries that an owner may have on its way to this edge; default 65,536.
    pub credit_items: u64,
    /// For a login, or what follows it, while the account has no owner that can be reached, in milliseconds; default 8,000.
    pub owner_wait_ms: u64,
    /// Logins that begin in a second, those that end in a resumption included; default 0: as many as come. What the owners
    /// say goes before it.
    pub logins_per_s: u32,
    /// Logins that may begin at once after a quiet time; default 100.
    pub logins_burst: u32,
    /// Logins that wait for their turn, if it comes within half of `login_s`; beyond it they are refused. Default 10,000.
    pub logins_waiting: usize,
    /// Seconds that a drain lets the edge serve on while it says that it isn't ready, at most half of `drain_s`; default 0:
    /// nobody asks.
    pub drain_lame_s: u64,
    /// Clients closed in a second when the edge drains, or more if `drain_s` is too short for that; default 1,000.
    pub drain_per_s: u32,
    /// Seconds that a drain takes at most; default 20.
    pub drain_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            member: "edge".to_owned(),
            starttls: vec![SocketAddr::from(([0; 8], 5222))],
            direct_tls: vec![SocketAddr::from(([0; 8], 5223))],
            http: vec![SocketAddr::from(([127, 0, 0, 1], 5280))],
            https: Vec::new(),
            certificates: Vec::new(),
            certificates_check_s: 30,
            tls_required: true,
            plain_on_loopback: false,
            channel_binding_on_tls12: false,
            websocket_url: None,
            see_other_host: None,
            page_dir: None,
            proxies: vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000_000,
            connections_per_address_max: 1_000,
            handshake_s: 10,
            login_s: 60,
            login_bytes: 16 * 1024,
            login_elements: 64,
            login_tries: 5,
            stanza_bytes: 256 * 1024,
            quiet_s: 840,
            answer_s: 60,
            out_queue_bytes: 4 * 1024 * 1024,
            unfinished_items: 512,
            unfinished_bytes: 1024 * 1024,
            mailbox_items: 10_000,
            control_frames: 60,
            credit_bytes: 64 * 1024 * 1024,
            credit_items: 65_536,
            owner_wait_ms: 8_000,
            logins_per_s: 0,
            logins_burst: 100,
            logins_waiting: 10_000,
            drain_lame_s: 0,
            drain_per_s: 1_000,
            drain_s: 20,
        }
    }
}

/// The stream settings of the four kinds of listeners.
pub(crate) fn settings(config: &Config, listener: Listener) -> Settings {
    let limits = &config.limits;
    let starttls = listener.transport == Transport::StartTls && !config.certificates.is_empty();
    Settings {
        starttls,
        // What a proxy or loopback protects can't be protected again (RFC 7395 §3.9).
        tls_required: config.tls_required && listener.transport == Transport::StartTls,
        plain_without_tls: config.plain_on_loopback && listener.loopback || listener.protected,
        stanza_bytes_max: limits.stanza_bytes,
        login_bytes_max: limits.login_bytes,
        login_elements_max: limits.login_elements,
        login_time_max: Duration::from_secs(limits.login_s),
        login_tries_max: limits.login_tries,
        quiet_time_max: Duration::from_secs(limits.quiet_s),
        answer_time_max: Duration::from_secs(limits.answer_s),
    }
}

/// When the certificates' files were written last; what can't be seen is none.
pub(crate) fn modified(certificates: &[Certificate]) -> Vec<Option<SystemTime>> {
    let files = certificates.iter().flat_map(|certificate| [&certificate.chain, &certificate.key]);
    files.map(|file| std::fs::metadata(file).and_then(|data| data.modified()).ok()).collect()
}

/// How a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    StartTls,
    DirectTls,
    WebSocket,
}

/// What the settings of a stream depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Listener {
    pub(crate) transport: Transport,
    /// Both ends are this machine.
    pub(crate) loopback: bool,
    /// HTTPS, or a trusted proxy says that it was reached over TLS: protected, but nothing to bind a login to.
    pub(crate) protected: bool,
}
