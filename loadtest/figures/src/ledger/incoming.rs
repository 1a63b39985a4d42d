//! The receiver's half: what one session got, in the order in which it came.

use hashbrown::HashMap;

use super::id::{self, Address, MessageId};
use super::log::{Log, Run};
use super::verdict::{Kind, Offence};

/// Delayed and stray messages that one session names at most; the others are counted.
const NAMED_MAX: usize = 1000;

/// What one session gets, from when it can be written to (its initial presence) until its end for good: resumptions continue
/// it. Owned by that session. Carbons, and what rooms send again as their history, are not for it.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) run: u32,
    pub(crate) account: u32,
    pub(crate) from_ms: u32,
    rooms: HashMap<u32, u16>,
    pub(crate) stays: Vec<Stay>,
    pub(crate) arrived: Log<Arrived>,
    pub(crate) delayed: u64,
    /// From rooms that the session is not in yet: a service may be faster with its last item than with its answer.
    pub(crate) early: Vec<Offence>,
    pub(crate) astray: u64,
    pub(crate) named: Vec<Offence>,
}

/// How long a session was in a room. What it gets in one stay is looked at apart from every other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    pub(crate) room: u32,
    pub(crate) from_ms: u32,
    pub(crate) left: bool,
}

/// Consecutive messages of one stream that came one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) from: u32,
    pub(crate) lane: u16,
    /// 0: sent to the account. Else one more than the number of the stay.
    pub(crate) stay: u16,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Incoming {
    pub(crate) fn new(run: u32, account: u32, from_ms: u32) -> Self {
        Self {
            run,
            account,
            from_ms,
            rooms: HashMap::new(),
            stays: Vec::new(),
            arrived: Log::default(),
            delayed: 0,
            early: Vec::new(),
            astray: 0,
            named: Vec::new(),
        }
    }

    /// A message came; `delayed` if it took longer than the scenario allows. What is of another run is left out of the account.
    pub fn arrived(&mut self, message: &MessageId, delayed: bool) {
        if message.run != self.run {
            return;
        }
        let stay = match message.to {
            Address::Account(to) => (to == self.account).then_some(0),
            Address::Room(room) => self.rooms.get(&room).copied(),
        };
        let (stay, lane) = match (stay, message.lane(), message.to) {
            (Some(stay), Some(lane), _) => (stay, lane),
            (None, Some(_), Address::Room(_)) if self.early.len() < NAMED_MAX => {
                return self.early.push(self.offence(Kind::Astray, message));
            }
            _ => {
                self.astray += 1;
                return self.name(Kind::Astray, message);
            }
        };
        if delayed {
            self.delayed += 1;
            self.name(Kind::Delayed, message);
        }
        let number = message.number();
        self.arrived.push(Arrived { from: message.from, lane, stay, start: number, end: number });
    }

    /// The session is in the room, or subscribed to the node: what is sent from now on is owed to it.
    pub fn joined(&mut self, room: Address, at_ms: u64) {
        self.early.retain(|early| early.to != room);
        let Address::Room(room) = room else { return };
        self.stays.push(Stay { room, from_ms: at_ms as u32, left: false });
        self.rooms.insert(room, self.stays.len() as u16);
    }

    /// The session has left, or is about to: what comes last is not owed to it. What still comes is taken.
    pub fn left(&mut self, room: Address) {
        let Address::Room(room) = room else { return };
        if let Some(stay) = self.rooms.get(&room)
            && let Some(stay) = self.stays.get_mut(usize::from(*stay).wrapping_sub(1))
        {
            stay.left = true;
        }
    }

    fn name(&mut self, kind: Kind, message: &MessageId) {
        if self.named.len() < NAMED_MAX {
            self.named.push(self.offence(kind, message));
        }
    }

    fn offence(&self, kind: Kind, message: &MessageId) -> Offence {
        let MessageId { from, to, seq, at_us, .. } = *message;
        Offence { kind, from, to, by: self.account, seq, at_ms: at_us / 1000 }
    }
}

impl Run for Arrived {
    type Key = (u16, u32, u16);

    fn key(&self) -> Self::Key {
        (self.stay, self.from, self.lane)
    }

    fn join(&mut self, next: &Self) -> bool {
        let continues = self.key() == next.key() && self.end.checked_add(1) == Some(next.start);
        if continues {
            self.end = next.end;
        }
        continues
    }
}

impl Arrived {
    pub(crate) fn seq(&self, number: u32) -> u64 {
        id::seq(self.lane, number)
    }
}
