//! Writing a shard's rows: while one write is under way the next gathers, so that many rows share one flush.

use std::sync::Arc;
use std::time::Duration;

use store::{Error, Row};

use crate::owner::Owner;
use crate::work::Work;

/// Between tries of a write whose outcome is not known, in milliseconds.
const RETRY_MS: u64 = 100;

/// Writes rows and says what became of them.
pub(crate) async fn write(owner: Arc<Owner>, shard: usize, rows: Vec<(usize, Row)>) {
    let ids: Vec<(usize, u64)> = rows.iter().map(|(at, row)| (*at, row.id)).collect();
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let good = append(&owner, rows).await;
    owner.post(shard, Work::Stored(ids, good));
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
