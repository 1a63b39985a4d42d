//! Block lists (XEP-0191).

use async_trait::async_trait;
use xmpp::jid::Jid;

use crate::Result;

/// The block lists of all accounts. What a blocked JID matches (XEP-0191 §5) is the caller's business.
#[async_trait]
pub trait Blocklists: Send + Sync {
    /// Every JID the account blocks, ordered by their bytes.
    async fn load(&self, account: &Jid) -> Result<Vec<Jid>>;

    /// Blocks all of these at once; some may be blocked already.
    async fn block(&self, account: &Jid, jids: &[Jid]) -> Result<()>;

    /// Unblocks all of these at once; some may not be blocked.
    async fn unblock(&self, account: &Jid, jids: &[Jid]) -> Result<()>;

    /// Empties the list and returns what it held (XEP-0191 §3.5).
    async fn clear(&self, account: &Jid) -> Result<Vec<Jid>>;
}
