//! Epochs: the numbers that tell an owner from the ones before it (docs/delivery.md).

use async_trait::async_trait;

use crate::{Error, Result};

/// The bytes of a member's name at most.
pub const MEMBER_BYTES_MAX: usize = 1024;

/// The epochs of all members; they only grow.
#[async_trait]
pub trait Epochs: Send + Sync {
    /// The epoch of a member, 0 if it was never raised. Never slow.
    async fn current(&self, member: &str) -> Result<u64>;

    /// Raises the epoch of a member by one and returns it; no two calls return the same.
    async fn raise(&self, member: &str) -> Result<u64>;
}

pub(crate) fn check(member: &str) -> Result<()> {
    Error::if_larger("the name of a member in bytes", member.len(), MEMBER_BYTES_MAX)
}
