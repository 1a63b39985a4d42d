//! Cursors: how far the messages that wait for an account's clients are settled (docs/delivery.md).

use async_trait::async_trait;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The ids a cursor may hold above its lowest unsettled row at most.
pub const ABOVE_MAX: usize = 1024;

/// Which rows of an account's archive with `deliver` are settled: those below `lowest`, and those in `above`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The id of the lowest row that may be unsettled.
    pub lowest: u64,
    /// The settled ids above it, ascending, at most [`ABOVE_MAX`].
    pub above: Vec<u64>,
}

impl Cursor {
    /// Whether the row of this id is settled.
    pub fn settled(&self, id: u64) -> bool {
        id < self.lowest || self.above.binary_search(&id).is_ok()
    }

    pub(crate) fn check(&self) -> Result<()> {
        Error::if_larger("a cursor in settled ids", self.above.len(), ABOVE_MAX)
    }
}

/// The cursors of all accounts. The rows they speak of are read with [`crate::Archive::after`].
#[async_trait]
pub trait Cursors: Send + Sync {
    /// The cursor of an account; the default one, nothing settled, if none was saved. Never slow.
    async fn load(&self, account: &Jid) -> Result<Cursor>;

    /// Saves the cursors of these accounts; some may be saved after [`Error::Unknown`].
    async fn save(&self, cursors: &[(Jid, Cursor)]) -> Result<()>;
}
