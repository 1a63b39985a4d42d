//! The group commit: one thread that merges everything waiting into one write to the disk.
//!
//! While the disk syncs one batch the next one gathers, so under load a sync is shared by many and without load nobody
//! waits for company. A batch becomes visible to readers after it is durable, not before.
//!
//! When a write to the journal fails, what it left on the disk is unknown, and a later success would lie about it. So the
//! store is then poisoned: that batch ends as unknown, everything after it is refused, until the process opens it again.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
    thread::JoinHandle,
};

use fjall::{Database, OwnedWriteBatch, PersistMode, Slice};
use hashbrown::{HashTable, hash_table::Entry};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Keyspaces, Limits, keys::Noun, locks::Held};
use crate::{Error, Result};

/// Sets the value of a key, or removes it.
pub(super) struct Op {
    noun: Noun,
    key: Slice,
    value: Option<Slice>,
}

impl Op {
    pub(super) fn put(noun: Noun, key: impl Into<Slice>, value: impl Into<Slice>) -> Self {
        Self { noun, key: key.into(), value: Some(value.into()) }
    }

    pub(super) fn delete(noun: Noun, key: impl Into<Slice>) -> Self {
        Self { noun, key: key.into(), value: None }
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, |value| value.len())
    }

    fn hash(&self, hasher: &foldhash::fast::RandomState) -> u64 {
        let mut hash = hasher.build_hasher();
        self.noun.hash(&mut hash);
        self.key[..].hash(&mut hash);
        hash.finish()
    }
}

/// Hands writes to the thread; joins it when dropped.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told when the queue is no longer empty, and at the end.
    filled: Condvar,
    limits: Limits,
}

#[derive(Default)]
struct Queue {
    ops: Vec<Op>,
    bytes: usize,
    waiting: Vec<(oneshot::Sender<Result<()>>, Held)>,
    poisoned: Option<String>,
    closed: bool,
}

/// What was taken from the queue together.
struct Batch {
    ops: Vec<Op>,
    waiting: Vec<(oneshot::Sender<Result<()>>, Held)>,
}

impl Committer {
    pub(super) fn start(database: Database, keyspaces: Keyspaces, limits: Limits) -> Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), limits });
        let run = {
            let shared = shared.clone();
            move || shared.run(&database, &keyspaces)
        };
        let thread = std::thread::Builder::new().name("store-commit".into()).spawn(run);
        let thread = thread.map_err(|error| Error::Refused(format!("no thread to commit: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Queues a write at once and waits for it; a caller that stops waiting does not take it back.
    pub(super) async fn commit(&self, ops: Vec<Op>, held: Held) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        let (done, outcome) = oneshot::channel();
        self.shared.push(ops, done, held)?;
        outcome.await.unwrap_or_else(|_| Err(Error::Unknown("the committer ended".into())))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the committer of the store panicked");
        }
    }
}

impl Shared {
    fn push(&self, mut ops: Vec<Op>, done: oneshot::Sender<Result<()>>, held: Held) -> Result<()> {
        let bytes: usize = ops.iter().map(Op::bytes).sum();
        let mut queue = self.queue.lock();
        if let Some(why) = &queue.poisoned {
            return Err(Error::Refused(why.clone()));
        }
        let full = queue.ops.len() + ops.len() > self.limits.queue_entries_max
            || queue.bytes + bytes > self.limits.queue_bytes_max;
        let was_empty = queue.ops.is_empty();
        if full && !was_empty {
            return Err(Error::Refused("too much waits for the disk".into()));
        }
        queue.ops.append(&mut ops);
        queue.bytes += bytes;
        queue.waiting.push((done, held));
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    fn run(&self, database: &Database, keyspaces: &Keyspaces) {
        let _ended = PoisonAtEnd(self);
        while let Some(batch) = self.next() {
            let outcome = perform(database, keyspaces, batch.ops).map_err(|error| self.failed(&error));
            for (done, held) in batch.waiting {
                drop(held);
                // Whoever stopped waiting is not told.
                let _ = done.send(outcome.clone());
            }
        }
    }

    /// Waits for the next batch; `None` when the store is closed and everything was written.
    fn next(&self) -> Option<Batch> {
        let mut queue = self.queue.lock();
        while queue.ops.is_empty() {
            if queue.closed {
                return None;
            }
            self.filled.wait(&mut queue);
        }
        queue.bytes = 0;
        Some(Batch { ops: std::mem::take(&mut queue.ops), waiting: std::mem::take(&mut queue.waiting) })
    }

    fn failed(&self, error: &fjall::Error) -> Error {
        tracing::error!(%error, "a write to the journal failed, the store refuses every write from now on");
        self.poison(&format!("an earlier write failed: {error}"));
        match error {
            // Poisoned by a thread of fjall: it looks before it writes.
            fjall::Error::Poisoned => Error::Refused(error.to_string()),
            error => Error::Unknown(error.to_string()),
        }
    }

    /// Refuses everything from now on, and what waits: it was not handed to the disk.
    fn poison(&self, why: &str) {
        let waiting = {
            let mut queue = self.queue.lock();
            queue.ops.clear();
            queue.poisoned = Some(why.to_owned());
            std::mem::take(&mut queue.waiting)
        };
        for (done, held) in waiting {
            drop(held);
            let _ = done.send(Err(Error::Refused(why.to_owned())));
        }
    }
}

/// Poisons the store when the thread ends, also by a panic, so that nobody waits for it.
struct PoisonAtEnd<'a>(&'a Shared);

impl Drop for PoisonAtEnd<'_> {
    fn drop(&mut self) {
        self.0.poison("the committer ended");
    }
}

/// Writes all or nothing, of several for one key the last, and returns when it is durable.
pub(super) fn perform(database: &Database, keyspaces: &Keyspaces, ops: Vec<Op>) -> fjall::Result<()> {
    let ops = last_of_each_key(ops);
    let mut batch =
        OwnedWriteBatch::with_capacity(database.clone(), ops.len()).durability(Some(PersistMode::SyncData));
    for Op { noun, key, value } in ops {
        match value {
            Some(value) => batch.insert(keyspaces.of(noun), key, value),
            None => batch.remove(keyspaces.of(noun), key),
        }
    }
    batch.commit()
}

/// Of several ops for one key the last. All entries of a batch have one sequence number, so two of one key would be
/// told apart by nothing.
fn last_of_each_key(ops: Vec<Op>) -> Vec<Op> {
    let hasher = foldhash::fast::RandomState::default();
    let mut kept: Vec<Op> = Vec::with_capacity(ops.len());
    let mut places: HashTable<usize> = HashTable::with_capacity(ops.len());
    for op in ops {
        let same = |&at: &usize| kept[at].noun == op.noun && kept[at].key == op.key;
        match places.entry(op.hash(&hasher), same, |&at| kept[at].hash(&hasher)) {
            Entry::Occupied(place) => kept[*place.get()] = op,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(op);
            }
        }
    }
    kept
}
