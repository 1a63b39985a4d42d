//! Many stanzas through a server of separate roles while each role in turn dies or ends and comes back (DELIVERY:
//! docs/delivery.md). A ledger then says whether what was acknowledged has arrived, once and in order.
//!
//! `FAULTS=0123` chooses some by their places in the list.
//!
//! `STANZAS=100000 cargo test -p throng-tests --test soak -- --ignored --nocapture`

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use throng_tests::client::{Client, Saved};
use throng_tests::pattern::told;
use throng_tests::server::{Role, Server, Topology, build};
use throng_tests::stage::{Stage, Way};
use tokio::task::JoinSet;
use tokio::time::sleep;
use xmpp::xml::Element;

/// Two talk to each other.
const PAIRS: usize = 10;
/// Stanzas that a client has sent and not heard to be acknowledged.
const OPEN_MAX: usize = 50;
/// A client that has not come back by then never does.
const AWAY_MAX: Duration = Duration::from_mins(2);
/// Without a stanza for so long nothing more is to come.
const QUIET: Duration = Duration::from_secs(20);

/// What happens, over and over: the role, and whether it dies rather than ends.
const FAULTS: [(Role, bool); 8] = [
    (Role::Edge(0), true),
    (Role::Session, true),
    (Role::Router, true),
    (Role::Edge(1), true),
    (Role::Session, false),
    (Role::Edge(0), false),
    (Role::Router, false),
    (Role::Edge(1), false),
];

/// Progress of all.
#[derive(Default)]
struct Common {
    acknowledged: AtomicUsize,
    arrived: AtomicUsize,
    /// Clients that have not heard all of theirs acknowledged.
    busy: AtomicU32,
}

/// One client's part of the ledger. Stanzas have numbers from 0.
#[derive(Default)]
struct Ledger {
    name: String,
    sent: u32,
    acknowledged: BTreeSet<u32>,
    /// Came back as an error: outcome unknown, at most once.
    refused: BTreeSet<u32>,
    /// From the partner, in the order of arrival.
    arrived: Vec<u32>,
    resumptions: u32,
    /// The longest time without a stream.
    away: Duration,
    /// Its stream could not be resumed; it gave up.
    lost: bool,
}

struct Talker {
    stage: Stage,
    client: Option<Client>,
    partner: String,
    target: u32,
    edge: usize,
    ledger: Ledger,
    common: Arc<Common>,
}

