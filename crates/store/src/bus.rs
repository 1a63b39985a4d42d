//! The bus: logs that many write and many read, each reader at its own pace.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, Result};

/// The bytes of a record at most.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// A log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Messages that were archived, by archive (docs/events.md).
    Messages,
    /// Sessions whose presence has changed, by account (docs/events.md).
    Presence,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Records of the same key stay in order.
    pub key: String,
    /// At most [`RECORD_BYTES_MAX`].
    pub value: Bytes,
}

/// Where in a log a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The part of the log; each key is in one of them.
    pub part: u32,
    /// Grows in that part.
    pub offset: u64,
}

/// Logs to write to and to read from.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Whether anybody but Throng reads it. What is for others only need not be written otherwise.
    fn is_public(&self) -> bool;

    /// Writes records; they are durable when it returns `Ok`, those of a key in this order. After an error some of them
    /// may be: the same are written again, and readers take it that a record comes twice.
    async fn publish(&self, topic: Topic, records: &[Record]) -> Result<()>;

    /// Begins to read for a group, from what it has committed, at first from the oldest record. The readers of a group
    /// share the log.
    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>>;
}

/// One reader of a log. What it was given and has not committed is given to another when it is dropped.
#[async_trait]
pub trait Subscription: Send {
    /// The next records, one at least; waits for them.
    async fn next(&mut self) -> Result<Vec<(Place, Record)>>;

    /// Says that everything up to these places, each in its part, is done: the group is not given it again.
    async fn commit(&mut self, places: &[Place]) -> Result<()>;
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Messages, Self::Presence];

    /// What it is called, with the version of what is in it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages.v1",
            Self::Presence => "presence.v1",
        }
    }
}

impl Record {
    pub(crate) fn check(&self) -> Result<()> {
        Error::if_larger("a record of the bus in bytes", self.value.len(), RECORD_BYTES_MAX)
    }
}
