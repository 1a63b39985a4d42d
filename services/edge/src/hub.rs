//! What all connections of an edge share.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use hashbrown::HashMap;
use node::shutdown::Drain;
use parking_lot::{Mutex, RwLock};
use proto::session::Welcome;
use xmpp::stream::{Host, Settings};

use crate::{
    Error,
    admission::Admission,
    client::Client,
    config::{Config, Listener},
    link::{self, Link},
    metrics,
    table::Table,
    tls::Tls,
    wheel::Wheel,
};

/// An edge.
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) tls: Option<Tls>,
    pub(crate) wheel: Wheel<Client>,
    /// Links to the owners that are listed, and to those that streams are left of.
    pub(crate) links: Mutex<Vec<Arc<Link>>>,
    /// Whose turn it is to be asked what anyone may be.
    turn: AtomicUsize,
    pub(crate) table: Mutex<Table>,
    pub(crate) admission: Admission,
    /// Held to move streams, and shared so that none is moved. Taken before any client's lock.
    pub(crate) moving: RwLock<()>,
    pub(crate) incarnation: u64,
    /// Connections, by the address of their state.
    pub(crate) clients: Mutex<HashMap<usize, Weak<Client>>>,
    /// By domain; none until an owner has said what there is.
    hosts: ArcSwapOption<HashMap<Box<str>, Arc<Host>>>,
    /// Clients that opened a stream before that.
    early: Mutex<Vec<Weak<Client>>>,
    /// Clients whose exchange waits for an owner.
    waiting: Mutex<HashMap<usize, Weak<Client>>>,
    settings: Mutex<HashMap<Listener, Arc<Settings>>>,
    places: Arc<Mutex<Places>>,
    drain: Drain,
    /// Nobody is let in any more.
    closed: AtomicBool,
}

#[derive(Default)]
struct Places {
    taken: usize,
    by_address: HashMap<IpAddr, u32>,
}

/// A connection's place within the limits; free when dropped.
pub(crate) struct Place {
    places: Arc<Mutex<Places>>,
    /// An IPv4 address in its mapped form, which takes less room than either.
    address: Ipv6Addr,
}

/// What is known of a domain.
pub(crate) enum Found {
    Host(Arc<Host>),
    Unknown,
    /// The client is nudged when it is known.
    Later,
}

impl Hub {
    pub(crate) fn new(config: Config, tls: Option<Tls>, drain: Drain) -> Self {
        let admission = Admission::new(&config.limits, Instant::now());
        Self {
            config,
            tls,
            wheel: Wheel::new(Instant::now()),
            links: Mutex::default(),
            admission,
            closed: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            table: Mutex::new(Table::new()),
            moving: RwLock::default(),
            incarnation: link::incarnation(),
            clients: Mutex::default(),
            hosts: ArcSwapOption::empty(),
            early: Mutex::default(),
            waiting: Mutex::default(),
            settings: Mutex::default(),
            places: Arc::default(),
            drain,
        }
    }

    pub(crate) fn settings(&self, listener: Listener, make: impl FnOnce() -> Settings) -> Arc<Settings> {
        Arc::clone(self.settings.lock().entry(listener).or_insert_with(|| Arc::new(make())))
    }

    // --- owners ---

    /// Who is asked for an account in this slot, and the slot's epoch; without a slot, anyone. None: nobody, for now.
    pub(crate) fn owner(&self, slot: Option<u16>) -> Option<(Arc<Link>, u64)> {
        let owner = match slot {
            Some(slot) => self.table.lock().owner(slot).map(|(link, epoch)| (Arc::clone(link), epoch)),
            None => self.anyone().map(|link| (link, 0)),
        };
        owner.filter(|(link, _)| link.is_up())
    }

    /// An owner that is there, in turn.
    fn anyone(&self) -> Option<Arc<Link>> {
        let links = self.links.lock();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % links.len().max(1);
        links[turn..].iter().chain(&links[..turn]).find(|link| link.is_up() && link.is_listed()).cloned()
    }

    /// Whether this owner takes something new for the slot.
    pub(crate) fn takes(&self, link: &Arc<Link>, slot: u16) -> bool {
        self.table.lock().owner(slot).is_some_and(|(owner, _)| Arc::ptr_eq(owner, link))
    }

    /// Whether somebody else than this one owns the slot.
    pub(crate) fn is_elsewhere(&self, slot: u16, link: &Arc<Link>) -> bool {
        self.table.lock().is_elsewhere(slot, link)
    }

