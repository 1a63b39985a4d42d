//! The archive: the messages of an account (or a room), in the one order everybody sees them in.
//!
//! Each archive has one writer at a time, its owner, which gives every row its id (docs/delivery.md).

pub(crate) mod record;

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The bytes of a row's stanza at most.
pub const STANZA_BYTES_MAX: usize = 1024 * 1024;

/// The rows of one page at most; a larger limit is read as this one.
pub const PAGE_ROWS_MAX: usize = 1000;

/// What identifies a stanza wherever it goes: the stream it came in by, its number there, and which of the products of
/// handling it this one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    /// The stream, or a hash for what was derived.
    pub origin: [u8; 16],
    /// The number in that stream.
    pub n: u64,
    /// Counts the products of one stanza for one addressee.
    pub k: u32,
}

/// Which way a message went, seen from the archive's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the account.
    #[default]
    Received,
    /// From the account.
    Sent,
}

/// A message in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose archive: a bare JID.
    pub archive: Jid,
    /// Its place in the archive, given by the owner: larger than every id given before, `max(clock, last + 1)`.
    pub id: u64,
    /// Identifies the stanza, so that a new owner knows it again.
    pub uid: Uid,
    /// The epoch of the owner that wrote it.
    pub epoch: u64,
    /// Which way it went.
    pub direction: Direction,
    /// The other party.
    pub with: Jid,
    /// The address the stanza was sent to, if it had one.
    pub address: Option<Jid>,
    /// It waits for a client of non-negative priority until settled.
    pub deliver: bool,
    /// It is kept only for delivery and is not part of the archive that clients see; deleted once settled.
    pub spool: bool,
    /// When it came, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// The stanza, encoded and versioned by the caller, at most [`STANZA_BYTES_MAX`].
    pub stanza: Bytes,
}

impl Row {
    pub(crate) fn check(&self) -> Result<()> {
        Error::if_larger("the stanza of a row in bytes", self.stanza.len(), STANZA_BYTES_MAX)
    }
}

/// The archives of all accounts.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Appends rows, of one archive or of many; they are seen by readers when they are durable, not before. All or
    /// none of one archive's rows; of several archives' some may be there after [`Error::Unknown`].
    ///
    /// A row whose (archive, id) exists replaces it, so a write of unknown outcome is repeated as it was. Calls made at
    /// the same time share one write to the disk; they are performed in the order in which they were made.
    async fn append(&self, rows: &[Row]) -> Result<()>;

    /// Deletes rows of an archive; they need not exist. Their ids stay used ([`Self::last_id`]).
    async fn delete(&self, archive: &Jid, ids: &[u64]) -> Result<()>;

    /// One row. Never slow.
    async fn row(&self, archive: &Jid, id: u64) -> Result<Option<Row>>;

    /// The oldest rows with an id greater than `id`, ascending, at most `limit` (and [`PAGE_ROWS_MAX`]).
    async fn after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>>;

    /// The newest rows with an id less than `id`, ascending, at most `limit` (and [`PAGE_ROWS_MAX`]).
    async fn before(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>>;

    /// The newest rows, ascending, at most `limit` (and [`PAGE_ROWS_MAX`]), back to the first older than `since_ms`.
    async fn tail(&self, archive: &Jid, since_ms: u64, limit: usize) -> Result<Vec<Row>>;

    /// Begins to write an archive as its owner of this epoch, before anything else is done with it; answers as
    /// [`Self::last_id`].
    ///
    /// Whatever owners of lower epochs have under way and readers have not seen by now will never be seen. Where only
    /// one process can write there is nothing to be done.
    async fn take_over(&self, archive: &Jid, epoch: u64) -> Result<u64> {
        let _ = epoch;
        self.last_id(archive).await
    }

    /// Where an archive ends that this process writes, for [`Self::inherit`]; none if that would have to be read, or is no
    /// help.
    fn known_end(&self, archive: &Jid) -> Option<Bytes> {
        let _ = archive;
        None
    }

    /// [`Self::take_over`] from an owner that has let go of the archive in order: it had nothing under way any more, and said
    /// that it ends here.
    async fn inherit(&self, archive: &Jid, epoch: u64, end: &[u8]) -> Result<u64> {
        let _ = end;
        self.take_over(archive, epoch).await
    }

    /// The greatest id ever appended or deleted, 0 before the first: the next one must be greater. Never slow.
    async fn last_id(&self, archive: &Jid) -> Result<u64>;
}
