//! The embedded store: one directory of one process, on fjall.
//!
//! Each noun has keyspaces of its own, all share one journal, and every write goes through the one committer
//! ([`commit`]), which merges what waits into one write to the disk. Keys begin with the bare JID and a nul, so whatever
//! is kept of an account lies together ([`keys`]).
//!
//! Reads of one key are made where they are asked for: they are a few microseconds while the block is in memory, and one
//! read of a disk when it is not. Reads of a range go to a thread that may wait.

mod accounts;
mod archive;
mod blocklists;
mod commit;
mod cursors;
mod documents;
mod epochs;
mod format;
mod hibernated;
mod keys;
mod rosters;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, Slice, compaction::Leveled, config::FilterPolicy};

use crate::{
    Error, Result, Store,
    disk::{
        commit::{Committer, Op},
        keys::Noun,
    },
    locks::{Held, Locks},
    record,
};

/// What the embedded store may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries that wait for the disk; beyond it writes are refused. Default 65,536.
    pub queue_entries_max: usize,
    /// Bytes that wait for the disk; beyond it writes are refused. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// Bytes of blocks kept in memory for reads. Default 64 MiB.
    pub cache_bytes_max: u64,
    /// Bytes of recent archive rows kept in memory until they are sorted into files. Default 64 MiB.
    pub recent_bytes_max: u64,
    /// Bytes of journal that opening after a crash has to read. Default 256 MiB, at least 64 MiB.
    pub journal_bytes_max: u64,
}

const MIB: usize = 1024 * 1024;
const JOURNAL_BYTES_MIN: u64 = 64 * MIB as u64;

/// Recent bytes of every keyspace but the archive's.
const SMALL_RECENT_BYTES_MAX: u64 = 8 * MIB as u64;

/// Files of recent archive rows, each of about [`Limits::recent_bytes_max`], before they are merged into older ones. Reads
/// look into all of them.
const ARCHIVE_RUNS_MAX: u8 = 8;

/// Threads of fjall. The first one leaves compaction to the others, and turns round the queue without pause for as long as
/// all of them are busy with it: there have to be more than levels that are compacted at a time. Only one would wait for
/// itself for ever where the queue is full.
const WORKERS: usize = 4;

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_entries_max: 65_536,
            queue_bytes_max: 64 * MIB,
            cache_bytes_max: 64 * MIB as u64,
            recent_bytes_max: 64 * MIB as u64,
            journal_bytes_max: 256 * MIB as u64,
        }
    }
}

/// Opens the store in a directory, which is made if it does not exist.
///
/// It may take seconds after a crash, while the journal is read. [`Error::Locked`] if another process has it open,
/// [`Error::Newer`] if a newer version wrote it. Dropping the last handle waits for the write under way.
pub fn open(path: impl AsRef<Path>) -> Result<Store> {
    open_with(path, Limits::default())
}

/// As [`open`], with limits other than the default ones.
pub fn open_with(path: impl AsRef<Path>, limits: Limits) -> Result<Store> {
    let path = path.as_ref();
    format::check(path)?;
    let database = Database::builder(path.join("data"))
        .cache_size(limits.cache_bytes_max)
        .worker_threads(WORKERS)
        .max_journaling_size(limits.journal_bytes_max.max(JOURNAL_BYTES_MIN))
        .open()
        .map_err(|error| opening(error, path))?;
    let keyspaces = Keyspaces::open(&database, limits).map_err(|error| opening(error, path))?;
    accounts::finish_removals(&database, &keyspaces)?;
    let write = {
        let keyspaces = keyspaces.clone();
        move |ops| commit::perform(&database, &keyspaces, ops)
    };
    let committer = Committer::start(limits, write)?;
    let disk = Arc::new(Disk { keyspaces, committer, locks: Locks::default() });
    // Whoever has the store open is the only one: what processes would tell each other need not outlive this one.
    let Store { handovers, members, registry, liveness, counters, bus, .. } = crate::memory::open();
    Ok(Store {
        accounts: disk.clone(),
        rosters: disk.clone(),
        blocklists: disk.clone(),
        documents: disk.clone(),
        archive: disk.clone(),
        cursors: disk.clone(),
        epochs: disk.clone(),
        hibernated: disk,
        handovers,
        members,
        registry,
        liveness,
        counters,
        bus,
    })
}

struct Disk {
    keyspaces: Keyspaces,
    committer: Committer,
    locks: Locks,
}

impl Disk {
    /// Reads the value of one key, at once.
    fn value(&self, noun: Noun, key: &[u8]) -> Result<Option<Slice>> {
        self.keyspaces.of(noun).get(key).map_err(reading)
    }

    /// Reads a range on a thread that may wait.
    async fn scan<T: Send + 'static>(
        &self,
        scan: impl FnOnce(&Keyspaces) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let keyspaces = self.keyspaces.clone();
        let scanned = tokio::task::spawn_blocking(move || scan(&keyspaces)).await;
        scanned.map_err(|error| Error::Refused(format!("a read was cut off: {error}")))?
    }

    /// Writes all or nothing; durable when it returns. The locks are kept until the outcome can be read.
    async fn write(&self, ops: Vec<Op>, held: Held) -> Result<()> {
        self.committer.commit(ops, held).await
    }
}

/// A handle on each keyspace.
#[derive(Clone)]
struct Keyspaces(Arc<[Keyspace]>);

impl Keyspaces {
    fn open(database: &Database, limits: Limits) -> fjall::Result<Self> {
        let open = |noun: &Noun| {
            database.keyspace(noun.name(), || match noun {
                Noun::Archive => archive_options(limits),
                _ => KeyspaceCreateOptions::default().max_memtable_size(SMALL_RECENT_BYTES_MAX),
            })
        };
        Ok(Self(Noun::ALL.iter().map(open).collect::<fjall::Result<_>>()?))
    }

    fn of(&self, noun: Noun) -> &Keyspace {
        &self.0[noun as usize]
    }

    /// The keys and values that begin with a prefix, in order.
    fn prefix(
        &self,
        noun: Noun,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice)>> + use<> {
        self.of(noun).prefix(prefix).map(|entry| entry.into_inner().map_err(reading))
    }
}

/// For much that is written and little that is read, and that in ranges: no filters of keys, and as each merge rewrites the
/// whole first level, whatever archive its rows are of, merges that are half as frequent.
fn archive_options(limits: Limits) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(limits.recent_bytes_max)
        .filter_policy(FilterPolicy::disabled())
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(ARCHIVE_RUNS_MAX)))
}

/// What a failed opening means.
fn opening(error: fjall::Error, path: &Path) -> Error {
    match error {
        fjall::Error::Locked => Error::Locked(PathBuf::from(path)),
        fjall::Error::Io(error) => Error::Refused(format!("{} cannot be opened: {error}", path.display())),
        error => Error::Corrupt(format!("{} cannot be opened: {error:?}", path.display())),
    }
}

/// What a failed read means.
fn reading(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            Error::Refused(format!("a read failed: {error}"))
        }
        error => Error::Corrupt(format!("{error:?}")),
    }
}
