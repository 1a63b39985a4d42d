//! Writing rows: while one write is under way the next gathers, of all shards, so that many rows share one flush.

use std::collections::BTreeMap;
use std::mem::swap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use store::{Error, Row};

use crate::metrics;
use crate::owner::Owner;
use crate::work::Work;

/// Between tries of a write whose outcome is not known, in milliseconds.
const RETRY_MS: u64 = 100;

/// Between looks at whether this owner is one still, in milliseconds.
const LEASE_TURN_MS: u64 = 20;

/// The rows of an owner that are to be written. Its length is bounded by the lanes': each row holds an entry up.
#[derive(Default)]
pub(crate) struct Writer {
    queue: Mutex<Queue>,
    /// The last write failed: the log has heard of it.
    troubled: AtomicBool,
}

#[derive(Default)]
struct Queue {
    gathered: Gathered,
    /// Whether a task is at it.
    writing: bool,
}

/// Rows that are written together, and in the same order who waits for each: shard and account.
#[derive(Default)]
struct Gathered {
    rows: Vec<Row>,
    waiting: Vec<(usize, usize)>,
}

impl Writer {
    /// Queues the rows of a shard, in order, and sees to it that they are written.
    pub(crate) fn put(&self, owner: &Arc<Owner>, shard: usize, rows: impl Iterator<Item = (usize, Row)>) {
        let mut queue = self.queue.lock();
        for (at, row) in rows {
            queue.gathered.waiting.push((shard, at));
            queue.gathered.rows.push(row);
        }
        if !queue.writing {
            queue.writing = true;
            tokio::spawn(write(Arc::clone(owner)));
        }
    }

    /// A write has failed; said once, until one succeeds.
    fn is_troubled(&self, error: &Error) {
        metrics::UNSTORED.inc();
        if !self.troubled.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "messages cannot be stored");
        }
    }

    fn is_well(&self) {
        if self.troubled.load(Ordering::Relaxed) && self.troubled.swap(false, Ordering::Relaxed) {
            tracing::info!("messages are stored again");
        }
    }

    /// Exchanges what has gathered for what was written; nothing: the task is not needed any more, nor the room.
    fn next(&self, written: &mut Gathered) -> bool {
        written.rows.clear();
        written.waiting.clear();
        let mut queue = self.queue.lock();
        swap(&mut queue.gathered, written);
        queue.writing = !written.rows.is_empty();
        if !queue.writing {
            queue.gathered = Gathered::default();
        }
        queue.writing
    }
}

/// Writes as long as there are rows, and says what became of them.
async fn write(owner: Arc<Owner>) {
    let mut gathered = Gathered::default();
    while owner.writer.next(&mut gathered) {
        let good = append(&owner, &gathered.rows).await;
        if good && let Some(events) = &owner.events {
            events.stored(&gathered.rows);
        }
        let stored = gathered.stored(good);
        owner.post_all(stored.into_iter().map(|(shard, ids)| (shard, Work::Stored(ids, good))));
    }
}

impl Gathered {
    /// What each shard hears: of an account whose rows are durable only the last one, which says it of all before.
    fn stored(&self, good: bool) -> BTreeMap<usize, Vec<(usize, u64)>> {
        let mut stored: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
        for ((shard, at), row) in self.waiting.iter().zip(&self.rows) {
            stored.entry(*shard).or_default().push((*at, row.id));
        }
        for ids in stored.values_mut().filter(|_| good) {
            ids.sort_unstable();
            ids.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    *kept = *later;
                }
                same
            });
        }
        stored
    }
}

/// The same rows under the same ids until it is known what became of them, or nobody waits any more.
async fn append(owner: &Owner, rows: &[Row]) -> bool {
    let until_ms = owner.clock.now_ms() + owner.config.item_lifetime_ms;
    loop {
        match owner.store.archive.append(rows).await {
            Ok(()) if owner.lease.holds() => {
                owner.writer.is_well();
                return true;
            }
            // It is written, but may be another's archive by now: the next read of the store tells.
            Ok(()) if owner.clock.now_ms() < until_ms => {
                tokio::time::sleep(Duration::from_millis(LEASE_TURN_MS)).await;
            }
            Ok(()) => {
                remove(owner, rows).await;
                return false;
            }
            Err(error @ Error::Unknown(_)) if owner.clock.now_ms() < until_ms => {
                owner.writer.is_troubled(&error);
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            Err(error) => {
                owner.writer.is_troubled(&error);
                remove(owner, rows).await;
                return false;
            }
        }
    }
}

/// What was refused must not turn up later.
async fn remove(owner: &Owner, rows: &[Row]) {
    for row in rows {
        if let Err(error) = owner.store.archive.delete(&row.archive, &[row.id]).await {
            // Its sender was told that what became of it is not known.
            tracing::debug!(%error, "a refused message may have been stored");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::row;

    /// Rows 1 and 3 of account 7, row 2 of account 4, both in shard 0, and row 4 of account 7 in shard 5.
    fn gathered() -> Gathered {
        Gathered { rows: (1..=4).map(row).collect(), waiting: vec![(0, 7), (0, 4), (0, 7), (5, 7)] }
    }

    #[test]
    fn of_rows_that_are_durable_an_account_hears_the_last() {
        assert_eq!(gathered().stored(true), BTreeMap::from([(0, vec![(4, 2), (7, 3)]), (5, vec![(7, 4)])]));
    }

    #[test]
    fn of_rows_that_could_not_be_written_an_account_hears_each() {
        let told = gathered().stored(false);
        assert_eq!(told, BTreeMap::from([(0, vec![(7, 1), (4, 2), (7, 3)]), (5, vec![(7, 4)])]));
    }
}
