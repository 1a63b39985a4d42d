//! What became of every message: the outcome of the ledger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::Address;

/// Offences of one kind that are named; all of them are counted.
pub const NAMED_MAX: usize = 1000;

/// What the ledger found. Of messages to accounts, `owed` is what was sent; of those to rooms and nodes, one for each receiver.
/// What is owed was delivered, lost, failed, unknown or unread: `owed` is their sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct Verdict {
    /// Messages that were sent.
    pub sent: u64,
    /// Deliveries that were due.
    pub owed: u64,
    /// Deliveries that came, each counted once.
    pub delivered: u64,
    /// Due, not come, and no excuse.
    pub lost: u64,
    /// Came again to a session that had it, counted for each further time.
    pub doubled: u64,
    /// Came later or earlier than the order of sending asks for: as few as explain the order.
    pub reordered: u64,
    /// Took longer than the scenario allows.
    pub delayed: u64,
    /// The server said, with an error that will not pass, that it did not deliver.
    pub failed: u64,
    /// Did not come, and nobody can know: refused for now, or under way when a connection without stream management was lost.
    pub unknown: u64,
    /// Were unknown to the sender, and came.
    pub unknown_delivered: u64,
    /// For accounts that did not come back to read them.
    pub unread: u64,
    /// Came to somebody they were not for, or were never sent.
    pub astray: u64,
    /// Messages that archives hold, where they were read.
    pub archived: u64,
    /// Delivered or acknowledged, but not in the archive of an account that was read; or in it twice, or out of order.
    pub archive_differences: u64,
    /// Of each kind the first, in order of time.
    pub offences: Vec<Offence>,
}

/// A message and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Offence {
    /// What is wrong.
    pub kind: Kind,
    /// The sender's account.
    pub from: u32,
    /// The account, or the room or node.
    pub to: Address,
    /// The account that did or did not get it; with an archive, whose archive it is.
    pub by: u32,
    /// Of the session, address and sender; the sender's session is in the upper half.
    pub seq: u64,
    /// When it was sent, in milliseconds since the run's start; of lost ones within some seconds.
    pub at_ms: u64,
}

/// What can be wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It did not come, and nothing excuses it.
    Lost,
    /// It came again to a session that had it.
    Doubled,
    /// It was moved within its stream.
    Reordered,
    /// It took longer than the scenario allows.
    Delayed,
    /// It came to somebody it was not for, or was never sent.
    Astray,
    /// Not in the archive it belongs into.
    Unarchived,
    /// More than once in an archive.
    ArchivedTwice,
    /// In an archive, and moved within its stream there.
    Misfiled,
}

impl Verdict {
    /// Whether there is nothing that a run must not show, whatever its scenario says.
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.doubled == 0
            && self.reordered == 0
            && self.astray == 0
            && self.archive_differences == 0
    }

    /// Counts an offence, and names it while there is room.
    pub(crate) fn found(&mut self, offence: Offence) {
        let count = match offence.kind {
            Kind::Lost => &mut self.lost,
            Kind::Doubled => &mut self.doubled,
            Kind::Reordered => &mut self.reordered,
            Kind::Delayed => &mut self.delayed,
            Kind::Astray => &mut self.astray,
            Kind::Unarchived | Kind::ArchivedTwice | Kind::Misfiled => &mut self.archive_differences,
        };
        *count += 1;
        self.name(offence);
    }

    /// Names one that is counted already. Which ones stay is decided when many have gathered, and at the end.
    pub(crate) fn name(&mut self, offence: Offence) {
        self.offences.push(offence);
        if self.offences.len() >= 16 * NAMED_MAX {
            self.cut();
        }
    }

    /// Puts the named offences in order, and keeps [`NAMED_MAX`] of each kind.
    pub(crate) fn cut(&mut self) {
        self.offences
            .sort_by_key(|offence| (offence.kind, offence.at_ms, offence.from, offence.seq, offence.by));
        let mut of_kind = (Kind::Lost, 0);
        self.offences.retain(|offence| {
            of_kind = if offence.kind == of_kind.0 { (of_kind.0, of_kind.1 + 1) } else { (offence.kind, 1) };
            of_kind.1 <= NAMED_MAX
        });
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Reordered => "reordered",
            Self::Delayed => "delayed",
            Self::Astray => "astray",
            Self::Unarchived => "unarchived",
            Self::ArchivedTwice => "archived twice",
            Self::Misfiled => "misfiled",
        })
    }
}
