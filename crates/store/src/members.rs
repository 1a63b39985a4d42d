//! Members: the processes that may own slots, which of them are live, and who owns what (docs/delivery.md).
//!
//! What is decided here must be decided once, whoever asks: reads see every write that was acknowledged, and writes are
//! compared with what was read.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, Result};

/// The bytes of a member's name or address at most.
pub const NAME_BYTES_MAX: usize = 1024;

/// The bytes of a table of slots at most.
pub const TABLE_BYTES_MAX: usize = 512 * 1024;

/// One life of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// What it is called in every life.
    pub name: String,
    /// Which of its lives: a later one is greater.
    pub incarnation: u64,
    /// It must not do anything any more: others take over what it owned.
    pub fenced: bool,
    /// Grows for as long as it lives; how fast is its own business.
    pub beat: u64,
}

/// The members of a cluster, and its table of slots.
#[async_trait]
pub trait Members: Send + Sync {
    /// Begins a life, in place of an earlier one of the same name, which is not live from then on.
    ///
    /// [`Error::Conflict`] if a later life of that name has begun, or this one was fenced.
    async fn join(&self, name: &str, incarnation: u64) -> Result<()>;

    /// Says that a member is there, and answers whether it still is one: its row is of this life and not fenced. What
    /// is answered was so at some time after the call began.
    async fn beat(&self, name: &str, incarnation: u64, beat: u64) -> Result<bool>;

    /// Fences a life. Once it has returned, no [`Self::beat`] of that life that begins answers true. A life that is over
    /// needs no fence.
    async fn fence(&self, name: &str, incarnation: u64) -> Result<()>;

    /// Ends a life in order: it owns nothing. Another life of that name is left alone.
    async fn leave(&self, name: &str, incarnation: u64) -> Result<()>;

    /// All members, ordered by name.
    async fn list(&self) -> Result<Vec<Member>>;

    /// The table of slots and its version; version 0 and nothing before it was first written.
    async fn table(&self) -> Result<(u64, Bytes)>;

    /// Replaces the table if its version is `version`, and makes it the next one. False: somebody else was faster.
    async fn replace_table(&self, version: u64, table: Bytes) -> Result<bool>;
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    Error::if_larger("the name of a member in bytes", name.len(), NAME_BYTES_MAX)
}

pub(crate) fn check_table(table: &Bytes) -> Result<()> {
    Error::if_larger("a table of slots in bytes", table.len(), TABLE_BYTES_MAX)
}
