//! The roster of an account in memory.

use store::{Item, Request};

/// Contacts and the subscription requests that wait for an answer.
#[derive(Debug, Default)]
pub struct Roster {
    /// Grows with each change (RFC 6121 §2.6).
    pub version: u64,
    /// Ordered by JID.
    pub items: Vec<Item>,
    /// Requests that wait for an answer.
    pub requests: Vec<Request>,
}

impl From<store::Roster> for Roster {
    fn from(stored: store::Roster) -> Self {
        Self { version: stored.version, items: stored.items, requests: stored.requests }
    }
}
