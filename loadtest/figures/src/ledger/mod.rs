//! The ledger: what became of every message, by pair.
//!
//! Each session keeps two halves without any lock: [`Outgoing`] for what it sends and what the server says about that,
//! [`Incoming`] for what it gets. At the session's end they are given back to the [`Book`]; books of several workers are merged;
//! [`Book::settle`] compares both sides and gives the [`Verdict`].
//!
//! A *stream* is what one session sends to one address: RFC 6120 §10.1 has its order kept. An account may have several
//! sessions, at once or in turn, on both sides:
//! - a message to an account is lost if no session of it got it; doubled if one session got it twice; reordered as one session
//!   sees it;
//! - a message to a room or node is owed to each session that was in it, from when that was confirmed to when it leaves.
//!
//! What excuses a message that did not come: the server said so (failed, unknown); a connection without XEP-0198 broke while
//! it may have been under way, the sender's or the receiver's; or nobody came back to read it.

mod archive;
mod id;
mod incoming;
mod log;
mod order;
mod outgoing;
mod ranges;
mod rooms;
mod settle;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use id::{Address, MessageId};
pub use incoming::Incoming;
pub use outgoing::Outgoing;
pub use verdict::{Kind, NAMED_MAX, Offence, Verdict};

use incoming::{Arrived, Stay};
use log::{Finished, Log};
use outgoing::{Sent, Told};

use crate::Malformed;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was there when the run was over, and all that was under way had been waited for.
    Finished,
    /// It logged out; or its stream was managed (XEP-0198), so that the server answers for what it has not acknowledged.
    Left,
    /// Its connection was lost, and nothing managed it: what was under way may be lost with it.
    Broken,
}

/// What sessions have given back. Everything of one run.
#[derive(Debug)]
pub struct Book {
    run: u32,
    /// By account: how many sessions have sent.
    lanes: BTreeMap<u32, u16>,
    senders: Vec<Sender>,
    receivers: BTreeMap<u32, Vec<Receiver>>,
    archives: BTreeMap<u32, Finished<Arrived>>,
    /// Delayed and stray, which are known when they arrive.
    found: Verdict,
}

/// What one session has sent.
#[derive(Debug)]
struct Sender {
    from: u32,
    lane: u16,
    end: End,
    sent: Finished<Sent>,
    fates: Finished<Told>,
}

/// What one session got.
#[derive(Debug)]
struct Receiver {
    from_ms: u32,
    to_ms: u32,
    end: End,
    stays: Vec<Stay>,
    arrived: Finished<Arrived>,
}

/// What an account's archive holds, as it was read at the end.
#[derive(Debug)]
pub struct Archive {
    run: u32,
    account: u32,
    held: Log<Arrived>,
}

impl Book {
    /// `run` is the number that the run's messages carry.
    pub fn new(run: u32) -> Self {
        Self {
            run,
            lanes: BTreeMap::new(),
            senders: Vec::new(),
            receivers: BTreeMap::new(),
            archives: BTreeMap::new(),
            found: Verdict::default(),
        }
    }

    /// The sender's half of a new session of this account. All sessions of an account are of one worker.
    pub fn outgoing(&mut self, account: u32) -> Outgoing {
        let lanes = self.lanes.entry(account).or_default();
        let lane = *lanes;
        *lanes = lanes.saturating_add(1);
        Outgoing::new(self.run, account, lane)
    }

    /// The receiver's half of a new session of this account, that can be written to from `at_ms` since the run's start.
    pub fn incoming(&self, account: u32, at_ms: u64) -> Incoming {
        Incoming::new(self.run, account, at_ms as u32)
    }

    /// To be filled with what the account's archive holds.
    pub fn archive(&self, account: u32) -> Archive {
        Archive { run: self.run, account, held: Log::default() }
    }

    /// Takes back the sender's half of a session that has ended.
    pub fn sender_ended(&mut self, outgoing: Outgoing, end: End) {
        let Outgoing { from, lane, sent, fates, .. } = outgoing;
        self.senders.push(Sender { from, lane, end, sent: sent.finish(), fates: fates.finish() });
    }

    /// Takes back the receiver's half of a session that has ended at `at_ms`.
    pub fn receiver_ended(&mut self, incoming: Incoming, end: End, at_ms: u64) {
        let Incoming { account, from_ms, stays, arrived, delayed, early, astray, named, .. } = incoming;
        self.found.delayed += delayed;
        self.found.astray += astray + early.len() as u64;
        for offence in named.into_iter().chain(early) {
            self.found.name(offence);
        }
        let receiver = Receiver { from_ms, to_ms: at_ms as u32, end, stays, arrived: arrived.finish() };
        self.receivers.entry(account).or_default().push(receiver);
    }

    /// Takes an archive that was read to its end.
    pub fn archive_read(&mut self, archive: Archive) {
        self.archives.insert(archive.account, archive.held.finish());
    }

    /// Adds what another worker has, whose accounts are others.
    pub fn merge(&mut self, other: Self) {
        self.lanes.extend(other.lanes);
        self.senders.extend(other.senders);
        for (account, receivers) in other.receivers {
            self.receivers.entry(account).or_default().extend(receivers);
        }
        self.archives.extend(other.archives);
        self.found.delayed += other.found.delayed;
        self.found.astray += other.found.astray;
        for offence in other.found.offences {
            self.found.name(offence);
        }
    }

    /// Everything as bytes, for another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::write(self)
    }

    /// What [`Book::to_bytes`] has written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        wire::read(bytes).ok_or_else(|| Malformed("a book that was cut or is of another version".to_owned()))
    }

    /// What became of every message. `patience` is how long a message may have been under way when a connection was lost.
    pub fn settle(self, patience: Duration) -> Verdict {
        settle::settle(self, patience)
    }
}

impl Archive {
    /// The archive holds this message once more. What is of another run, or of a room, is left out.
    pub fn holds(&mut self, message: &MessageId) {
        if message.run != self.run {
            return;
        }
        if let (Some(lane), Address::Account(to)) = (message.lane(), message.to) {
            let number = message.number();
            let own = message.from == self.account;
            // An account's own messages go to many: which of them is told by the addressee, in the place of the sender.
            let (from, stay) = if own { (to, 1) } else { (message.from, 0) };
            self.held.push(Arrived { from, lane, stay, start: number, end: number });
        }
    }
}
