//! Public events (docs/events.md): what was archived, at least once, and whose presence has changed, as it comes.
//!
//! Nobody waits for the bus. Stored rows are queued; a row that the queue has no room for, or that the bus did not take,
//! is forgotten, and its archive is *behind*: it is read after the last published row until it no longer is. How far an
//! archive is published is saved now and then, and read again by the next owner of its account.

mod publish;
mod record;
mod save;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use features::account::{Origin, Session};
use parking_lot::Mutex;
use store::bus::Record;
use store::{Row, Store};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use xmpp::jid::Jid;

/// Rows that wait to be published, and their bytes; beyond, their archives are behind.
const ROWS_MAX: usize = 16_384;
const ROWS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Presences that wait to be published; beyond, they are dropped.
const PRESENCES_MAX: usize = 4_096;
/// How long an owner that ends in order tries to publish what it has.
const FINISH: Duration = Duration::from_secs(2);

/// The events of an owner; their tasks end with it.
pub(crate) struct Events {
    shared: Arc<Shared>,
    _over: DropGuard,
}

struct Shared {
    store: Store,
    rows: Mutex<Rows>,
    rows_come: Notify,
    presences: Mutex<Presences>,
    presences_come: Notify,
}

#[derive(Default)]
struct Rows {
    queue: VecDeque<Row>,
    bytes: usize,
    archives: HashMap<Jid, Position>,
    /// Archives that are behind, those that have been so for long first.
    behind: VecDeque<Jid>,
}

/// How far an archive is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    /// Up to this row. None: what was saved has not been read yet.
    published: Option<u64>,
    /// Where it begins if nothing was saved.
    begins: u64,
    saved: Option<u64>,
    /// The last row that is known of.
    stored: u64,
    behind: bool,
    /// Saves without news of it.
    quiet: u8,
}

#[derive(Default)]
struct Presences {
    queue: VecDeque<Record>,
    /// What was last said of each session that is available.
    said: HashMap<Origin, (String, i8)>,
}

impl Events {
    /// The events of an owner; none if nobody reads them.
    pub(crate) fn begin(store: &Store) -> Option<Self> {
        if !store.bus.is_public() {
            return None;
        }
        let shared = Arc::new(Shared {
            store: store.clone(),
            rows: Mutex::default(),
            rows_come: Notify::new(),
            presences: Mutex::default(),
            presences_come: Notify::new(),
        });
        let over = CancellationToken::new();
        tokio::spawn(publish::rows(Arc::clone(&shared), over.clone()));
        tokio::spawn(publish::presences(Arc::clone(&shared), over.clone()));
        tokio::spawn(save::positions(Arc::clone(&shared), over.clone()));
        Some(Self { shared, _over: over.drop_guard() })
    }

    /// An account was read, with its last row: an owner before may have left some unpublished.
    pub(crate) fn loaded(&self, archive: &Jid, last_id: u64) {
        self.shared.rows.lock().know(archive, last_id, last_id);
        self.shared.rows_come.notify_one();
    }

    /// Rows are durable, those of an archive in order.
    pub(crate) fn stored(&self, rows: &[Row]) {
        self.shared.rows.lock().put(rows.iter().filter(|row| !row.spool));
        self.shared.rows_come.notify_one();
    }

    /// A session has become available, or something of it has changed.
    pub(crate) fn changed(&self, session: &Session, now_ms: u64) {
        let mut presences = self.shared.presences.lock();
        let Some(presence) = &session.presence else {
            if presences.said.remove(&session.stream).is_some() {
                presences.put(record::unavailable(&session.jid, now_ms));
                self.shared.presences_come.notify_one();
            }
            return;
        };
        let said = (record::show(presence), session.priority);
        if presences.said.get(&session.stream) != Some(&said) {
            presences.put(record::available(&session.jid, &said.0, said.1, now_ms));
            presences.said.insert(session.stream, said);
            self.shared.presences_come.notify_one();
        }
    }

    /// A session is about to end.
    pub(crate) fn ended(&self, session: &Session, now_ms: u64) {
        let mut presences = self.shared.presences.lock();
        let said = presences.said.remove(&session.stream).is_some();
        if said || session.presence.is_some() {
            presences.put(record::unavailable(&session.jid, now_ms));
            self.shared.presences_come.notify_one();
        }
    }

    /// Publishes what there is, for a moment, and saves how far that came.
    pub(crate) async fn finish(&self) {
        let published = async {
            while !self.shared.rows.lock().is_published() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(FINISH, published).await;
        save::save(&self.shared).await;
    }
}

impl Rows {
    /// An archive of which a row is known; one that is new here is behind until it is known how far it is published.
    fn know(&mut self, archive: &Jid, begins: u64, stored: u64) -> &mut Position {
        let position = self.archives.entry(archive.clone()).or_insert_with(|| {
            self.behind.push_back(archive.clone());
            Position { begins, behind: true, ..Position::default() }
        });
        position.stored = position.stored.max(stored);
        position.quiet = 0;
        position
    }

    fn put<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        for row in rows {
            let full = self.queue.len() >= ROWS_MAX || self.bytes >= ROWS_BYTES_MAX;
            let position = self.know(&row.archive, row.id.saturating_sub(1), row.id);
            if position.behind {
                continue;
            }
            if full {
                position.behind = true;
                self.behind.push_back(row.archive.clone());
            } else {
                self.bytes += row.stanza.len();
                self.queue.push_back(row.clone());
            }
        }
    }

    /// The next queued rows; those of archives that are behind are read with what came before them.
    fn take(&mut self, rows_max: usize) -> Vec<Row> {
        let mut taken = Vec::new();
        while taken.len() < rows_max
            && let Some(row) = self.queue.pop_front()
        {
            self.bytes -= row.stanza.len();
            let position = self.archives.get(&row.archive);
            if position.is_some_and(|position| !position.behind && position.published < Some(row.id)) {
                taken.push(row);
            }
        }
        taken
    }

    /// Rows of an archive up to this one are published.
    fn published(&mut self, archive: &Jid, id: u64) {
        if let Some(position) = self.archives.get_mut(archive) {
            position.published = position.published.max(Some(id));
        }
    }

    /// Rows of an archive could not be published.
    fn failed(&mut self, archive: &Jid) {
        if let Some(position) = self.archives.get_mut(archive)
            && !position.behind
        {
            position.behind = true;
            self.behind.push_back(archive.clone());
        }
    }

    fn is_published(&self) -> bool {
        self.queue.is_empty() && self.behind.is_empty()
    }
}

impl Presences {
    fn put(&mut self, record: Record) {
        if self.queue.len() < PRESENCES_MAX {
            self.queue.push_back(record);
        }
    }
}

#[cfg(test)]
mod tests;
