//! An owner: all the accounts of its slots, and what they need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use features::account::Origin;
use features::chain::Chain;
use features::host::Host;
use features::ports::Ports;
use hashbrown::{HashMap, HashSet};
use node::Peers;
use parking_lot::Mutex;
use store::{Store, Uid};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xmpp::jid::Jid;

use crate::config::Config;
use crate::directory::Sessions;
use crate::edges::Link;
use crate::events::Events;
use crate::gathering::Gathering;
use crate::lease::Lease;
use crate::login;
use crate::passwords::Hashes;
use crate::registrar::Registrar;
use crate::router_link::Routes;
use crate::shard::{SHARDS, Shard, of, of_slot};
use crate::slots::Slots;
#[cfg(test)]
use crate::testing::time::unix_ms;
use crate::tick::TICK_MS;
use crate::work::Work;

/// Ended streams whose `h` is remembered for a client that comes too late to resume (XEP-0198 §5).
const ENDED_MAX: usize = 10_000;

/// An owner of accounts.
pub struct Owner {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) chain: Chain,
    pub(crate) clock: Clock,
    pub(crate) shards: Box<[Shard]>,
    /// Which life of this member it is.
    pub(crate) epoch: u64,
    pub(crate) slots: Slots,
    pub(crate) lease: Lease,
    /// It must not do anything any more.
    pub(crate) fenced: CancellationToken,
    /// It is about to end, and gives away what it has.
    pub(crate) leaving: CancellationToken,
    /// It has.
    pub(crate) left: CancellationToken,
    /// Slots it has let go of, and the table has not been told.
    pub(crate) released: Mutex<HashSet<u16>>,
    pub(crate) registrar: Registrar,
    pub(crate) incarnation: u64,
    pub(crate) secret: [u8; 32],
    pub(crate) passwords: Arc<Hashes>,
    pub(crate) limits: login::Limits,
    pub(crate) writer: crate::writer::Writer,
    /// None: nobody wants to hear of anything.
    pub(crate) events: Option<Events>,
    pub(crate) routes: Routes,
    pub(crate) gathering: Gathering,
    pub(crate) links: Mutex<Vec<Link>>,
    hosts: HashMap<Box<str>, Arc<Host>>,
    ended: Mutex<Ended>,
    made: AtomicU64,
    /// Edges that come now are turned away.
    stopped: AtomicBool,
}

/// What time it is.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// How far it was put forward, in milliseconds; modulo 2^64, so that it may have been put back.
    #[cfg(test)]
    skipped_ms: AtomicU64,
}

#[derive(Default)]
struct Ended {
    h: HashMap<Origin, (Jid, u32)>,
    order: std::collections::VecDeque<Origin>,
}

impl Clock {
    /// Unix milliseconds.
    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "only tests put it forward or back"))]
    pub(crate) fn now_ms(&self) -> u64 {
        let now_ms = unix_ms();
        #[cfg(test)]
        let now_ms = now_ms.wrapping_add(self.skipped_ms.load(Ordering::Relaxed));
        now_ms
    }

    /// Puts the clock forward.
    #[cfg(test)]
    pub(crate) fn skip(&self, ms: u64) {
        self.skipped_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Puts the clock back.
    #[cfg(test)]
    pub(crate) fn step_back(&self, ms: u64) {
        self.skipped_ms.fetch_sub(ms, Ordering::Relaxed);
    }
}

