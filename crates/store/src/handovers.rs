//! What an owner knew of its accounts when it let go of them: the next one goes on with that and reads next to nothing.
//!
//! These are copies, for a moment. Whoever finds none, or one of another epoch than it looks for, reads what is stored.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The bytes of one copy at most.
pub const BYTES_MAX: usize = 64 * 1024;

/// The copies of all accounts that are on their way.
#[async_trait]
pub trait Handovers: Send + Sync {
    /// Keeps the copy of an account for the next `for_ms` milliseconds, in place of an older one: at most [`BYTES_MAX`],
    /// encoded by the caller.
    async fn put(&self, account: &Jid, copy: Bytes, for_ms: u64) -> Result<()>;

    /// Takes the copy of an account out.
    async fn take(&self, account: &Jid) -> Result<Option<Bytes>>;
}

/// Keeps nothing: every account is read.
#[derive(Debug)]
pub(crate) struct Nothing;

#[async_trait]
impl Handovers for Nothing {
    async fn put(&self, _account: &Jid, _copy: Bytes, _for_ms: u64) -> Result<()> {
        Ok(())
    }

    async fn take(&self, _account: &Jid) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

pub(crate) fn check(copy: &Bytes) -> Result<()> {
    Error::if_larger("the copy of an account in bytes", copy.len(), BYTES_MAX)
}
