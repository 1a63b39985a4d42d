//! Many messages in many archives, read and written at the same time, against a plain model; and what that takes.
//!
//! `make archive-model`; `ARCHIVE_ROWS`, `ARCHIVES` and `WRITERS` in the environment say how many.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use store::{Direction, Row, Store, Uid};
use xmpp::jid::Jid;

use crate::cluster::Keyspace;

const PAGE: usize = 50;
/// Pages read for each thousand rows written.
const PAGES_PER_THOUSAND: u64 = 20;
const STANZA_BYTES: usize = 300;

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A generator of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What each archive has: of each id, whom it is with.
type Model = Vec<Mutex<BTreeMap<u64, u8>>>;

#[derive(Default)]
struct Figures {
    written: AtomicU64,
    repeated: AtomicU64,
    pages: Mutex<Vec<Duration>>,
    appends: Mutex<Vec<Duration>>,
}

fn archive(at: usize) -> Jid {
    Jid::from_prepared(&format!("user{at}@capulet.example")).unwrap()
}

fn contact(with: u8) -> Jid {
    Jid::from_prepared(&format!("contact{with}@montague.example")).unwrap()
}

fn row(at: usize, id: u64, with: u8) -> Row {
    Row {
        archive: archive(at),
        id,
        uid: Uid { origin: [with; 16], n: id, k: 0 },
        epoch: 1,
        direction: Direction::Received,
        with: contact(with),
        address: None,
        deliver: true,
        spool: false,
        stamp_ms: id,
        stanza: Bytes::from(vec![b'x'; STANZA_BYTES]),
    }
}

/// Writes to its archives, one in `writers` of all, until all rows together are written.
async fn write(store: Store, model: Arc<Model>, figures: Arc<Figures>, writer: u64, writers: u64, rows: u64) {
    let mut numbers = Numbers(writer);
    while figures.written.fetch_add(1, Ordering::Relaxed) < rows {
        // Some archives have much more traffic than others.
        let own = model.len() as u64 / writers;
        let at = (numbers.below(own).min(numbers.below(own)) * writers + writer) as usize;
        let with = numbers.below(8) as u8;
        let last = model[at].lock().last_key_value().map_or(0, |(id, _)| *id);
        let id = last + 1 + numbers.below(1000);
        let begun = Instant::now();
        // As owners do: with the same id until it is known.
        while store.archive.append(&[row(at, id, with)]).await.is_err() {
            figures.repeated.fetch_add(1, Ordering::Relaxed);
        }
        figures.appends.lock().push(begun.elapsed());
        model[at].lock().insert(id, with);
    }
}

/// Reads pages, from both ends and from the middle.
async fn read(store: Store, model: Arc<Model>, figures: Arc<Figures>, seed: u64, pages: u64) {
    let mut numbers = Numbers(seed);
    for _ in 0..pages {
        let at = numbers.below(model.len() as u64).min(numbers.below(model.len() as u64)) as usize;
        let before = model[at].lock().clone();
        let pivot = before.keys().nth(numbers.below(before.len() as u64 + 1) as usize).copied();
        let newest_first = numbers.below(3) > 0;
        let begun = Instant::now();
        let found = match (newest_first, pivot) {
            (true, Some(pivot)) => store.archive.before(&archive(at), pivot, PAGE).await,
            (true, None) => store.archive.tail(&archive(at), 0, PAGE).await,
            (false, pivot) => store.archive.after(&archive(at), pivot.unwrap_or(0), PAGE).await,
        };
        let Ok(found) = found else {
            figures.repeated.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        figures.pages.lock().push(begun.elapsed());
        let found: BTreeMap<u64, Jid> = found.into_iter().map(|row| (row.id, row.with)).collect();
        let expected = page(&before, pivot, newest_first, &found);
        assert_eq!(found, expected, "archive {at}, {pivot:?}, newest first: {newest_first}");
    }
}

/// A page as the model has it. What was appended while it was read may be in it, after everything else.
fn page(
    model: &BTreeMap<u64, u8>,
    pivot: Option<u64>,
    newest_first: bool,
    found: &BTreeMap<u64, Jid>,
) -> BTreeMap<u64, Jid> {
    let newest = model.last_key_value().map_or(0, |(id, _)| *id);
    let ids = if newest_first { 0..pivot.unwrap_or(u64::MAX) } else { pivot.unwrap_or(0) + 1..u64::MAX };
    let mut all: BTreeMap<u64, Jid> =
        model.range(ids.clone()).map(|(id, with)| (*id, contact(*with))).collect();
    all.extend(
        found.range(newest + 1..).filter(|(id, _)| ids.contains(id)).map(|(id, with)| (*id, with.clone())),
    );
    if newest_first {
        all.into_iter().rev().take(PAGE).collect()
    } else {
        all.into_iter().take(PAGE).collect()
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: make archive-model"]
async fn archives_are_as_the_model_has_them() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (rows, archives, writers) =
        (asked("ARCHIVE_ROWS", 1_000_000), asked("ARCHIVES", 10_000), asked("WRITERS", 64));
    let store = keyspace.open().await;
    let model: Arc<Model> = Arc::new((0..archives).map(|_| Mutex::default()).collect());
    let figures = Arc::new(Figures::default());
    let begun = Instant::now();
    let mut tasks: Vec<_> = (0..writers)
        .map(|writer| {
            tokio::spawn(write(store.clone(), model.clone(), figures.clone(), writer, writers, rows))
        })
        .collect();
    let pages = rows * PAGES_PER_THOUSAND / 1000;
    tasks.extend((0..4).map(|seed| {
        tokio::spawn(read(store.clone(), model.clone(), figures.clone(), 1000 + seed, pages / 4))
    }));
    for task in tasks {
        task.await.unwrap();
    }
    let took = begun.elapsed();
    let rate = u128::from(rows) * 1000 / took.as_millis().max(1);
    println!("{rows} rows in {archives} archives by {writers} writers in {took:.1?}: {rate} rows/s");
    println!("{} requests failed", figures.repeated.load(Ordering::Relaxed));
    let mut appends = std::mem::take(&mut *figures.appends.lock());
    let mut busy = std::mem::take(&mut *figures.pages.lock());
    println!("an append: p50 {:.1?}, p99 {:.1?}", percentile(&mut appends, 50), percentile(&mut appends, 99));
    println!(
        "a page of {PAGE} meanwhile: p50 {:.1?}, p99 {:.1?}",
        percentile(&mut busy, 50),
        percentile(&mut busy, 99)
    );

    read(store.clone(), model.clone(), figures.clone(), 7, pages / 4).await;
    let mut calm = std::mem::take(&mut *figures.pages.lock());
    println!(
        "a page of {PAGE} in calm: p50 {:.1?}, p99 {:.1?}",
        percentile(&mut calm, 50),
        percentile(&mut calm, 99)
    );

    // Everything, as another process finds it.
    let other = keyspace.open().await;
    for (at, expected) in model.iter().enumerate() {
        let (expected, mut found) = (expected.lock().clone(), Vec::new());
        loop {
            let page =
                other.archive.after(&archive(at), found.last().copied().unwrap_or(0), 1000).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page.iter().map(|row| row.id));
        }
        assert_eq!(found, expected.keys().copied().collect::<Vec<_>>(), "archive {at}");
        assert_eq!(other.archive.last_id(&archive(at)).await.unwrap(), found.last().copied().unwrap_or(0));
    }
    println!("all {archives} archives hold what the model holds");
    keyspace.drop().await;
}
