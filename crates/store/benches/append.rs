//! What an append costs: rows a second that are synced, and the processor's time for each, by the number of writers; and
//! how long reads of what was just written take.
//!
//! The last line is a chat's: one writer, who appends a batch of rows of 200 archives at a time.
//!
//! `cargo bench -p store --bench append` in a directory of the disk that is meant (`TMPDIR`).

#![allow(clippy::cast_precision_loss)] // rows are counted for print

use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{Direction, Row, Store, Uid, disk};
use xmpp::jid::Jid;

const RUN: Duration = Duration::from_secs(4);

/// A stanza of usual size.
const STANZA: &[u8] = &[b'x'; 320];

/// The kernel counts a process's time in hundredths of a second (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    println!("writers    rows/s   µs CPU/row   ms/append | µs/row read   µs/last id   µs/page of 50");
    for (writers, archives, batch) in [(1, 1, 1), (16, 16, 1), (256, 256, 1), (2048, 2048, 1), (1, 200, 800)]
    {
        let directory = tempfile::tempdir().expect("a directory to write to");
        let store = disk::open(directory.path()).expect("a store");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (cpu, start) = (cpu_seconds(), Instant::now());
        let rows = runtime.block_on(run(&store, writers, archives, batch, start));
        let (cpu, wall) = (cpu_seconds() - cpu, start.elapsed().as_secs_f64());
        let (per_second, micros) = (rows as f64 / wall, cpu * 1e6 / rows as f64);
        let [row, last, page] = runtime.block_on(reads(&store, archives));
        let wait = 1e3 * (writers * batch) as f64 / per_second;
        println!(
            "{writers:>7} {per_second:>9.0} {micros:>12.2} {wait:>11.2} | {row:>11.2} {last:>12.2} {page:>15.2}"
        );
    }
}

/// Each writer appends batches of rows to archives of its own, one after the other.
async fn run(store: &Store, writers: usize, archives: usize, batch: usize, start: Instant) -> u64 {
    let archives: Vec<Jid> = (0..archives).map(|at| jid(&format!("user{at}@capulet.example"))).collect();
    let shares = archives.chunks(archives.len() / writers);
    let tasks = shares.map(|share| tokio::spawn(write(store.clone(), share.to_vec(), batch, start)));
    let mut rows = 0;
    for task in tasks.collect::<Vec<_>>() {
        rows += task.await.expect("a writer");
    }
    rows
}

async fn write(store: Store, archives: Vec<Jid>, batch: usize, start: Instant) -> u64 {
    let with = jid("romeo@montague.example/orchard");
    let mut id = 0;
    let mut archives = archives.iter().cycle();
    while start.elapsed() < RUN {
        let rows = archives.by_ref().take(batch).map(|archive| {
            id += 1;
            Row {
                archive: archive.clone(),
                id,
                uid: Uid { origin: [7; 16], n: id, k: 0 },
                epoch: 1,
                direction: Direction::Received,
                with: with.clone(),
                address: Some(archive.clone()),
                deliver: true,
                spool: false,
                stamp_ms: 1_700_000_000_000 + id,
                stanza: Bytes::from_static(STANZA),
            }
        });
        store.archive.append(&rows.collect::<Vec<_>>()).await.expect("rows written");
    }
    id
}

/// The microseconds that a row, a last id and the newest page take to read, of one archive after the other.
async fn reads(store: &Store, writers: usize) -> [f64; 3] {
    const ROUNDS: u32 = 4000;
    let archives: Vec<Jid> = (0..writers).map(|at| jid(&format!("user{at}@capulet.example"))).collect();
    let mut spent = [Duration::ZERO; 3];
    for archive in archives.iter().cycle().take(ROUNDS as usize) {
        let start = Instant::now();
        store.archive.row(archive, 1).await.expect("a read");
        let row = Instant::now();
        store.archive.last_id(archive).await.expect("a read");
        let last = Instant::now();
        store.archive.before(archive, u64::MAX, 50).await.expect("a read");
        spent[0] += row - start;
        spent[1] += last - row;
        spent[2] += last.elapsed();
    }
    spent.map(|spent| spent.as_secs_f64() * 1e6 / f64::from(ROUNDS))
}

fn jid(text: &str) -> Jid {
    Jid::from_prepared(text).expect("a JID")
}

/// The processor's time that all threads of this process took.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().expect("a number")).sum();
    ticks / TICKS_PER_SECOND
}
