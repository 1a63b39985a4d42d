//! Liveness: who has been heard of in the last seconds.
//!
//! It only makes suspicion fast: whether a member may be replaced is decided by [`crate::Members`].

use async_trait::async_trait;

use crate::Result;

/// Who is there.
#[async_trait]
pub trait Liveness: Send + Sync {
    /// Says that a member is there, for the next `for_ms` milliseconds.
    async fn say(&self, member: &str, for_ms: u64) -> Result<()>;

    /// Takes back what was said.
    async fn gone(&self, member: &str) -> Result<()>;

    /// Which of these members are there, in the order in which they were asked for.
    async fn are_there(&self, members: &[String]) -> Result<Vec<bool>>;
}
