//! `[store]`, `[redis]` and `[kafka]`

use node::config::Opt;

use super::COUNT;

pub(super) const STORE: &[Opt] = &[
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

pub(super) const REDIS: &[Opt] = &[
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

pub(super) const KAFKA: &[Opt] = &[
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
