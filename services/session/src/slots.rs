//! Which slots are this owner's, and since which epoch. Whoever has a stanza asks here which way it goes.

use std::sync::atomic::{AtomicU64, Ordering};

use node::slots::SLOTS;
use proto::delivery as wire;

/// What a slot is to this owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Another's, or nobody's.
    Absent,
    /// Its own, but what this owner has on its way there has not come back yet.
    Taking,
    /// Its own.
    Owned,
    /// About to be another's: nothing new begins.
    Closing,
}

/// All slots.
pub(crate) struct Slots {
    /// Of each an epoch and a [`Hold`] in one word.
    held: Box<[AtomicU64]>,
    /// The epochs of owners that have let go in order of what this one took; 0: none has.
    inherited: Box<[AtomicU64]>,
}

const HOLD_BITS: u32 = 2;

impl Default for Slots {
    fn default() -> Self {
        let none = || (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { held: none(), inherited: none() }
    }
}

impl Slots {
    pub(crate) fn hold(&self, slot: u16) -> Hold {
        match self.word(slot) & ((1 << HOLD_BITS) - 1) {
            1 => Hold::Taking,
            2 => Hold::Owned,
            3 => Hold::Closing,
            _ => Hold::Absent,
        }
    }

    /// Whether a stanza for the slot has arrived with its owner.
    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.hold(slot) == Hold::Owned
    }

    /// Whether sessions of the slot may come here.
    pub(crate) fn takes(&self, slot: u16) -> bool {
        matches!(self.hold(slot), Hold::Taking | Hold::Owned)
    }

    /// The epoch since which the slot is this owner's; 0: it is not.
    pub(crate) fn epoch(&self, slot: u16) -> u64 {
        self.word(slot) >> HOLD_BITS
    }

    pub(crate) fn set(&self, slot: u16, epoch: u64, hold: Hold) {
        let word = match hold {
            Hold::Absent => 0,
            Hold::Taking => epoch << HOLD_BITS | 1,
            Hold::Owned => epoch << HOLD_BITS | 2,
            Hold::Closing => epoch << HOLD_BITS | 3,
        };
        if let Some(slot) = self.held.get(usize::from(slot)) {
            slot.store(word, Ordering::Release);
        }
    }

    /// Before a slot is taken: the epoch of an owner that has just let go of it in order, or 0.
    pub(crate) fn inherit(&self, slot: u16, epoch: u64) {
        if let Some(slot) = self.inherited.get(usize::from(slot)) {
            slot.store(epoch, Ordering::Release);
        }
    }

    /// The epoch of the owner that had the slot before and let go of it in order; 0: none did.
    pub(crate) fn inherited(&self, slot: u16) -> u64 {
        self.inherited.get(usize::from(slot)).map_or(0, |epoch| epoch.load(Ordering::Acquire))
    }

    fn word(&self, slot: u16) -> u64 {
        self.held.get(usize::from(slot)).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// The slots that are held like this, ascending.
    pub(crate) fn held(&self, fits: impl Fn(Hold) -> bool) -> Vec<u16> {
        (0..SLOTS).filter(|slot| fits(self.hold(*slot))).collect()
    }

    /// What edges and routers are told.
    pub(crate) fn table(&self) -> wire::Table {
        let mut table = wire::Table::default();
        for slot in 0..SLOTS {
            let ranges = match self.hold(slot) {
                Hold::Absent => continue,
                Hold::Taking | Hold::Owned => &mut table.owned,
                Hold::Closing => &mut table.closing,
            };
            let (slot, epoch) = (u32::from(slot), self.epoch(slot));
            match ranges.last_mut() {
                Some(last) if last.last + 1 == slot && last.epoch == epoch => last.last = slot,
                _ => ranges.push(wire::Slots { first: slot, last: slot, epoch, member: String::new() }),
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_is_owned_in_ranges_of_one_epoch() {
        let slots = Slots::default();
        for slot in [3, 4, 5, 9] {
            slots.set(slot, 7, Hold::Owned);
        }
        slots.set(5, 8, Hold::Taking);
        slots.set(9, 7, Hold::Closing);
        let range = |first, last, epoch| wire::Slots { first, last, epoch, member: String::new() };
        let table = slots.table();
        assert_eq!(table.owned, [range(3, 4, 7), range(5, 5, 8)]);
        assert_eq!(table.closing, [range(9, 9, 7)]);
        assert_eq!((slots.owns(5), slots.takes(5), slots.takes(9), slots.epoch(9)), (false, true, false, 7));
    }

    #[test]
    fn a_slot_there_is_not_is_nobodys() {
        let slots = Slots::default();
        slots.set(SLOTS, 1, Hold::Owned);
        assert_eq!((slots.hold(SLOTS), slots.epoch(SLOTS)), (Hold::Absent, 0));
    }
}
