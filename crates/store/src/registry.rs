//! The registry: which sessions there are, for whoever takes their account over (docs/delivery.md).
//!
//! It is told without being waited for, and may be behind, or empty after a failure: nothing acknowledged depends on it.

use async_trait::async_trait;
use xmpp::jid::Jid;

use crate::Result;

/// A session as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Identifies its stream.
    pub origin: [u8; 16],
    /// Its full JID.
    pub jid: Jid,
    /// The edge that its client was last connected to.
    pub edge: String,
    /// For how long it may be resumed after its client is gone, in milliseconds; 0: not at all.
    pub resumable_ms: u64,
}

/// The sessions of all slots.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Records sessions of a slot, in place of what was recorded of the same streams.
    async fn put(&self, slot: u16, sessions: &[Registered]) -> Result<()>;

    /// Forgets sessions of a slot by their streams; they need not be recorded.
    async fn remove(&self, slot: u16, origins: &[[u8; 16]]) -> Result<()>;

    /// The sessions of a slot, ordered by origin.
    async fn of_slot(&self, slot: u16) -> Result<Vec<Registered>>;
}
