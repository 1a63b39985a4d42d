//! `[edge]`, and `[limits]` of it

use node::config::Opt;

use super::{ADDRESSES, COUNT, SECONDS};

pub(super) const EDGE: &[Opt] = &[
    Opt::text(
        "member",
        "edge",
        "a name",
        "The name of this edge, its own in the cluster and the same after a restart.",
    ),
    Opt::texts(
        "starttls",
        &["[::]:5222"],
        ADDRESSES,
        "Listeners for clients that begin without TLS (RFC 6120 §5).",
    ),
    Opt::texts("direct_tls", &["[::]:5223"], ADDRESSES, "Listeners with TLS from the first byte (XEP-0368)."),
    Opt::texts(
        "http",
        &["127.0.0.1:5280"],
        ADDRESSES,
        "Plain HTTP for WebSocket and host-meta: for loopback, or behind a proxy that has TLS.",
    ),
    Opt::texts("https", &[], ADDRESSES, "HTTP over TLS for WebSocket and host-meta."),
    Opt::tables(
        "certificates",
        &[
            Opt::text(
                "chain",
                "",
                "a file",
                "The certificate and those between it and its authority, PEM, its own first.",
            ),
            Opt::text("key", "", "a file", "Its private key, PEM."),
        ],
        "Certificates, chosen by the name that a client asks for; the first is for those that name none. Paths are \
         from the folder of this file. Replaced files are taken without a restart. None: `throng run` makes its own \
         authority in `data`.",
    ),
    Opt::number(
        "certificates_check_s",
        30,
        SECONDS,
        "seconds",
        "How often certificate files are looked at for changes.",
    ),
    Opt::flag("tls_required", true, "Whether clients must use TLS before they log in."),
    Opt::flag(
        "plain_on_loopback",
        false,
        "Whether passwords may be sent without TLS by clients on this machine.",
    ),
    Opt::flag(
        "channel_binding_on_tls12",
        false,
        "Whether logins over TLS 1.2 may be bound to it; some clients know only `tls-unique`, and would fail.",
    ),
    Opt::text(
        "websocket_url",
        "",
        "a URL, as wss://chat.example/xmpp-websocket",
        "Where browsers find the WebSocket (XEP-0156); unset: on the host they asked.",
    ),
    Opt::text(
        "see_other_host",
        "",
        "a host, with or without a port",
        "Where clients are sent when an edge drains (RFC 6120 §4.9.3.19); unset: they are told of the shutdown.",
    ),
    Opt::text("page_dir", "", "a folder", "A page to chat from, served at /; from the folder of this file."),
    Opt::texts(
        "proxies",
        &["127.0.0.1", "::1"],
        "an address",
        "Proxies before `http` whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    ),
];

pub(super) const LIMITS: &[Opt] = &[
    Opt::number("connections_max", 1_000_000, COUNT, "connections", "In all."),
    Opt::number(
        "connections_per_address_max",
        1_000,
        COUNT,
        "connections",
        "Of one IPv4 address or IPv6 /64; those of this machine are not counted.",
    ),
    Opt::number("handshake_s", 10, SECONDS, "seconds", "For a TLS handshake."),
    Opt::number("login_s", 60, SECONDS, "seconds", "From the first byte to a bound resource."),
    Opt::number(
        "login_bytes",
        16_384,
        (1_024, 1_048_576),
        "bytes",
        "All that is sent before the login succeeds.",
    ),
    Opt::number(
        "login_elements",
        64,
        (8, 100_000),
        "elements",
        "XML elements before the login succeeds, nested too.",
    ),
    Opt::number("login_tries", 5, (1, 100), "tries", "Failed logins on one stream."),
    Opt::number("stanza_bytes", 262_144, (10_000, 1_048_576), "bytes", "One stanza (XEP-0478)."),
    Opt::number(
        "quiet_s",
        840,
        SECONDS,
        "seconds",
        "Without a sign of a client until it is asked whether it is there.",
    ),
    Opt::number("answer_s", 60, SECONDS, "seconds", "For the answer to that."),
    Opt::number(
        "out_queue_bytes",
        4_194_304,
        COUNT,
        "bytes",
        "Waiting for the socket of one client; beyond, it is too slow and is closed.",
    ),
    Opt::number(
        "unfinished_items",
        512,
        COUNT,
        "stanzas",
        "Of one client and not finished; beyond, it is not read.",
    ),
    Opt::number("unfinished_bytes", 1_048_576, COUNT, "bytes", "Of those stanzas."),
    Opt::number(
        "mailbox_items",
        10_000,
        COUNT,
        "stanzas",
        "That one client with stream management has not acknowledged; beyond, it is closed.",
    ),
    Opt::number("control_frames", 60, COUNT, "frames", "WebSocket pings and pongs in a row in a minute."),
    Opt::number(
        "credit_bytes",
        67_108_864,
        COUNT,
        "bytes",
        "Deliveries that an owner may have on its way to an edge.",
    ),
    Opt::number(
        "credit_items",
        65_536,
        COUNT,
        "stanzas",
        "Deliveries that an owner may have on its way to an edge.",
    ),
    Opt::number(
        "owner_wait_ms",
        8_000,
        (0, 60_000),
        "milliseconds",
        "For a login, or what follows it, while the account has no owner that can be reached.",
    ),
    Opt::number(
        "logins_per_s",
        0,
        (0, 1_000_000_000),
        "logins",
        "That begin in a second at an edge, those that end in a resumption included; 0: as many as come.",
    ),
    Opt::number("logins_burst", 100, COUNT, "logins", "That may begin at once after a quiet time."),
    Opt::number(
        "logins_waiting",
        10_000,
        (0, 1_000_000_000),
        "logins",
        "That wait for their turn, if it comes within half of `login_s`; beyond, they are refused.",
    ),
    Opt::number(
        "drain_lame_s",
        0,
        (0, 3_600),
        "seconds",
        "That an edge serves on while it says that it isn't ready; at most half of `drain_s`.",
    ),
    Opt::number("drain_per_s", 1_000, COUNT, "clients", "Closed in a second when an edge drains."),
    Opt::number("drain_s", 20, (1, 3_600), "seconds", "That a drain takes; less than `grace_s` of [server]."),
];
