//! What features may be granted beside the context.

use std::sync::Arc;

use async_trait::async_trait;
use store::Store;
use xmpp::jid::Jid;
use xmpp::sasl::Keys;

/// All ports; a feature keeps those it needs and no others.
#[derive(Clone)]
pub struct Ports {
    /// What is stored.
    pub store: Store,
    /// Other accounts' sessions, for administration only.
    pub directory: Arc<dyn Directory>,
    /// Salted keys of passwords: some milliseconds of work, done elsewhere.
    pub passwords: Arc<dyn Passwords>,
}

/// The sessions of this process.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Full JIDs of the sessions of a domain that are there, sorted, at most `limit`.
    async fn online(&self, domain: &Jid, limit: usize) -> Vec<Jid>;

    /// Ends all sessions of an account with a stream error condition; with `removed`, forgets the account.
    async fn end(&self, account: &Jid, condition: &'static str, removed: bool);
}

/// Makes salted keys.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Keys of a password, with a fresh salt; none: the password cannot be prepared (RFC 4013).
    async fn keys(&self, password: &str) -> Option<Keys>;
}
