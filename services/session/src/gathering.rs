//! Gathering: until the edges have said which sessions there are, a new owner tells nobody of absence.
//!
//! What arrives for an account meanwhile waits in its lane, unless the account has a session already. It lasts until all
//! edges that are configured have attached, and `gather_ms` at most, which is well below an item's lifetime.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashSet;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Between looks at whether accounts are still being read.
const LOOK: Duration = Duration::from_millis(5);

/// Looks in a row that have to find none.
const QUIET_LOOKS: u32 = 4;

/// Whether sessions are still being gathered.
pub(crate) struct Gathering {
    on: AtomicBool,
    edges: usize,
    attached: Mutex<HashSet<String>>,
    /// Accounts that are being read: what came for their streams has not gone its way yet.
    loading: AtomicUsize,
    all: std::sync::Arc<Notify>,
}

impl Gathering {
    /// Waits for `edges` edges; for the whole time if that is 0.
    pub(crate) fn new(edges: usize) -> Self {
        Self {
            on: AtomicBool::new(true),
            edges,
            attached: Mutex::default(),
            loading: AtomicUsize::new(0),
            all: std::sync::Arc::default(),
        }
    }

    fn is_on(&self) -> bool {
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

    /// An account is about to be read.
    pub(crate) fn load_begins(&self) {
        self.loading.fetch_add(1, Ordering::AcqRel);
    }

    /// It is here, or there is none.
    pub(crate) fn load_ends(&self) {
        self.loading.fetch_sub(1, Ordering::AcqRel);
    }

    /// Completes when no account is being read, and has not been for a moment: what edges said of its streams is at the
    /// accounts it is for.
    pub(crate) async fn settled(&self) {
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            tokio::time::sleep(LOOK).await;
            quiet = if self.loading.load(Ordering::Acquire) == 0 { quiet + 1 } else { 0 };
        }
    }

    /// Completes when all edges have attached.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + use<> {
        let all = std::sync::Arc::clone(&self.all);
        async move { all.notified().await }
    }
}
