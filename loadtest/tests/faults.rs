//! The ledger is doubted: a proxy between the generator and a server plants faults, and logs each. The ledger must find all of
//! them, name them, and find nothing else. And the latencies are: when all stands still, they must show it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use figures::{Address, Kind as Wrong, MessageId, Record};
use play::{Endpoint, Options, Part};
use rig::faults::{Kind, Log, Plan, Planted, Proxy, Towards};
use rig::null;
use scenario::Scenario;

/// Longer under way is delayed, says the scenario; the proxy holds what it delays for twice as long.
const DELAYED_AFTER_MS: u64 = 3000;
/// Between the generator's clocks and the proxy's there are queues: so near to the limit, either verdict is right.
const EITHER_MS: u64 = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn all_planted_faults_are_found_and_no_other() {
    let plan =
        Plan { drop_one_in: 200, double_one_in: 200, delay_one_in: 1000, reorder_one_in: 200, ..plan() };
    let planted_least = 20;
    play_through(plan, &[("rate", 1000.0), ("play_s", 5.0)], planted_least).await;
}

/// `make faults`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn one_in_ten_thousand_is_found_among_a_million() {
    let one_in = 10_000;
    let plan = Plan {
        drop_one_in: one_in,
        double_one_in: one_in,
        delay_one_in: one_in,
        reorder_one_in: one_in,
        ..plan()
    };
    play_through(plan, &[("users", 200.0), ("rate", 8000.0), ("play_s", 125.0)], 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_of_a_second_is_in_every_percentile_it_must_be_in() {
    let (after, lasts) = (Duration::from_secs(6), Duration::from_secs(1));
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stall.jsonl");
    let endpoint = rig_up(Plan::default(), &log, Some((after, lasts))).await;

    let record = play(endpoint, &[("rate", 500.0), ("play_s", 10.0)]).await;

    // A tenth of the messages was to be sent within that second, and waited between one second and nothing.
    let chat = &record.latencies["chat"]["play"];
    let at_least = [(chat.p95_us, 0.5), (chat.p99_us, 0.9), (chat.p999_us, 0.99), (chat.max_us, 0.99)];
    for (us, share_of_stall) in at_least {
        let floor_us = lasts.mul_f64(share_of_stall * 0.8).as_micros() as u64;
        assert!(us >= floor_us, "{us} µs, and at least {floor_us} were: {chat:?}");
    }
    assert!(record.ledger.is_clean(), "only late: {:?}", record.ledger);
    assert!(2 * chat.p50_us < chat.p99_us, "most messages did not meet it: {chat:?}");
}

fn plan() -> Plan {
    Plan { delay: Duration::from_millis(2 * DELAYED_AFTER_MS), ..Plan::default() }
}

async fn play_through(plan: Plan, parameters: &[(&str, f64)], planted_least: usize) {
    // Kept, for whoever wants to know.
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("planted-{planted_least}.jsonl"));
    let endpoint = rig_up(plan, &log, None).await;

    let record = play(endpoint, parameters).await;
    let planted = read(&log);
    let (certain, possible) = expected(&planted);
    let found: BTreeSet<Found> = record.ledger.offences.iter().map(Found::of).collect();

    println!("{} messages, {} planted, {} found", record.ledger.sent, planted.len(), found.len());
    for kind in [Wrong::Lost, Wrong::Doubled, Wrong::Delayed, Wrong::Reordered] {
        let count = certain.iter().filter(|found| found.kind == kind).count();
        assert!(count > 0 && certain.len() >= planted_least, "too little was planted: {count} {kind}");
    }
    let missed: Vec<_> = certain.difference(&found).collect();
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
    let invented: Vec<_> = found.difference(&possible).collect();
    assert!(invented.is_empty(), "found and not planted: {invented:?}");
}

/// The null server, and the proxy before it. It stalls so long after now, for so long.
async fn rig_up(plan: Plan, log: &Path, stall: Option<(Duration, Duration)>) -> Endpoint {
    let any = "127.0.0.1:0".parse().expect("an address");
    let options = null::Options { plain: Some(any), direct: None, domain: "localhost".to_owned() };
    let server = null::Server::bind(&options).expect("a server");
    let address = server.addresses().expect("addresses").0.expect("one for TCP");
    tokio::spawn(server.serve());

    let log = Log::create(log).expect("a log");
    let proxy = Proxy::bind(any, address, plan, Towards::Client, log).await.expect("a proxy");
    let address = proxy.address().expect("an address");
    tokio::spawn(proxy.run(stall));
    Endpoint { address, path: None }
}

async fn play(endpoint: Endpoint, parameters: &[(&str, f64)]) -> Record {
    let overrides = parameters.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let scenario = Scenario::parse(include_str!("pairs.toml"), "pairs.toml", &overrides).expect("a scenario");
    let options = Options {
        endpoints: vec![endpoint],
        target: "null server".to_owned(),
        domain: "localhost".to_owned(),
        tls: client::Tls::insecure().expect("no TLS is used"),
        sources: Vec::new(),
        watch: BTreeMap::new(),
        metrics: None,
        hooks: BTreeMap::new(),
        seed: 1,
        worker: Part { index: 0, of: 1 },
        others: None,
        run: 1,
        start: None,
        stop: Arc::default(),
    };
    let played = play::run(&scenario, options, |_| ()).await.expect("a run");
    played.settle(&scenario.ledger)
}

fn read(log: &Path) -> Vec<Planted> {
    let text = std::fs::read_to_string(log).expect("a log");
    text.lines().map(|line| serde_json::from_str(line).expect("a line as it was written")).collect()
}

/// A fault of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    kind: Wrong,
    from: u32,
    to: Address,
    seq: u64,
}

impl Found {
    fn of(offence: &figures::Offence) -> Found {
        Found { kind: offence.kind, from: offence.from, to: offence.to, seq: offence.seq }
    }
}

/// What the ledger must find, and what it may find.
fn expected(planted: &[Planted]) -> (BTreeSet<Found>, BTreeSet<Found>) {
    let (mut certain, mut possible) = (BTreeSet::new(), BTreeSet::new());
    for planted in planted {
        let kind = match planted.kind {
            Kind::Drop => Wrong::Lost,
            Kind::Double => Wrong::Doubled,
            Kind::Reorder => Wrong::Reordered,
            Kind::Delay | Kind::Behind if planted.held_ms + EITHER_MS < DELAYED_AFTER_MS => continue,
            Kind::Delay | Kind::Behind => Wrong::Delayed,
            Kind::Stall => continue,
        };
        let id = MessageId::parse(planted.id.as_bytes()).expect("the id of a followed message");
        let found = Found { kind, from: id.from, to: id.to, seq: id.seq };
        if kind != Wrong::Delayed || planted.held_ms > DELAYED_AFTER_MS + EITHER_MS {
            certain.insert(found.clone());
        }
        possible.insert(found);
    }
    (certain, possible)
}