#[test]
#[ignore = "takes minutes; `make soak`"]
fn what_was_acknowledged_arrives_once_and_in_order_while_every_role_is_restarted() {
    let stanzas = std::env::var("STANZAS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    build().expect("the server is built");
    // Attempts of clients to come back may fail; what this thread does may not.
    let told_before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name().is_none_or(|name| !name.starts_with("tokio")) {
            told_before(panic);
        }
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let problems = runtime.block_on(soak(stanzas));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

async fn soak(stanzas: usize) -> Vec<String> {
    let server = Arc::new(Server::start(Topology::Split, &[]).await.expect("the server starts"));
    let stage = Stage::new(Arc::clone(&server));
    let target = stanzas.div_ceil(PAIRS * 2) as u32;
    let common = Arc::new(Common { busy: AtomicU32::new(PAIRS as u32 * 2), ..Common::default() });
    let mut all = Vec::new();
    for pair in 0..PAIRS {
        for (name, partner) in
            [(format!("a{pair}"), format!("b{pair}")), (format!("b{pair}"), format!("a{pair}"))]
        {
            all.push(Talker::new(&stage, &name, &partner, target, pair % 2, Arc::clone(&common)).await);
        }
    }
    let talkers: JoinSet<Ledger> = all.into_iter().map(Talker::talk).collect();
    let begun = Instant::now();
    let faults = make_faults(&stage, &common).await;
    let ledgers: Vec<Ledger> = talkers.join_all().await;
    let problems = check(&ledgers);
    if !problems.is_empty() && std::env::var_os("KEEP").is_some() {
        println!("logs are in {}", server.folder().display());
        sleep(Duration::from_secs(10)).await;
    }
    let sum = |count: fn(&Ledger) -> usize| ledgers.iter().map(count).sum::<usize>();
    println!(
        "{} sent, {} acknowledged, {} arrived, {} refused with an unknown outcome; {faults} faults, {} resumptions, \
         {} streams lost; the longest absence {:.1?}; {:.0?}",
        sum(|ledger| ledger.sent as usize),
        sum(|ledger| ledger.acknowledged.len()),
        sum(|ledger| ledger.arrived.len()),
        sum(|ledger| ledger.refused.len()),
        sum(|ledger| ledger.resumptions as usize),
        sum(|ledger| usize::from(ledger.lost)),
        ledgers.iter().map(|ledger| ledger.away).max().unwrap_or_default(),
        begun.elapsed(),
    );
    problems.into_iter().chain(server.panics()).collect()
}

/// Until all is acknowledged; returns how many there were.
async fn make_faults(stage: &Stage, common: &Common) -> usize {
    let mut count = 0;
    let chosen = std::env::var("FAULTS").unwrap_or_else(|_| "01234567".into());
    let chosen: Vec<_> =
        chosen.bytes().filter_map(|digit| FAULTS.get(usize::from(digit.wrapping_sub(b'0')))).collect();
    while common.busy.load(Ordering::Relaxed) > 0 {
        sleep(Duration::from_millis(1_500)).await;
        let (role, dies) = *chosen[count % chosen.len()];
        if dies {
            stage.kills(role).await;
        } else {
            stage.stops(role).await;
        }
        // Long enough to be noticed, shorter than anybody's patience.
        sleep(Duration::from_millis(300)).await;
        stage.begins(role).await;
        count += 1;
        let (acknowledged, arrived) =
            (common.acknowledged.load(Ordering::Relaxed), common.arrived.load(Ordering::Relaxed));
        let verb = if dies { "killed" } else { "ended" };
        println!("{role:?} was {verb} and has begun again; {acknowledged} acknowledged, {arrived} arrived");
    }
    count
}

impl Talker {
    async fn new(
        stage: &Stage,
        name: &str,
        partner: &str,
        target: u32,
        edge: usize,
        common: Arc<Common>,
    ) -> Talker {
        let ledger = Ledger { name: name.to_owned(), ..Ledger::default() };
        let (stage, partner) = (stage.clone(), partner.to_owned());
        let mut talker = Talker { stage, client: None, partner, target, edge, ledger, common };
        talker.client = Some(talker.fresh().await);
        talker
    }

    /// A new stream. Presence is sent before anything counts.
    async fn fresh(&self) -> Client {
        let who = format!("{}/soak", self.ledger.name);
        let mut client = self.stage.bound_over(&who, Way::Tcp, self.edge).await;
        client.is_available().await;
        client.enables_management().await;
        client
    }

    /// Sends and receives until all own stanzas are acknowledged and the partner has fallen silent.
    async fn talk(mut self) -> Ledger {
        let mut was_busy = true;
        let mut heard = Instant::now();
        loop {
            let Some(mut client) = self.client.take() else {
                self.ledger.lost = true;
                self.common.busy.fetch_sub(u32::from(was_busy), Ordering::Relaxed);
                return self.ledger;
            };
            if self.ledger.sent < self.target && client.open() < OPEN_MAX {
                self.send(&mut client).await;
            }
            let may_send = self.ledger.sent < self.target && client.open() < OPEN_MAX;
            let limit = if may_send { Duration::ZERO } else { Duration::from_millis(500) };
            match client.hears_within(limit).await {
                Ok(Some(element)) => {
                    if self.hear(&element) {
                        heard = Instant::now();
                    }
                    self.client = Some(client);
                }
                Ok(None) => {
                    if !may_send && client.open() > 0 {
                        client.sends("<r xmlns='urn:xmpp:sm:3'/>").await;
                    }
                    self.client = Some(client);
                }
                Err(()) => self.come_back(client).await,
            }
            self.note_acknowledged();
            let done = self.ledger.sent == self.target
                && self.client.as_mut().is_none_or(|client| client.open() == 0);
            if done && was_busy {
                was_busy = false;
                self.common.busy.fetch_sub(1, Ordering::Relaxed);
            }
            let all_here = self.ledger.arrived.last() == Some(&(self.target - 1));
            let over = self.common.busy.load(Ordering::Relaxed) == 0;
            if done && over && heard.elapsed() > if all_here { QUIET / 10 } else { QUIET } {
                return self.ledger;
            }
        }
    }

    async fn send(&mut self, client: &mut Client) {
        let n = self.ledger.sent;
        // Some are kept in the archive, some in the hands of two processes only.
        let ty = if n % 10 == 9 { "headline" } else { "chat" };
        let to = format!("{{{}/soak}}", self.partner);
        client.sends(&format!("<message to='{to}' type='{ty}' id='{n}'><body>{n}</body></message>")).await;
        if n % 20 == 19 {
            client.sends("<r xmlns='urn:xmpp:sm:3'/>").await;
        }
        self.ledger.sent += 1;
    }

    /// Whether it was the partner.
    fn hear(&mut self, element: &Element) -> bool {
        let number = element.attribute("id").and_then(|id| id.parse().ok());
        let (true, Some(number)) = (element.name() == "message", number) else { return false };
        if element.attribute("type") == Some("error") {
            self.ledger.refused.insert(number);
        } else {
            self.ledger.arrived.push(number);
            self.common.arrived.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Whatever is not open any more was acknowledged.
    fn note_acknowledged(&mut self) {
        let Some(client) = &mut self.client else { return };
        let end = self.ledger.sent - client.open() as u32;
        let next = self.ledger.acknowledged.last().map_or(0, |last| last + 1);
        for number in next..end {
            self.ledger.acknowledged.insert(number);
            self.common.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Resumes, at one edge or the other.
    async fn come_back(&mut self, mut client: Client) {
        let saved = client.vanishes_for_a_while();
        let begun = Instant::now();
        while begun.elapsed() < AWAY_MAX {
            self.edge = 1 - self.edge;
            // An attempt that meets a process on its way out or in panics, like any broken expectation.
            match AssertUnwindSafe(self.attempt(saved.clone())).catch_unwind().await {
                Ok(Some(client)) => {
                    self.client = client;
                    self.ledger.away = self.ledger.away.max(begun.elapsed());
                    return;
                }
                Ok(None) | Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// None: not now; `Some(None)`: never.
    async fn attempt(&mut self, saved: Saved) -> Option<Option<Client>> {
        let name = self.ledger.name.clone();
        let mut client = self.stage.logged_in(&name, Way::Tcp, self.edge).await;
        client.asks_to_resume(saved).await;
        let answer = client.hears_within(Duration::from_secs(20)).await.ok()??;
        if answer.name() != "resumed" {
            println!("{name} was not resumed: {}", told(&answer));
            return Some(None);
        }
        client.sends_again().await;
        self.ledger.resumptions += 1;
        Some(Some(client))
    }
}

/// What is wrong.
fn check(ledgers: &[Ledger]) -> Vec<String> {
    let mut problems = Vec::new();
    for sender in ledgers {
        let partner = sender.name.replace('a', "x").replace('b', "a").replace('x', "b");
        let Some(receiver) = ledgers.iter().find(|ledger| ledger.name == partner) else { continue };
        let way = format!("{} → {partner}", sender.name);
        let arrived: BTreeSet<u32> = receiver.arrived.iter().copied().collect();
        let missing: Vec<&u32> = sender
            .acknowledged
            .iter()
            .filter(|number| !arrived.contains(number) && !sender.refused.contains(number))
            .collect();
        if !missing.is_empty() {
            problems.push(format!(
                "{way}: acknowledged and missing: {} as {:?}",
                missing.len(),
                &missing[..missing.len().min(20)]
            ));
        }
        if arrived.len() < receiver.arrived.len() {
            problems.push(format!("{way}: {} came twice", receiver.arrived.len() - arrived.len()));
        }
        let disorder: Vec<&[u32]> =
            receiver.arrived.windows(2).filter(|pair| pair[1] < pair[0]).take(20).collect();
        if !disorder.is_empty() {
            problems.push(format!("{way}: out of order: {disorder:?}"));
        }
        if sender.acknowledged.len() < sender.sent as usize {
            problems.push(format!("{way}: {} of {} acknowledged", sender.acknowledged.len(), sender.sent));
        }
        if sender.lost {
            problems.push(format!("{}: its stream could not be resumed", sender.name));
        }
    }
    problems
}
