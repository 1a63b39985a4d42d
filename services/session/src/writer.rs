//! Writing rows: while one write is under way the next gathers, of all shards, so that many rows share one flush.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use store::{Error, Row};

use crate::owner::Owner;
use crate::work::Work;

/// Between tries of a write whose outcome is not known, in milliseconds.
const RETRY_MS: u64 = 100;

/// The rows of an owner that are to be written. Its length is bounded by the lanes': each row holds an entry up.
#[derive(Default)]
pub(crate) struct Writer {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Rows, and who waits for each: shard and account.
    rows: Vec<(usize, usize, Row)>,
    /// Whether a task is at it.
    writing: bool,
}

impl Writer {
    /// Queues the rows of a shard, in order, and sees to it that they are written.
    pub(crate) fn put(&self, owner: &Arc<Owner>, shard: usize, rows: impl Iterator<Item = (usize, Row)>) {
        let mut queue = self.queue.lock();
        queue.rows.extend(rows.map(|(at, row)| (shard, at, row)));
        if !queue.writing {
            queue.writing = true;
            tokio::spawn(write(Arc::clone(owner)));
        }
    }

    /// What has gathered; none: the task is not needed any more.
    fn next(&self) -> Option<Vec<(usize, usize, Row)>> {
        let mut queue = self.queue.lock();
        queue.writing = !queue.rows.is_empty();
        queue.writing.then(|| take(&mut queue.rows))
    }
}

/// Writes as long as there are rows, and says what became of them.
async fn write(owner: Arc<Owner>) {
    while let Some(queued) = owner.writer.next() {
        let mut waiting: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
        let mut rows = Vec::with_capacity(queued.len());
        for (shard, at, row) in queued {
            waiting.entry(shard).or_default().push((at, row.id));
            rows.push(row);
        }
        let good = append(&owner, rows).await;
        owner.post_all(waiting.into_iter().map(|(shard, ids)| (shard, Work::Stored(ids, good))));
    }
}

/// The same rows under the same ids until it is known what became of them, or nobody waits any more.
async fn append(owner: &Owner, rows: Vec<Row>) -> bool {
    let until_ms = owner.clock.now_ms() + owner.config.item_lifetime_ms;
    loop {
        match owner.store.archive.append(rows.clone()).await {
            Ok(()) => return true,
            Err(error @ Error::Unknown(_)) if owner.clock.now_ms() < until_ms => {
                tracing::warn!(%error, "the outcome of a write is not known, it is repeated");
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            Err(error) => {
                tracing::warn!(%error, rows = rows.len(), "messages could not be stored");
                remove(owner, &rows).await;
                return false;
            }
        }
    }
}

/// What was refused must not turn up later.
async fn remove(owner: &Owner, rows: &[Row]) {
    for row in rows {
        if let Err(error) = owner.store.archive.delete(&row.archive, &[row.id]).await {
            tracing::warn!(%error, "a refused message may have been stored");
            return;
        }
    }
}