impl Owner {
    /// Starts an owner over a store: raises its epoch, connects to the routers, lets time pass for it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn start(
        config: Config,
        store: Store,
        hosts: Vec<Host>,
        routers: Peers,
    ) -> Result<Arc<Self>, store::Error> {
        let epoch = store.epochs.raise(&config.member).await?;
        for host in hosts.iter().filter(|host| host.anonymous && config.owners.is_empty() && !config.shared) {
            login::anonymous::sweep(&store, host.domain.domain()).await?;
        }
        let secret = login::secret::load(&store, hosts.first().map(|host| &host.domain)).await?;
        let passwords = Arc::new(Hashes::new(config.password_rounds));
        let clock = Clock::default();
        let owner = Arc::new_cyclic(|owner| {
            let ports = Ports {
                store: store.clone(),
                directory: Arc::new(Sessions::new(owner.clone())),
                passwords: Arc::clone(&passwords) as _,
            };
            Self {
                writer: crate::writer::Writer::default(),
                events: Events::begin(&store),
                gathering: Gathering::new(config.edges),
                routes: Routes::new(owner.clone(), config.clone(), epoch),
                limits: login::Limits::new(&config, &store.counters),
                slots: Slots::default(),
                lease: if config.shared { Lease::none_yet() } else { Lease::for_ever() },
                fenced: CancellationToken::new(),
                leaving: CancellationToken::new(),
                left: CancellationToken::new(),
                released: Mutex::default(),
                registrar: Registrar::default(),
                chain: Chain::new(&ports),
                shards: (0..SHARDS).map(|_| Shard::default()).collect(),
                incarnation: clock.now_ms(),
                links: Mutex::new(Vec::new()),
                hosts: hosts.into_iter().map(|host| (host.domain.as_str().into(), Arc::new(host))).collect(),
                ended: Mutex::new(Ended::default()),
                made: AtomicU64::new(0),
                stopped: AtomicBool::new(false),
                config,
                store,
                clock,
                epoch,
                secret,
                passwords,
            }
        });
        if owner.config.shared {
            owner.store.members.join(&owner.config.member, epoch).await?;
        } else {
            let fixed = (0..node::slots::SLOTS).filter(|slot| owner.config.owns(*slot));
            owner.take(&fixed.map(|slot| (slot, epoch)).collect::<Vec<_>>());
        }
        tokio::spawn(crate::router_stream::follow(Arc::downgrade(&owner), routers));
        tokio::spawn(tick(Arc::downgrade(&owner)));
        if owner.config.shared {
            tokio::spawn(crate::ownership::beat(Arc::downgrade(&owner)));
            tokio::spawn(crate::ownership::look(Arc::downgrade(&owner)));
            tokio::spawn(crate::registrar::write(Arc::downgrade(&owner)));
        }
        Ok(owner)
    }

    /// Ends all streams of an account with a stream error condition; with `removed`, forgets the account.
    pub fn end(self: &Arc<Self>, account: &Jid, condition: &'static str, removed: bool) {
        self.post(of(account.bare_str()), Work::EndAll(account.bare(), condition, removed));
    }

    /// The sessions of this owner, for administration.
    pub fn directory(self: &Arc<Self>) -> Arc<dyn features::ports::Directory> {
        Arc::new(Sessions::new(Arc::downgrade(self)))
    }

    /// Full JIDs of all sessions, in no order.
    pub fn online(&self) -> Vec<Jid> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let state = shard.state.lock();
            for (_, resident) in &state.residents {
                all.extend(resident.account.sessions.iter().map(|session| session.jid.clone()));
            }
        }
        all
    }

    /// Says goodbye to all edges: they keep their clients and look for the next owner. Cursors are saved.
    /// Where slots are shared the others get them first.
    pub async fn stop(self: &Arc<Self>) {
        if self.config.shared {
            self.leave(Instant::now() + Duration::from_millis(self.config.hand_over_ms_max)).await;
        }
        let cursors: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| {
                let state = shard.state.lock();
                let changed = state.residents.iter().filter(|(_, resident)| resident.archive.changed);
                changed
                    .map(|(_, resident)| (resident.account.jid.clone(), resident.archive.cursor()))
                    .collect::<Vec<_>>()
            })
            .collect();
        if let Err(error) = self.store.cursors.save(&cursors).await {
            tracing::warn!(%error, "cursors could not be saved, some messages may come again at the next login");
        }
        if let Some(events) = &self.events {
            events.finish().await;
        }
        // Under the lock of `links`: an edge that comes back at once either finds this, or is closed with the others.
        let mut links = self.links.lock();
        self.stopped.store(true, Ordering::Relaxed);
        for link in links.drain(..) {
            link.close();
        }
    }

    /// A new edge; false: it has to look for another owner.
    pub(crate) fn admit(&self, link: &Link) -> bool {
        let mut links = self.links.lock();
        let admitted = !self.stopped.load(Ordering::Relaxed);
        if admitted {
            links.push(link.clone());
        }
        admitted
    }

    pub(crate) fn host(&self, domain: &str) -> Option<Arc<Host>> {
        self.hosts.get(domain).cloned()
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.values()
    }

    /// A new stream of an account: random, but for the slot it begins with.
    pub(crate) fn new_stream(account: &Jid) -> Origin {
        let mut id = random::<16>();
        id[..2].copy_from_slice(&node::slots::of(account.bare_str(), "").to_be_bytes());
        id
    }

    pub(crate) fn random_resource() -> String {
        URL_SAFE_NO_PAD.encode(random::<9>())
    }

    /// The uid of something no stanza has caused.
    pub(crate) fn own_uid(&self, address: &Jid) -> Uid {
        let slot = node::slots::of(address.bare_str(), "");
        let mut origin = [0; 16];
        origin[..8].copy_from_slice(&self.slots.epoch(slot).to_be_bytes());
        origin[8..].copy_from_slice(&self.epoch.to_be_bytes());
        let n = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        Uid { origin: crate::send::derive(&origin, address.as_str()), n, k: 0 }
    }

    /// Rows since then may be of stanzas that come again.
    pub(crate) fn marks_since_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.marks_window_ms())
    }

    /// For how long a stanza may come again.
    pub(crate) fn marks_window_ms(&self) -> u64 {
        self.config.item_lifetime_ms + u64::from(self.config.resume_max_s) * 1_000
    }

    pub(crate) fn remember_ended(&self, account: &Jid, stream: Origin, h: u64) {
        let mut ended = self.ended.lock();
        if ended.order.len() >= ENDED_MAX
            && let Some(oldest) = ended.order.pop_front()
        {
            ended.h.remove(&oldest);
        }
        ended.h.insert(stream, (account.clone(), h as u32));
        ended.order.push_back(stream);
    }

    /// How far the stanzas of an account's stream were finished; nobody else is told.
    pub(crate) fn ended_h(&self, account: &Jid, stream: Origin) -> Option<u32> {
        self.ended.lock().h.get(&stream).filter(|(owner, _)| owner == account).map(|(_, h)| *h)
    }
}

/// What a client says to resume a stream (XEP-0198 §5).
pub(crate) fn resumption_id(stream: &Origin) -> String {
    URL_SAFE_NO_PAD.encode(stream)
}

/// The stream that a client wants to resume, if that is one at all.
pub(crate) fn stream_of(resumption_id: &str) -> Option<Origin> {
    URL_SAFE_NO_PAD.decode(resumption_id).ok()?.try_into().ok()
}

/// Bytes nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(test)]
    if crate::simulation::fill(&mut bytes) {
        return bytes;
    }
    // Without the system's randomness nothing here is safe, and no client may be let in.
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

#[cfg(not(test))]
fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

async fn tick(owner: std::sync::Weak<Owner>) {
    let mut interval = tokio::time::interval(Duration::from_millis(TICK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let Some(owner) = owner.upgrade() else { return };
        owner.post_all((0..SHARDS).map(|shard| (of_slot(shard as u16), Work::Tick)));
        owner.routes.tick(owner.clock.now_ms());
    }
}
