//! Gathering: until the edges have said which sessions there are, a new owner tells nobody of absence.
//!
//! What arrives for an account meanwhile waits in its lane, unless the account has a session already. It lasts until all
//! edges that are configured have attached, and `gather_ms` at most, which is well below an item's lifetime.

use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashSet;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Whether sessions are still being gathered.
pub(crate) struct Gathering {
    on: AtomicBool,
    edges: usize,
    attached: Mutex<HashSet<String>>,
    all: std::sync::Arc<Notify>,
}

impl Gathering {
    /// Waits for `edges` edges; for the whole time if that is 0.
    pub(crate) fn new(edges: usize) -> Self {
        Self { on: AtomicBool::new(true), edges, attached: Mutex::default(), all: std::sync::Arc::default() }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Release);
    }

    /// An edge has attached all it has, perhaps for the second time.
    pub(crate) fn attached(&self, member: &str) {
        if self.edges == 0 || !self.is_on() {
            return;
        }
        let mut attached = self.attached.lock();
        attached.insert(member.to_owned());
        if attached.len() >= self.edges {
            self.all.notify_one();
        }
    }

    /// Completes when all edges have attached.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + use<> {
        let all = std::sync::Arc::clone(&self.all);
        async move { all.notified().await }
    }
}
