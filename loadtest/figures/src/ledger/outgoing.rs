//! The sender's half: what one session has sent, and what the server has said about it.

use hashbrown::HashMap;

use super::id::{self, Address, MessageId};
use super::log::{Log, Run};

/// A run of messages is not longer than this, so that its messages' times are known about as well.
const RUN_MS_MAX: u32 = 5_000;

/// What one session sends, from its login until its end for good: resumptions continue it. Owned by that session.
#[derive(Debug)]
pub struct Outgoing {
    pub(crate) run: u32,
    pub(crate) from: u32,
    pub(crate) lane: u16,
    last: HashMap<Address, u32>,
    pub(crate) sent: Log<Sent>,
    pub(crate) fates: Log<Told>,
}

/// Messages that were sent one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) to: Address,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) first_ms: u32,
    pub(crate) last_ms: u32,
}

/// What the server has said about messages. The worse counts, in whatever order it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Acknowledged,
    Unknown,
    Failed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) to: Address,
    pub(crate) fate: Fate,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Outgoing {
    pub(crate) fn new(run: u32, from: u32, lane: u16) -> Self {
        Self { run, from, lane, last: HashMap::new(), sent: Log::default(), fates: Log::default() }
    }

    /// A message is about to be sent: the id it carries. `at_us` is when it was intended, since the run's start.
    pub fn sent(&mut self, to: Address, at_us: u64) -> MessageId {
        let last = self.last.entry(to).or_default();
        *last += 1;
        let (number, at_ms) = (*last, (at_us / 1000) as u32);
        self.sent.push(Sent { to, start: number, end: number, first_ms: at_ms, last_ms: at_ms });
        MessageId { run: self.run, from: self.from, to, seq: id::seq(self.lane, number), at_us }
    }

    /// The server has taken it over (XEP-0198 §4): from now on it answers for it.
    pub fn acknowledged(&mut self, to: Address, seq: u64) {
        self.told(to, seq, Fate::Acknowledged);
    }

    /// The server has answered with an error that will not pass: it was not delivered, and everybody knows.
    pub fn failed(&mut self, to: Address, seq: u64) {
        self.told(to, seq, Fate::Failed);
    }

    /// Nobody can know: refused with an error of type `wait`, or not acknowledged when a managed stream was lost for good.
    pub fn unknown(&mut self, to: Address, seq: u64) {
        self.told(to, seq, Fate::Unknown);
    }

    fn told(&mut self, to: Address, seq: u64, fate: Fate) {
        let number = seq as u32;
        self.fates.push(Told { to, fate, start: number, end: number });
    }
}

impl Run for Sent {
    type Key = (Address, u32);

    fn key(&self) -> Self::Key {
        (self.to, self.start)
    }

    fn join(&mut self, next: &Self) -> bool {
        let (low, high) = (self.first_ms.min(next.first_ms), self.last_ms.max(next.last_ms));
        let continues = self.to == next.to && self.end + 1 == next.start && high - low <= RUN_MS_MAX;
        if continues {
            (self.end, self.first_ms, self.last_ms) = (next.end, low, high);
        }
        continues
    }
}

impl Sent {
    /// About when that message of the run was sent, in milliseconds.
    pub(crate) fn at_ms(&self, number: u32) -> u32 {
        let share = |of: u32| {
            u64::from(of) * u64::from(number - self.start) / u64::from(self.end - self.start).max(1)
        };
        self.first_ms + share(self.last_ms - self.first_ms) as u32
    }
}

impl Run for Told {
    type Key = (Address, Fate, u32);

    fn key(&self) -> Self::Key {
        (self.to, self.fate, self.start)
    }

    fn join(&mut self, next: &Self) -> bool {
        // Acknowledgements may be told twice: what overlaps is the same.
        let continues = self.to == next.to
            && self.fate == next.fate
            && (self.start..=self.end.saturating_add(1)).contains(&next.start);
        if continues {
            self.end = self.end.max(next.end);
        }
        continues
    }
}
