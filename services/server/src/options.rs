//! Every option of the configuration file: its name, default, unit and meaning, declared here and nowhere else.
//!
//! The sections of a role become that role's `Config`; tests hold both together.

mod cluster;

use node::config::{Opt, Section};

const COUNT: (i64, i64) = (1, 1_000_000_000);
const SECONDS: (i64, i64) = (1, 31_536_000);
const ADDRESSES: &str = "an address and a port, as [::]:5222";

/// All sections, in the order in which they are printed.
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "server", doc: "What is served, and to whom it belongs.", options: SERVER },
    Section { name: "edge", doc: "The role that clients connect to.", options: EDGE },
    Section {
        name: "limits",
        doc: "What one client, and all of an edge together, may take.",
        options: LIMITS,
    },
    Section { name: "session", doc: "The role that owns the accounts.", options: SESSION },
    Section { name: "router", doc: "The role between owners.", options: ROUTER },
    Section {
        name: "store",
        doc: "Where accounts, rosters, archives and all else that lasts are kept.",
        options: STORE,
    },
    Section {
        name: "redis",
        doc: "Redis, for what the processes of a cluster tell each other; without it each process knows only itself.",
        options: REDIS,
    },
    Section {
        name: "kafka",
        doc: "Kafka, for public events (docs/events.md); its topics are made by `throng migrate`.",
        options: KAFKA,
    },
    Section {
        name: "cluster",
        doc: "How roles that run as processes of their own find each other; `throng run` needs none of it.",
        options: cluster::CLUSTER,
    },
    Section { name: "log", doc: "What is logged on standard error.", options: LOG },
    Section { name: "metrics", doc: "Figures for Prometheus.", options: METRICS },
];

const SERVER: &[Opt] = &[
    Opt::texts(
        "domains",
        &[],
        "a domain",
        "The domains served. None: the one of `--domain`, else the name of this machine.",
    ),
    Opt::text(
        "data",
        "throng-data",
        "a folder",
        "Where everything is kept; from the folder of this file, unless it begins with a slash.",
    ),
    Opt::texts("admins", &[], "a bare JID", "Accounts that may administer their domain (XEP-0133)."),
    Opt::flag("registration", false, "Whether clients may make accounts themselves (XEP-0077)."),
    Opt::flag(
        "anonymous",
        false,
        "Whether anybody may log in as nobody in particular, for one session (XEP-0175).",
    ),
    Opt::flag(
        "archive",
        true,
        "Whether messages are archived for both sides; otherwise they are kept only until they are delivered.",
    ),
    Opt::number(
        "archive_days",
        0,
        (0, 36_500),
        "days",
        "How long archived messages are shown; what is older is deleted by and by, when its account leaves memory. \
         0: for ever.",
    ),
    Opt::texts(
        "archive_days_of",
        &[],
        "a domain and its days",
        "Domains for which it is another time: `chat.example=30`.",
    ),
    Opt::number(
        "archive_page_max",
        100,
        (1, 1_000),
        "messages",
        "That a client gets of its archive at a time (XEP-0313).",
    ),
    Opt::choice(
        "jid_profile",
        "stringprep",
        &["stringprep", "precis"],
        "How addresses are prepared: as RFC 6122 says, like most servers of today, or as RFC 7622 says. It must never \
         change once there are accounts, and must be the same in every process.",
    ),
    Opt::texts("contacts_abuse", &[], "a URI", "Whom to tell of abuse (XEP-0157)."),
    Opt::texts("contacts_admin", &[], "a URI", "Who administers the server (XEP-0157)."),
    Opt::texts("contacts_feedback", &[], "a URI", "Who wants to hear opinions (XEP-0157)."),
    Opt::texts("contacts_security", &[], "a URI", "Whom to tell of weaknesses (XEP-0157)."),
    Opt::texts("contacts_support", &[], "a URI", "Who helps users (XEP-0157)."),
    Opt::number(
        "grace_s",
        30,
        (1, 3_600),
        "seconds",
        "How long this process takes at most to end after SIGTERM; what is not drained by then is cut off.",
    ),
];

