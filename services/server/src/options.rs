//! Every option of the configuration file: its name, default, unit and meaning, declared here and nowhere else.
//!
//! The sections of a role become that role's `Config`; tests hold both together.

mod cluster;
mod edge;
mod stores;

use node::config::{Opt, Section};

const COUNT: (i64, i64) = (1, 1_000_000_000);
const SECONDS: (i64, i64) = (1, 31_536_000);
const ADDRESSES: &str = "an address and a port, as [::]:5222";

/// All sections, in the order in which they are printed.
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "server", doc: "What is served, and to whom it belongs.", options: SERVER },
    Section { name: "edge", doc: "The role that clients connect to.", options: edge::EDGE },
    Section {
        name: "limits",
        doc: "What one client, and all of an edge together, may take.",
        options: edge::LIMITS,
    },
    Section { name: "session", doc: "The role that owns the accounts.", options: SESSION },
    Section { name: "router", doc: "The role between owners.", options: ROUTER },
    Section {
        name: "store",
        doc: "Where accounts, rosters, archives and all else that lasts are kept.",
        options: stores::STORE,
    },
    Section {
        name: "redis",
        doc: "Redis, for what the processes of a cluster tell each other; without it each process knows only itself.",
        options: stores::REDIS,
    },
    Section {
        name: "kafka",
        doc: "Kafka, for public events (docs/events.md); its topics are made by `throng migrate`.",
        options: stores::KAFKA,
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
        "hand_over_per_s",
        2_000,
        COUNT,
        "accounts",
        "In a second that an owner hands over to another one, each a conditional write to the store; faster by one that ends, if it has to.",
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
        the_same_as::<::edge::Config>("edge", &limits);
        the_same_as::<::edge::Limits>("limits", &[]);
        // Whether owners share slots is what the store allows.
        the_same_as::<session::Config>("session", &["shared"]);
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
