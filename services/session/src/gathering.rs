//! Gathering: until the edges have said which sessions there are, a new owner tells nobody of absence.
//!
//! What arrives for an account meanwhile waits in its lane, unless the account has a session already. It lasts until all
//! edges that are configured have attached, and `gather_ms` at most, which is well below an item's lifetime.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Whether sessions are still being gathered.
pub(crate) struct Gathering {
    on: AtomicBool,
    awaited: AtomicUsize,
    all: std::sync::Arc<Notify>,
}

impl Gathering {
    /// Waits for `edges` edges; for the whole time if that is 0.
    pub(crate) fn new(edges: usize) -> Self {
        let awaited = if edges == 0 { usize::MAX } else { edges };
        Self { on: AtomicBool::new(true), awaited: AtomicUsize::new(awaited), all: std::sync::Arc::default() }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Release);
    }

    /// An edge has attached all it has.
    pub(crate) fn attached(&self) {
        let before = self.awaited.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        if before == Ok(1) {
            self.all.notify_one();
        }
    }

    /// Completes when all edges have attached.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + use<> {
        let all = std::sync::Arc::clone(&self.all);
        async move { all.notified().await }
    }
}
