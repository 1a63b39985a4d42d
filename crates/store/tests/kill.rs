//! A process that writes is killed at a random moment, again and again, on the same files: whatever it was told is
//! written must be there, whole and in order.
//!
//! The kernel outlives the process here, so this shows that nothing acknowledged waits in the process's memory and that
//! half a batch is never seen; that the disk was told to sync before is seen only by pulling the plug.
//! `THRONG_KILLS=200` makes it 200 times.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use store::{Change, Cursor, Direction, Item, Row, Store, Uid, disk};
use xmpp::jid::Jid;

const WRITERS: usize = 16;
const KILLS: u64 = 20;

/// Where the writing process finds its store; not set in the process that kills.
const WRITE_TO: &str = "THRONG_WRITE_TO";

/// The last thing that each writer was told is written: row, roster version, epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    row: u64,
    version: u64,
    epoch: u64,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if std::env::var_os(WRITE_TO).is_some() {
        return;
    }
    let kills = std::env::var("THRONG_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut told = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let mut rows = 0;
    let start = Instant::now();
    for kill in 0..kills {
        told = write_and_kill(directory.path(), moment(kill), told);
        let store = disk::open(directory.path()).unwrap();
        if kill + 1 == kills {
            seen.clear();
        }
        rows = runtime().block_on(check(&store, &told, &mut seen));
    }
    println!("{kills} kills in {:?}: {rows} rows acknowledged and there, none missing", start.elapsed());
    assert!(rows > kills, "too little was written to tell anything: {rows} rows");
}

/// The process that is killed; as a test of its own it does nothing.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(WRITE_TO) else { return };
    let store = disk::open(path).unwrap();
    runtime().block_on(async {
        let writers: Vec<_> = (0..WRITERS).map(|at| tokio::spawn(write(store.clone(), at))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// Writes without end and says what was acknowledged, each in one piece.
async fn write(store: Store, at: usize) {
    let account = account(at);
    loop {
        let id = store.archive.last_id(&account).await.unwrap() + 1;
        let batch = id % 5 + 1;
        let rows: Vec<Row> = (id..id + batch).map(|id| row(at, id)).collect();
        store.archive.append(&rows).await.unwrap();
        say(&format!("row {at} {}", id + batch - 1));
        if id.is_multiple_of(4) {
            let contact = Item { name: Some(id.to_string()), ..Item::new(account.clone()) };
            let version = store.rosters.apply(&account, vec![Change::Put(contact)]).await.unwrap();
            say(&format!("version {at} {version}"));
            store.cursors.save(&[(account.clone(), Cursor { lowest: id, above: vec![] })]).await.unwrap();
            let epoch = store.epochs.raise(account.as_str()).await.unwrap();
            say(&format!("epoch {at} {epoch}"));
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Lets a process write for a while, kills it, and returns what it said was written.
fn write_and_kill(path: &Path, after: Duration, told: BTreeMap<usize, Told>) -> BTreeMap<usize, Told> {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(WRITE_TO, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(writer.stdout.take().unwrap());
    // The moment counts from the first thing said, or the killing would hit nothing but the opening.
    let mut told = told;
    while told_one(&mut out, &mut told) == Some(false) {}
    let reader = std::thread::spawn(move || {
        while told_one(&mut out, &mut told).is_some() {}
        told
    });
    std::thread::sleep(after);
    writer.kill().unwrap();
    writer.wait().unwrap();
    reader.join().unwrap()
}

/// Reads one line: whether something was told; `None` at the end.
fn told_one(out: &mut BufReader<ChildStdout>, told: &mut BTreeMap<usize, Told>) -> Option<bool> {
    let mut line = String::new();
    if out.read_line(&mut line).unwrap() == 0 {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [what @ ("row" | "version" | "epoch"), at, number] = words[..] else { return Some(false) };
    let told = told.entry(at.parse().unwrap()).or_default();
    let number = number.parse().unwrap();
    match what {
        "row" => told.row = number,
        "version" => told.version = number,
        _ => told.epoch = number,
    }
    Some(true)
}

/// Everything told is there, and the rows after those seen before are whole and without a gap; returns how many were
/// told.
async fn check(store: &Store, told: &BTreeMap<usize, Told>, seen: &mut BTreeMap<usize, u64>) -> u64 {
    for (&at, told) in told {
        let account = account(at);
        let last = seen.entry(at).or_default();
        loop {
            let page = store.archive.after(&account, *last, 1000).await.unwrap();
            for found in &page {
                *last += 1;
                assert_eq!(*found, row(at, *last));
            }
            if page.is_empty() {
                break;
            }
        }
        assert!(*last >= told.row, "writer {at} was told of {told:?}, the last row is {last}");
        let version = store.rosters.load(&account).await.unwrap().version;
        assert!(version >= told.version, "writer {at} was told of {told:?}, the version is {version}");
        let epoch = store.epochs.current(account.as_str()).await.unwrap();
        assert!(epoch >= told.epoch, "writer {at} was told of {told:?}, the epoch is {epoch}");
    }
    told.values().map(|told| told.row).sum()
}

fn account(at: usize) -> Jid {
    Jid::from_prepared(&format!("writer{at}@example.org")).unwrap()
}

fn row(at: usize, id: u64) -> Row {
    Row {
        archive: account(at),
        id,
        uid: Uid { origin: [at as u8; 16], n: id, k: 0 },
        epoch: 1,
        direction: Direction::Sent,
        with: account((at + 1) % WRITERS),
        address: None,
        deliver: true,
        spool: false,
        stamp_ms: id,
        stanza: Bytes::from(format!("{id:>width$}", width = (id % 700) as usize)),
    }
}

/// Up to 150 ms, never the same twice in a row.
fn moment(kill: u64) -> Duration {
    let noise = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    Duration::from_micros((u64::from(noise) ^ (kill * 7919)) % 150_000)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
