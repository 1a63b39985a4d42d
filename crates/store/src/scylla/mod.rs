//! The durable store of a cluster: Scylla, or Cassandra, by what both understand of CQL.
//!
//! What has to be decided once, whoever asks, is decided by compare-and-set: accounts, rosters, epochs, members, the
//! table of slots, hibernated sessions. Everything else an account has is written by its owner, with timestamps by
//! which a late write of an earlier owner loses ([`places`]). The tables are made by numbered migrations ([`migrate`]).
//!
//! A request that is not answered in time, or that cannot be sent, is an error within [`Options::timeout`].

mod accounts;
mod appending;
mod archive;
mod blocklists;
mod connect;
mod counters;
mod cql;
mod cursors;
mod documents;
mod epochs;
mod hibernated;
mod listing;
mod liveness;
mod members;
mod ownership;
mod pages;
mod places;
mod registry;
mod removal;
mod rosters;
mod schema;

use std::{sync::Arc, time::Duration};

use ::scylla::frame::types::{Consistency, SerialConsistency};
use xmpp::jid::Jid;

pub use self::schema::{Step, migrate};
use self::{cql::Cql, places::Places};
use crate::{Error, Result, Store, locks::Locks};

/// How the cluster is reached.
#[derive(Clone)]
pub struct Options {
    /// Some of its nodes, as `host:port`; the others are learnt from them.
    pub nodes: Vec<String>,
    /// The keyspace that holds the tables. Default `throng`.
    pub keyspace: String,
    /// How [`migrate`] replicates a keyspace that it makes, in CQL; none: on every node, on three at most.
    pub replication: Option<String>,
    /// The data centre whose nodes are asked; none: all.
    pub datacenter: Option<String>,
    /// How many nodes of which data centres have to agree. Default [`Agreement::Local`].
    pub agreement: Agreement,
    /// The user and the password that the cluster wants.
    pub credentials: Option<(String, String)>,
    /// How connections are secured; none: they are not.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How long a request may take, and the making of a connection. Default 2 s.
    pub timeout: Duration,
    /// How long the first node asked for something is waited for until another one is asked too. Default 100 ms.
    pub hedge: Duration,
    /// Requests sent and not answered; those beyond it wait, for as long as a request may take. Default 4096.
    pub requests_max: usize,
}

/// Who has to agree on what is read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agreement {
    /// Most replicas of the local data centre: `LOCAL_QUORUM` and `LOCAL_SERIAL`.
    #[default]
    Local,
    /// Most replicas of all data centres: `QUORUM` and `SERIAL`.
    Global,
}

impl Agreement {
    fn consistency(self) -> Consistency {
        match self {
            Self::Local => Consistency::LocalQuorum,
            Self::Global => Consistency::Quorum,
        }
    }

    fn serial(self) -> SerialConsistency {
        match self {
            Self::Local => SerialConsistency::LocalSerial,
            Self::Global => SerialConsistency::Serial,
        }
    }
}

impl Options {
    /// These nodes, and the default of everything else.
    pub fn new(nodes: Vec<String>) -> Self {
        Self {
            nodes,
            keyspace: "throng".into(),
            replication: None,
            datacenter: None,
            agreement: Agreement::default(),
            credentials: None,
            tls: None,
            timeout: Duration::from_secs(2),
            hedge: Duration::from_millis(100),
            requests_max: 4096,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("nodes", &self.nodes)
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}

/// Opens the store, and finishes removals that were cut off.
///
/// [`Error::Refused`] if no node answers, [`Error::Older`] if [`migrate`] is due, [`Error::Newer`] if a newer version of
/// this program has done so.
pub async fn open(options: Options) -> Result<Store> {
    if !is_name(&options.keyspace) {
        return Err(Error::Refused(format!("{:?} is no name of a keyspace", options.keyspace)));
    }
    let cql = connect::keyspace(&options).await?;
    schema::check(&cql).await?;
    let scylla = Arc::new(Scylla { cql, places: Places::default(), locks: Locks::default() });
    scylla.finish_removals().await?;
    Ok(Store {
        bus: crate::memory::bus(false),
        accounts: scylla.clone(),
        rosters: scylla.clone(),
        blocklists: scylla.clone(),
        documents: scylla.clone(),
        archive: scylla.clone(),
        cursors: scylla.clone(),
        epochs: scylla.clone(),
        hibernated: scylla.clone(),
        handovers: Arc::new(crate::handovers::Nothing),
        members: scylla.clone(),
        registry: scylla.clone(),
        liveness: scylla.clone(),
        counters: scylla,
    })
}

struct Scylla {
    cql: Cql,
    places: Places,
    /// One decision at a time on one thing, as far as this process makes them: what is left is between processes.
    locks: Locks,
}

/// How often a decision is tried again that another process was faster with.
const TRIES_MAX: usize = 16;

fn contended() -> Error {
    Error::Refused("too many others decide the same".into())
}

/// A name that needs no quotes, as CQL has it: lower-case letters, digits and underscores, at most 48.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 48 && text.chars().all(plain)
}

fn jid(text: &str) -> Result<Jid> {
    Jid::from_prepared(text).map_err(|error| Error::Corrupt(error.to_string()))
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
