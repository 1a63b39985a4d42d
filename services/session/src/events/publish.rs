//! Publishing: what is queued, then what is behind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use store::Row;
use store::bus::{Record, Topic};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use xmpp::jid::Jid;

use super::{Presences, Shared, record, save};

/// Rows published at a time.
const BATCH_ROWS: usize = 512;
/// Archives that are behind and read at a time, and the rows read of each.
const CATCH_UP_ARCHIVES: usize = 32;
const CATCH_UP_ROWS: usize = 32;
/// After a failure, growing from one to the other.
const AGAIN_MIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// Publishes rows until it is over.
pub(super) async fn rows(shared: Arc<Shared>, over: CancellationToken) {
    let work = async {
        let mut again = AGAIN_MIN;
        loop {
            shared.rows_come.notified().await;
            while !shared.rows.lock().is_published() {
                if queued(&shared).await && behind(&shared).await {
                    again = AGAIN_MIN;
                } else {
                    sleep(again).await;
                    again = (again * 2).min(AGAIN_MAX);
                }
            }
        }
    };
    over.run_until_cancelled(work).await;
}

/// Publishes presences until it is over; what the bus does not take is lost.
pub(super) async fn presences(shared: Arc<Shared>, over: CancellationToken) {
    let work = async {
        loop {
            shared.presences_come.notified().await;
            loop {
                let records: Vec<Record> = Presences::take(&mut shared.presences.lock());
                if records.is_empty() {
                    break;
                }
                if let Err(error) = shared.store.bus.publish(Topic::Presence, &records).await {
                    tracing::debug!(%error, presences = records.len(), "presences were not published");
                }
            }
        }
    };
    over.run_until_cancelled(work).await;
}

impl Presences {
    fn take(&mut self) -> Vec<Record> {
        self.queue.drain(..).collect()
    }
}

/// Publishes queued rows; false: the bus did not take them.
async fn queued(shared: &Shared) -> bool {
    let rows = shared.rows.lock().take(BATCH_ROWS);
    if rows.is_empty() {
        return true;
    }
    let good = publish(shared, &rows).await;
    let mut state = shared.rows.lock();
    for row in &rows {
        if good {
            state.published(&row.archive, row.id);
        } else {
            state.failed(&row.archive);
        }
    }
    good
}

/// Publishes a page of each of some archives that are behind; false: the store or the bus does not answer.
async fn behind(shared: &Shared) -> bool {
    let archives: Vec<Jid> = {
        let mut state = shared.rows.lock();
        let count = state.behind.len().min(CATCH_UP_ARCHIVES);
        state.behind.drain(..count).collect()
    };
    let pages = join_all(archives.iter().map(|archive| page(shared, archive))).await;
    let read = pages.iter().all(Option::is_some);
    let rows: Vec<&Row> = pages.iter().flatten().flat_map(|page| &page.rows).collect();
    let good = publish(shared, rows.iter().copied().filter(|row| !row.spool)).await;
    let mut state = shared.rows.lock();
    for (archive, page) in archives.iter().zip(&pages) {
        let Some(position) = state.archives.get_mut(archive) else { continue };
        if let Some(page) = page.as_ref().filter(|_| good) {
            position.published = position.published.max(Some(page.up_to));
            position.behind = position.published < Some(position.stored);
        }
        if position.behind {
            state.behind.push_back(archive.clone());
        }
    }
    read && good
}

/// What comes next in an archive.
struct Page {
    rows: Vec<Row>,
    /// Whatever was known up to here when it was read is in it, or was published before, or is no more.
    up_to: u64,
}

async fn page(shared: &Shared, archive: &Jid) -> Option<Page> {
    let position = shared.rows.lock().archives.get(archive).copied()?;
    let read = async {
        let published = match position.published {
            Some(published) => published,
            None => begin(shared, archive, position.begins).await?,
        };
        let rows = shared.store.archive.after(archive, published, CATCH_UP_ROWS).await?;
        let whole = rows.len() < CATCH_UP_ROWS;
        let last = rows.last().map_or(published, |row| row.id);
        let up_to = if whole { last.max(position.stored) } else { last };
        Ok::<_, store::Error>(Page { rows, up_to })
    };
    read.await
        .inspect_err(|error| tracing::debug!(%error, %archive, "an archive could not be read for events"))
        .ok()
}

/// Where publishing an archive goes on. The first time it is said at once: its next owner begins there too.
async fn begin(shared: &Shared, archive: &Jid, begins: u64) -> store::Result<u64> {
    let saved = save::load(&shared.store, archive).await?;
    if saved.is_none() {
        save::write(&shared.store, archive, begins).await?;
    }
    let begins = saved.unwrap_or(begins);
    shared.rows.lock().saved(archive, begins);
    Ok(begins)
}

async fn publish(shared: &Shared, rows: impl IntoIterator<Item = &Row>) -> bool {
    let records: Vec<Record> = rows.into_iter().filter_map(record::archived).collect();
    if records.is_empty() {
        return true;
    }
    match shared.store.bus.publish(Topic::Messages, &records).await {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, rows = records.len(), "messages are not published yet");
            false
        }
    }
}
