//! Deleting what a domain does not show any more: of an account that leaves memory, its oldest rows, and of one that is
//! loaded. One account of a shard at a time; whoever comes meanwhile is swept the next time.

use std::sync::atomic::Ordering;

use features::mam::retention;

use crate::resident::Resident;
use crate::shard::Cx;

impl Resident {
    /// Deletes expired rows, unless they still wait for a client: what is below the cursor does not.
    pub(crate) fn sweep(&self, cx: &Cx<'_>) {
        let below = retention::oldest(&self.host, cx.now_ms).min(self.archive.settled_until());
        if below == 0 || self.removed || cx.common.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let (archive, account) = (cx.owner.store.archive.clone(), self.account.jid.clone());
        let sweeping = cx.common.sweeping.clone();
        tokio::spawn(async move {
            match retention::sweep(&*archive, &account, below).await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(%account, rows, "expired messages are deleted"),
                Err(error) => tracing::warn!(%error, %account, "expired messages could not be deleted"),
            }
            sweeping.store(false, Ordering::Relaxed);
        });
    }
}
