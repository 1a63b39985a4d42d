//! The group commit: one thread that merges everything waiting into one write to the disk.
//!
//! While the disk syncs one batch the next one gathers, so under load a sync is shared by many and without load nobody
//! waits for company. A batch becomes visible to readers after it is durable, not before.
//!
//! When a write to the journal fails, what it left on the disk is unknown, and a later success would lie about it. So the
//! store is then poisoned: that batch ends as unknown, everything after it is refused, until the process opens it again.

use std::{sync::Arc, thread::JoinHandle};

use fjall::{Database, OwnedWriteBatch, PersistMode, Slice};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Keyspaces, Limits, keys::Noun};
use crate::{Error, Result, locks::Held};

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
    /// Starts the thread; `write` makes a batch durable, all or nothing ([`perform`]).
    pub(super) fn start<W>(limits: Limits, write: W) -> Result<Self>
    where
        W: FnMut(Vec<Op>) -> fjall::Result<()> + Send + 'static,
    {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), limits });
        let run = {
            let shared = shared.clone();
            move || shared.run(write)
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

    fn run(&self, mut write: impl FnMut(Vec<Op>) -> fjall::Result<()>) {
        let _ended = PoisonAtEnd(self);
        while let Some(batch) = self.next() {
            let outcome = write(batch.ops).map_err(|error| self.failed(&error));
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
    let ops = in_order(ops);
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

/// Sorted by key, of several for one key the last: all entries of a batch have one sequence number, so two of one key
/// would be told apart by nothing. Neighbours in order also cost fjall less to insert.
fn in_order(mut ops: Vec<Op>) -> Vec<Op> {
    ops.sort_by(|one, other| (one.noun, &one.key).cmp(&(other.noun, &other.key)));
    ops.dedup_by(|next, kept| {
        let same = next.noun == kept.noun && next.key == kept.key;
        if same {
            std::mem::swap(next, kept);
        }
        same
    });
    ops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(key: &str) -> Vec<Op> {
        vec![Op::put(Noun::Epochs, key, "")]
    }

    #[tokio::test]
    async fn writes_that_wait_share_a_batch() {
        let (batches, seen) = std::sync::mpsc::channel();
        let (go, gate) = std::sync::mpsc::channel();
        let committer = Committer::start(Limits::default(), move |ops| {
            batches.send(ops.len()).unwrap();
            gate.recv().unwrap();
            Ok(())
        })
        .unwrap();

        let first = committer.commit(op("a"), Vec::new());
        let later = async {
            assert_eq!(seen.recv().unwrap(), 1);
            let waiting =
                async { tokio::join!(committer.commit(op("b"), vec![]), committer.commit(op("c"), vec![])) };
            let release = async { (0..2).for_each(|_| go.send(()).unwrap()) };
            tokio::join!(waiting, release).0
        };
        let (first, later) = tokio::join!(first, later);

        assert_eq!((first, later), (Ok(()), (Ok(()), Ok(()))));
        assert_eq!(seen.recv().unwrap(), 2);
    }

    #[tokio::test]
    async fn after_a_failed_write_nothing_is_written_and_nobody_is_deceived() {
        let (started, seen) = std::sync::mpsc::channel();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let committer = Committer::start(Limits::default(), move |_| {
            started.send(()).unwrap();
            gate.recv().unwrap();
            Err(std::io::Error::other("no space left").into())
        })
        .unwrap();

        let failing = committer.commit(op("a"), Vec::new());
        let waiting = async {
            seen.recv().unwrap();
            let release = async { go.send(()).unwrap() };
            tokio::join!(committer.commit(op("b"), Vec::new()), release).0
        };
        let (failing, waiting) = tokio::join!(failing, waiting);

        assert!(matches!(failing, Err(Error::Unknown(_))), "handed to the disk: {failing:?}");
        assert!(matches!(waiting, Err(Error::Refused(_))), "not handed to the disk: {waiting:?}");
        let later = committer.commit(op("c"), Vec::new()).await;
        assert!(matches!(later, Err(Error::Refused(_))), "{later:?}");
        assert!(seen.try_recv().is_err(), "the disk was written to after it failed");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_panicked() {
        let committer = Committer::start(Limits::default(), |_| panic!("a bug")).unwrap();

        let hit = committer.commit(op("a"), Vec::new()).await;
        assert!(matches!(hit, Err(Error::Unknown(_))), "{hit:?}");
    }

    #[test]
    fn of_several_ops_for_one_key_the_last_is_kept() {
        let put = |noun, key: &str, value: &str| Op::put(noun, key, value);
        let delete = |key: &str| Op::delete(Noun::Archive, key);
        let ops = vec![
            put(Noun::Archive, "b", "1"),
            delete("a"),
            put(Noun::Archive, "a", "2"),
            put(Noun::Cursors, "a", "3"),
            put(Noun::Archive, "b", "4"),
            delete("b"),
        ];

        let kept: Vec<_> = in_order(ops).into_iter().map(|op| (op.noun, op.key, op.value)).collect();

        let written = |text: &str| Some(Slice::from(text));
        assert_eq!(
            kept,
            [
                (Noun::Archive, "a".into(), written("2")),
                (Noun::Archive, "b".into(), None),
                (Noun::Cursors, "a".into(), written("3")),
            ]
        );
    }
}
