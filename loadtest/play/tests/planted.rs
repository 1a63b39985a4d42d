//! Faults planted between generator and server: the ledger finds every one of them, and invents none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod stand;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use figures::{Kind, MessageId, Verdict};
use parking_lot::Mutex;
use rig::faults::{Log, Plan, Proxy, Towards};

use stand::{null_server, options, played, scenario};

/// One in so many stanzas is hit by each kind.
const ONE_IN: u32 = 100;
const HELD: Duration = Duration::from_millis(1500);

/// What the proxy has written.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    /// Sender and sequence number of what was planted of a kind.
    fn planted(&self, kind: &str) -> BTreeSet<(u32, u64)> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_kind = lines.filter(|line| line["kind"] == kind);
        of_kind
            .map(|line| MessageId::parse(line["id"].as_str().unwrap().as_bytes()).unwrap())
            .map(|id| (id.from, id.seq))
            .collect()
    }
}

fn found(verdict: &Verdict, kind: Kind) -> BTreeSet<(u32, u64)> {
    let of_kind = verdict.offences.iter().filter(|offence| offence.kind == kind);
    of_kind.map(|offence| (offence.from, offence.seq)).collect()
}

async fn behind(plan: Plan, paper: &Paper) -> Verdict {
    let server = null_server();
    let log = Log::new(paper.clone());
    let proxy = Proxy::bind(([127, 0, 0, 1], 0).into(), server, plan, Towards::Client, log).await.unwrap();
    let options = options(proxy.address().unwrap());
    tokio::spawn(proxy.run(None));
    let script =
        "script = [{ until = 'steady' }, { repeat = { pace = { rate = 1000 }, steps = [{ chat = {} }] } }]";
    let text = scenario(script) + "[ledger]\ndelayed-after = '1s'\nsettle = '3s'\n";
    played(&text, options).await.ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_is_lost_and_what_comes_twice_is_doubled() {
    let paper = Paper::default();
    let plan = Plan { drop_one_in: ONE_IN, double_one_in: ONE_IN, ..Plan::default() };
    let verdict = behind(plan, &paper).await;

    assert!(verdict.sent > 1000, "{}", verdict.sent);
    assert!(!paper.planted("drop").is_empty() && !paper.planted("double").is_empty());
    assert_eq!(found(&verdict, Kind::Lost), paper.planted("drop"));
    assert_eq!(found(&verdict, Kind::Doubled), paper.planted("double"));
    assert_eq!(verdict.lost + verdict.delivered, verdict.sent);
    assert_eq!((verdict.reordered, verdict.delayed, verdict.astray), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_delayed_and_what_is_overtaken_is_reordered() {
    let paper = Paper::default();
    let plan = Plan { delay_one_in: ONE_IN, delay: HELD, reorder_one_in: ONE_IN, ..Plan::default() };
    let verdict = behind(plan, &paper).await;

    let held: BTreeSet<_> = paper.planted("delay");
    assert!(!held.is_empty() && !paper.planted("reorder").is_empty());
    let delayed = found(&verdict, Kind::Delayed);
    assert!(held.is_subset(&delayed), "not found: {:?}", held.difference(&delayed));
    let behind_them: BTreeSet<_> = held.union(&paper.planted("behind")).copied().collect();
    let overtaken = paper.planted("reorder");
    let known: BTreeSet<_> = behind_them.union(&overtaken).copied().collect();
    assert!(delayed.is_subset(&known), "invented: {:?}", delayed.difference(&known));
    assert_eq!(found(&verdict, Kind::Reordered), overtaken);
    assert_eq!((verdict.lost, verdict.doubled, verdict.astray), (0, 0, 0));
}
