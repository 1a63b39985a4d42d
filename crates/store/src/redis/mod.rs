//! What the processes of a cluster tell each other, in Redis: one server, one behind Sentinels, or a Redis Cluster.
//!
//! Nothing acknowledged depends on it alone (docs/delivery.md): it may be away, empty, or behind after a failover, and
//! whoever asks is answered or refused within [`Options::timeout`] ([`link`]).
//!
//! | key | what |
//! |---|---|
//! | `P:{h7}:<origin>` | a hibernated session, deleted an hour after its deadline |
//! | `P:{h7}:deadlines` | a sorted set: the origins of that part by their deadlines |
//! | `P:{a:<bare JID>}:sessions` | a set: origins of hibernated sessions of an account, some perhaps gone |
//! | `P:{a:<bare JID>}:handover` | a copy of an account that is on its way to another owner, for as long as it is of use |
//! | `P:{s7}:sessions` | a hash: the sessions of a slot by their origins |
//! | `P:{m}:<member>` | a member is there, deleted when that has been long enough ago |
//! | `P:{c:<counter>}` | a counter, deleted when its window is over |
//!
//! `P` is [`Options::prefix`], origins are in hexadecimal digits. What is between braces is what Redis Cluster places a
//! key by, so each script finds its keys on one node.

mod connect;
mod counters;
mod handovers;
mod hibernated;
mod link;
mod liveness;
mod registry;

use std::{sync::Arc, time::Duration};

use self::{connect::Way, link::Link};
use crate::{Counters, Error, Handovers, Hibernated, Liveness, Registry, Result, Store};

/// How Redis is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub servers: Servers,
    /// The user and the password that its servers want; none: those in their URLs, if any.
    pub credentials: Option<(String, String)>,
    /// The authority that signs the servers' certificates, PEM, for `rediss://`; none: those of the system.
    pub authority: Option<Vec<u8>>,
    /// What every key begins with, so that several may share one Redis. Default `throng`.
    pub prefix: String,
    /// How long a request may take, and the making of a connection. Default 1 s.
    pub timeout: Duration,
}

/// Where Redis is, in URLs as `redis://127.0.0.1:6379` or, with TLS, `rediss://redis.example:6380`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// One server.
    Single(String),
    /// Whichever server the Sentinels call the master of this name.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<String>,
        /// What they call the master.
        master: String,
    },
    /// The nodes of a Redis Cluster, some of them at least.
    Cluster(Vec<String>),
}

impl Options {
    /// These servers, and the default of everything else.
    pub fn new(servers: Servers) -> Self {
        Self {
            servers,
            credentials: None,
            authority: None,
            prefix: "throng".into(),
            timeout: Duration::from_secs(1),
        }
    }
}

/// The nouns that are kept in Redis.
#[derive(Clone)]
pub struct Live {
    /// Sessions whose client is gone but may resume.
    pub hibernated: Arc<dyn Hibernated>,
    /// What owners knew of accounts that are on their way to others.
    pub handovers: Arc<dyn Handovers>,
    /// Which sessions there are.
    pub registry: Arc<dyn Registry>,
    /// Who was heard of in the last seconds.
    pub liveness: Arc<dyn Liveness>,
    /// What all processes together may do only so often.
    pub counters: Arc<dyn Counters>,
}

/// Begins to connect, and to connect again whenever that is needed; that Redis is away is no error.
/// To be called in a runtime of tokio.
///
/// # Errors
/// The options cannot be used.
pub fn open(options: Options) -> Result<Live> {
    if options.prefix.contains(['{', '}']) || options.prefix.is_empty() {
        return Err(Error::Refused("a prefix of keys is empty or has braces".into()));
    }
    let way = Way::new(&options)?;
    let redis = Arc::new(Redis { link: Link::open(way, options.timeout), prefix: options.prefix });
    Ok(Live {
        hibernated: redis.clone(),
        handovers: redis.clone(),
        registry: redis.clone(),
        liveness: redis.clone(),
        counters: redis,
    })
}

impl Live {
    /// The store with these nouns in the place of its own.
    #[must_use]
    pub fn over(self, store: Store) -> Store {
        Store {
            hibernated: self.hibernated,
            handovers: self.handovers,
            registry: self.registry,
            liveness: self.liveness,
            counters: self.counters,
            ..store
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

struct Redis {
    link: Link,
    prefix: String,
}

impl Redis {
    /// The key of what is placed by `tag`.
    fn key(&self, tag: std::fmt::Arguments<'_>, name: &str) -> String {
        format!("{}:{{{tag}}}:{name}", self.prefix)
    }
}

/// An origin as it stands in keys.
fn hex(origin: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*origin))
}

/// An origin from where it stands in Redis.
fn origin(hex: &str) -> Result<[u8; 16]> {
    let number = u128::from_str_radix(hex, 16);
    number.map(u128::to_be_bytes).map_err(|_| Error::Corrupt("an origin is not of hexadecimal digits".into()))
}
