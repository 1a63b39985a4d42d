//! Counters: what all processes together may do only so often, as try passwords.

use async_trait::async_trait;

use crate::Result;

/// Counters that forget. They may forget too much after a failure, never too little.
#[async_trait]
pub trait Counters: Send + Sync {
    /// Adds to a counter and returns what was added within its window, this included.
    ///
    /// A window of `window_ms` begins with the first addition; when it is over the counter is 0 again.
    async fn add(&self, counter: &str, n: u64, window_ms: u64) -> Result<u64>;

    /// What a counter stands at.
    async fn count(&self, counter: &str) -> Result<u64>;
}