    /// The client is nudged when owners have said something new.
    pub(crate) fn wait(&self, client: &Arc<Client>) {
        self.waiting.lock().insert(Arc::as_ptr(client) as usize, Arc::downgrade(client));
    }

    pub(crate) fn nudge_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.values().filter_map(Weak::upgrade).for_each(|client| client.nudge());
    }

    /// Streams that owners have not said to be over.
    pub(crate) fn streams(&self) -> usize {
        self.links.lock().iter().map(|link| link.streams()).sum()
    }

    // --- clients ---

    pub(crate) fn enter(&self, client: &Arc<Client>) {
        self.clients.lock().insert(Arc::as_ptr(client) as usize, Arc::downgrade(client));
    }

    pub(crate) fn leave(&self, client: &Arc<Client>) {
        let key = Arc::as_ptr(client) as usize;
        self.clients.lock().remove(&key);
        self.waiting.lock().remove(&key);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.has_begun()
    }

    /// Nobody is let in any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Reads the certificates again.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload(&self.config))
    }

    // --- hosts ---

    /// What an owner says of its hosts; all owners say the same.
    pub(crate) fn welcome(&self, welcome: Welcome) {
        self.admission.share(welcome.admissions_per_s);
        let nonzero = |bytes: u32| (bytes > 0).then_some(bytes);
        let hosts = welcome.hosts.into_iter().map(|host| {
            let domain: Box<str> = host.domain.into();
            let caps = (!host.caps_ver.is_empty()).then(|| (host.caps_node.into(), host.caps_ver.into()));
            let host = Host {
                domain: domain.clone(),
                register: host.register,
                anonymous: host.anonymous,
                caps,
                stanza_bytes_max: nonzero(host.stanza_bytes_max),
            };
            (domain, Arc::new(host))
        });
        self.hosts.store(Some(Arc::new(hosts.collect())));
        let early = std::mem::take(&mut *self.early.lock());
        early.iter().filter_map(Weak::upgrade).for_each(|client| client.nudge());
    }

    pub(crate) fn host(&self, domain: &str, client: &Arc<Client>) -> Found {
        if let Some(hosts) = &*self.hosts.load() {
            return hosts.get(domain).cloned().map_or(Found::Unknown, Found::Host);
        }
        self.early.lock().push(Arc::downgrade(client));
        // They may have come while this client was put down.
        match &*self.hosts.load() {
            Some(hosts) => hosts.get(domain).cloned().map_or(Found::Unknown, Found::Host),
            None => Found::Later,
        }
    }

    // --- places ---

    /// A place for a connection from there, if there is one.
    pub(crate) fn place(&self, address: IpAddr) -> Option<Place> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        let limits = &self.config.limits;
        let address = address.to_canonical();
        let mut places = self.places.lock();
        if places.taken >= limits.connections_max {
            metrics::REFUSED.inc();
            return None;
        }
        if !address.is_loopback() {
            let count = places.by_address.entry(network(address)).or_insert(0);
            if *count >= limits.connections_per_address_max {
                metrics::REFUSED.inc();
                return None;
            }
            *count += 1;
        }
        places.taken += 1;
        metrics::ACCEPTED.inc();
        metrics::CONNECTIONS.inc();
        let address = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Some(Place { places: Arc::clone(&self.places), address })
    }
}

impl Place {
    pub(crate) fn address(&self) -> IpAddr {
        self.address.to_canonical()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::CONNECTIONS.dec();
        let mut places = self.places.lock();
        places.taken -= 1;
        let network = network(self.address());
        if let Some(count) = places.by_address.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                places.by_address.remove(&network);
            }
        }
    }
}

/// What one user can easily have: an IPv4 address, or a /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_a_bounded_number_of_places() {
        let mut config = Config::default();
        config.limits.connections_per_address_max = 2;
        config.limits.connections_max = 3;
        let hub = Hub::new(config, None, Drain::new().1);
        let place = |text: &str| hub.place(text.parse().unwrap());
        let first = place("2001:db8::1");
        let second = place("2001:db8::2");
        assert!(first.is_some() && second.is_some());
        assert!(place("2001:db8::3").is_none(), "the same /64");
        drop(first);
        let third = place("2001:db8::3");
        assert!(third.is_some());
        let _local = [place("127.0.0.1"), place("::ffff:127.0.0.1")];
        assert!(place("127.0.0.1").is_none(), "there is a limit for all");
    }
}
