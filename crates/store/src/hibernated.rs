//! Hibernated sessions: their client is gone, and may still resume them (XEP-0198 §5).

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The bytes of one session at most.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A session whose client is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Identifies its stream.
    pub origin: [u8; 16],
    /// Whose session: a bare JID.
    pub account: Jid,
    /// Until when it may be resumed, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// Its state and mailbox, encoded and versioned by the caller, at most [`BYTES_MAX`].
    pub state: Bytes,
}

impl Session {
    pub(crate) fn check(&self) -> Result<()> {
        Error::if_larger("a hibernated session in bytes", self.state.len(), BYTES_MAX)
    }
}

/// The hibernated sessions of all accounts.
#[async_trait]
pub trait Hibernated: Send + Sync {
    /// Keeps a session, in place of what was kept under its origin.
    async fn put(&self, session: Session) -> Result<()>;

    /// Takes a session out. Of two who take it one gets it.
    async fn take(&self, origin: [u8; 16]) -> Result<Option<Session>>;

    /// The sessions of an account, ordered by origin; past deadlines are the caller's business.
    async fn list(&self, account: &Jid) -> Result<Vec<Session>>;

    /// Deletes the sessions whose deadline is before `before_ms` and returns how many.
    async fn purge(&self, before_ms: u64) -> Result<usize>;
}