const EDGE: &[Opt] = &[
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

const LIMITS: &[Opt] = &[
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

const SESSION: &[Opt] = &[
    Opt::text(
        "member",
        "session",
        "a name",
        "The name of this owner, its own in the cluster and the same after a restart.",
    ),
    Opt::number(
        "item_lifetime_ms",
        10_000,
        (1_000, 600_000),
        "milliseconds",
        "A stanza may stay unfinished; then its sender is told `wait`.",
    ),
    Opt::number(
        "gather_ms",
        3_000,
        (0, 60_000),
        "milliseconds",
        "A new owner waits to hear of sessions from the edges.",
    ),
    Opt::number(
        "clock_skew_s_max",
        300,
        (1, 86_400),
        "seconds",
        "By which the clocks of two owners may differ: an older stanza is refused unread.",
    ),
    Opt::number(
        "hand_over_ms_max",
        15_000,
        (0, 600_000),
        "milliseconds",
        "That an owner gives its slots to the others when it ends; less than `grace_s` of [server].",
    ),
    Opt::number(
        "admissions_per_s",
        0,
        (0, 1_000_000_000),
        "logins",
        "And resumptions in a second at all edges together; 0: as many as `logins_per_s` of each allows.",
    ),
    Opt::number("edges", 0, (0, 10_000), "edges", "That it waits for; 0: it waits the whole time."),
    Opt::number(
        "resume_max_s",
        600,
        (0, 86_400),
        "seconds",
        "A session without its client may be resumed (XEP-0198 §5).",
    ),
    Opt::number(
        "sessions_max",
        32,
        (1, 10_000),
        "sessions",
        "Of one account, those that may be resumed included.",
    ),
    Opt::number(
        "unfinished_max",
        1_024,
        COUNT,
        "stanzas",
        "Of one session and not finished; beyond, it is not read.",
    ),
    Opt::number(
        "lane_max",
        4_096,
        COUNT,
        "stanzas",
        "Waiting for their turn at one account; beyond, senders are told `wait`.",
    ),
    Opt::number(
        "mailbox_bytes_max",
        4_194_304,
        COUNT,
        "bytes",
        "Not acknowledged by the client of one session; beyond, the session is ended.",
    ),
    Opt::number(
        "backlog_max",
        10_000,
        COUNT,
        "messages",
        "Kept for an account without a client to take them; beyond, senders are told so.",
    ),
    Opt::number("iq_deadline_s", 300, SECONDS, "seconds", "A client waits for the answer to its IQ."),
    Opt::number("idle_s", 60, SECONDS, "seconds", "An account that nobody uses stays in memory."),
    Opt::number(
        "login_failures_max",
        20,
        COUNT,
        "logins",
        "Of one address in a minute that fail; beyond, streams are closed.",
    ),
    Opt::number("registrations_max", 60, COUNT, "accounts", "Made in band by one address in an hour."),
    Opt::number(
        "password_rounds",
        4_096,
        (4_096, 10_000_000),
        "rounds",
        "Of the hash of new passwords (RFC 7677 §4 asks for 4096 at least).",
    ),
    Opt::tables(
        "owners",
        &[
            Opt::text("member", "", "a name", "The `member` of [session] of an owner."),
            Opt::number("first", 0, (0, 4_095), "", "Its first slot."),
            Opt::number("last", 4_095, (0, 4_095), "", "Its last slot."),
        ],
        "Which owner has which of the 4,096 slots; none: this one has all. The same in every process.",
    ),
];

const ROUTER: &[Opt] = &[
    Opt::text("member", "router", "a name", "The name of this router, its own in the cluster."),
    Opt::number(
        "items_max",
        1_000_000,
        COUNT,
        "stanzas",
        "On their way through it; beyond, it drops, and owners begin again.",
    ),
];

const STORE: &[Opt] = &[
    Opt::choice(
        "backend",
        "disk",
        &["disk", "memory", "scylla"],
        "On disk in `data`, for one session role; in memory, gone with the process; or in Scylla or Cassandra, for many \
         session roles: `throng migrate` makes the tables.",
    ),
    Opt::number(
        "queue_entries_max",
        65_536,
        COUNT,
        "entries",
        "Waiting for the disk; beyond, writes are refused.",
    ),
    Opt::number(
        "queue_bytes_max",
        67_108_864,
        COUNT,
        "bytes",
        "Waiting for the disk; beyond, writes are refused.",
    ),
    Opt::number(
        "cache_bytes_max",
        67_108_864,
        (1_048_576, 1 << 40),
        "bytes",
        "Of blocks kept in memory for reads.",
    ),
    Opt::number(
        "recent_bytes_max",
        67_108_864,
        (1_048_576, 1 << 40),
        "bytes",
        "Of new archive rows kept in memory until they are sorted into files.",
    ),
    Opt::number(
        "journal_bytes_max",
        268_435_456,
        (67_108_864, 1 << 40),
        "bytes",
        "Of journal that opening after a crash has to read.",
    ),
    Opt::texts(
        "scylla_nodes",
        &[],
        "a host and a port",
        "Some nodes of the cluster, as scylla.example:9042.",
    ),
    Opt::text("scylla_keyspace", "throng", "a name", "What holds the tables."),
    Opt::text(
        "scylla_replication",
        "",
        "a map of CQL, as {'class': 'NetworkTopologyStrategy', 'replication_factor': 3}",
        "How `throng migrate` replicates a keyspace that it makes; unset: on every node, on three at most.",
    ),
    Opt::text("scylla_datacenter", "", "a name", "The data centre whose nodes are asked; unset: all."),
    Opt::choice(
        "scylla_agreement",
        "local",
        &["local", "global"],
        "Whose replicas agree on what is read and written: most of the local data centre's, or most of all. The same \
         in every process; `local` is for clusters with one data centre of session roles.",
    ),
    Opt::text("scylla_user", "", "a name", "The user that the cluster wants; unset: it wants none."),
    Opt::text(
        "scylla_password_file",
        "",
        "a file",
        "The password of that user; from the folder of this file.",
    ),
    Opt::text(
        "scylla_ca_file",
        "",
        "a file",
        "The authority of the nodes' certificates, PEM; unset: connections are not secured.",
    ),
    Opt::number(
        "scylla_timeout_ms",
        2_000,
        (50, 60_000),
        "milliseconds",
        "A request, or the making of a connection, may take.",
    ),
    Opt::number(
        "scylla_hedge_ms",
        100,
        (1, 60_000),
        "milliseconds",
        "Until a read is asked of a second node too.",
    ),
    Opt::number(
        "scylla_requests_max",
        4_096,
        COUNT,
        "requests",
        "Under way; beyond, they wait, for as long as a request may take, and are refused then.",
    ),
];

const REDIS: &[Opt] = &[
    Opt::texts(
        "servers",
        &[],
        "a URL, as redis://127.0.0.1:6379, or rediss://… with TLS",
        "The server, the Sentinels, or some nodes of the Redis Cluster; none: no Redis. A user and a password in such a \
         URL are for the one it names.",
    ),
    Opt::choice("kind", "single", &["single", "sentinel", "cluster"], "What `servers` are."),
    Opt::text("master", "throng", "a name", "What Sentinels call the master."),
    Opt::text(
        "user",
        "",
        "a name",
        "The user of the servers behind Sentinels, or of all; unset: the default one.",
    ),
    Opt::text("password_file", "", "a file", "The password of that user; from the folder of this file."),
    Opt::text(
        "ca_file",
        "",
        "a file",
        "The authority of the servers' certificates, PEM; unset: the system's.",
    ),
    Opt::text("prefix", "throng", "a text without braces", "What all keys begin with."),
    Opt::number(
        "timeout_ms",
        1_000,
        (10, 60_000),
        "milliseconds",
        "A request, or the making of a connection, may take.",
    ),
];

const KAFKA: &[Opt] = &[
    Opt::texts(
        "brokers",
        &[],
        "a host and a port, as kafka.example:9092",
        "Some of the brokers, reached without TLS; none: no events.",
    ),
    Opt::text(
        "prefix",
        "throng",
        "letters, digits, dots, hyphens and underscores",
        "What topics and groups are called by: the topic of messages is `throng.messages.v1`.",
    ),
    Opt::number(
        "timeout_ms",
        5_000,
        (100, 300_000),
        "milliseconds",
        "That an event may take; then it is read again from the archive.",
    ),
    Opt::number(
        "queue_bytes_max",
        33_554_432,
        (1_048_576, 1 << 30),
        "bytes",
        "Of events on their way to the brokers.",
    ),
    Opt::number("partitions", 12, (1, 10_000), "partitions", "Of a topic that is made."),
    Opt::number(
        "replicas",
        0,
        (0, 100),
        "copies",
        "Of a topic that is made; 0: what the brokers have by default.",
    ),
];

const LOG: &[Opt] = &[
    Opt::text(
        "level",
        "info,fjall=warn,lsm_tree=warn",
        "error, warn, info, debug or trace, or such for each part, as info,edge=debug",
        "The least important that is logged.",
    ),
    Opt::choice("format", "text", &["text", "json"], "For people, or an object a line."),
];

const METRICS: &[Opt] = &[Opt::text("listen", "", ADDRESSES, "Where /metrics is served; unset: nowhere.")];

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use node::config::Settings;
    use serde::de::DeserializeOwned;

    use super::*;

    #[test]
    fn what_is_declared_here_is_what_the_roles_have() {
        let limits = ["limits"];
        the_same_as::<edge::Config>("edge", &limits);
        the_same_as::<edge::Limits>("limits", &[]);
        the_same_as::<session::Config>("session", &[]);
        the_same_as::<router::Config>("router", &[]);
    }

    #[test]
    fn every_option_says_what_it_is_for() {
        for option in SECTIONS.iter().flat_map(|section| section.options) {
            assert!(option.doc.ends_with('.'), "{}: {:?} is no sentence", option.name, option.doc);
        }
    }

    /// Compares the default of a role's type, field by field, with what the declarations make of it.
    fn the_same_as<T: Default + Debug + DeserializeOwned>(section: &str, apart: &[&str]) {
        let declared: T = Settings::new(SECTIONS).section(section).unwrap();
        assert_eq!(format!("{declared:#?}"), format!("{:#?}", T::default()), "[{section}]");

        let options = SECTIONS.iter().find(|known| known.name == section).unwrap().options;
        let debug = format!("{:#?}", T::default());
        let fields = debug.lines().filter_map(|line| {
            let field = line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '}', ']']))?;
            field.split_once(':').map(|(name, _)| name)
        });
        for field in fields.filter(|field| !apart.contains(field)) {
            assert!(options.iter().any(|option| option.name == field), "[{section}] {field} is not declared");
        }
    }
}
