//! Gathering: until the edges have said which sessions there are, a new owner tells nobody of absence.
//!
//! Slots are gathered in batches, as they are taken. What arrives for an account meanwhile waits at its shard. It lasts until
//! every edge that may have sessions there has attached them, and `gather_ms` at most, which is well below an item's
//! lifetime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hashbrown::HashSet;
use node::slots::SLOTS;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Between looks at whether accounts are still being read.
const LOOK: Duration = Duration::from_millis(5);

/// Looks in a row that have to find none.
const QUIET_LOOKS: u32 = 4;

/// What is being gathered.
pub(crate) struct Gathering {
    /// Edges that are configured; 0: those that the registry names, and those that are connected.
    edges: usize,
    batches: Mutex<Vec<Arc<Batch>>>,
    /// Accounts of each slot that are being read: what came for their streams has not gone its way yet.
    loading: Box<[AtomicU32]>,
}

/// Slots that were taken together.
pub(crate) struct Batch {
    pub(crate) slots: Vec<u16>,
    /// Edges answer a table by its highest epoch.
    epoch: u64,
    attached: Mutex<HashSet<String>>,
    changed: Notify,
}

impl Gathering {
    pub(crate) fn new(edges: usize) -> Self {
        Self { edges, batches: Mutex::default(), loading: (0..SLOTS).map(|_| AtomicU32::new(0)).collect() }
    }

    /// Slots begin to be gathered.
    pub(crate) fn begin(&self, slots: Vec<u16>, epoch: u64) -> Arc<Batch> {
        let batch = Arc::new(Batch { slots, epoch, attached: Mutex::default(), changed: Notify::new() });
        self.batches.lock().push(Arc::clone(&batch));
        batch
    }

    pub(crate) fn end(&self, batch: &Arc<Batch>) {
        self.batches.lock().retain(|other| !Arc::ptr_eq(other, batch));
    }

    /// An edge has attached all it has of what was announced by an epoch, 0: by any; perhaps for the second time.
    pub(crate) fn attached(&self, member: &str, epoch: u64) {
        for batch in self.batches.lock().iter().filter(|batch| epoch == 0 || batch.epoch <= epoch) {
            batch.attached.lock().insert(member.to_owned());
            batch.changed.notify_one();
        }
    }

    /// An edge has come or gone: perhaps nobody else is waited for.
    pub(crate) fn changed(&self) {
        self.batches.lock().iter().for_each(|batch| batch.changed.notify_one());
    }

    /// Completes when every edge that is waited for has attached what it has: `named` by the registry, and `connected`.
    pub(crate) async fn complete(
        &self,
        batch: &Batch,
        named: &HashSet<String>,
        connected: impl Fn() -> Vec<String>,
    ) {
        loop {
            {
                let attached = batch.attached.lock();
                let all = if self.edges > 0 {
                    attached.len() >= self.edges
                } else {
                    named.iter().chain(&connected()).all(|edge| attached.contains(edge))
                };
                if all {
                    return;
                }
            }
            batch.changed.notified().await;
        }
    }

    /// An account of a slot is about to be read.
    pub(crate) fn load_begins(&self, slot: u16) {
        self.loading(slot).fetch_add(1, Ordering::AcqRel);
    }

    /// It is here, or there is none.
    pub(crate) fn load_ends(&self, slot: u16) {
        self.loading(slot).fetch_sub(1, Ordering::AcqRel);
    }

    /// Completes when no account of a batch is being read, and has not been for a moment: what edges said of its streams is
    /// at the accounts it is for.
    pub(crate) async fn settled(&self, batch: &Batch) {
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            tokio::time::sleep(LOOK).await;
            let loading = batch.slots.iter().any(|slot| self.loading(*slot).load(Ordering::Acquire) > 0);
            quiet = if loading { 0 } else { quiet + 1 };
        }
    }

    fn loading(&self, slot: u16) -> &AtomicU32 {
        &self.loading[usize::from(slot)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_complete(gathering: &Gathering, batch: &Batch, named: &[&str], connected: &[&str]) -> bool {
        let named = named.iter().map(ToString::to_string).collect();
        let connected = || connected.iter().map(ToString::to_string).collect();
        let all = gathering.complete(batch, &named, connected);
        tokio::time::timeout(Duration::from_millis(20), all).await.is_ok()
    }

    #[tokio::test]
    async fn every_edge_that_is_named_or_there_is_waited_for() {
        let gathering = Gathering::new(0);
        let batch = gathering.begin(vec![1], 7);
        assert!(is_complete(&gathering, &batch, &[], &[]).await, "nobody can have anything");
        gathering.attached("west", 7);
        gathering.attached("east", 6);
        assert!(
            !is_complete(&gathering, &batch, &["west"], &["east"]).await,
            "it has not heard of this batch"
        );
        assert!(is_complete(&gathering, &batch, &["west"], &[]).await);
        gathering.attached("east", 0);
        assert!(is_complete(&gathering, &batch, &["west"], &["east"]).await);
    }

    #[tokio::test]
    async fn a_configured_number_of_edges_is_waited_for() {
        let gathering = Gathering::new(2);
        let batch = gathering.begin(vec![1], 7);
        gathering.attached("west", 7);
        gathering.attached("west", 7);
        assert!(!is_complete(&gathering, &batch, &[], &[]).await);
        gathering.attached("east", 7);
        assert!(is_complete(&gathering, &batch, &[], &[]).await);
    }
}
