//! Which connection leads to the owner of a slot.

use node::slots::SLOTS;
use proto::delivery as wire;

use crate::relay::LinkId;

/// Slots, their owners' connections and epochs.
pub(crate) struct Table {
    slots: Vec<Option<(LinkId, u64)>>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { slots: vec![None; usize::from(SLOTS)] }
    }

    /// An owner says all that it owns: what it does not name is not its any more. A lower epoch than one that is known
    /// changes nothing. Answers the slots that another has now, or nobody, each with its epoch, 0 for nobody.
    pub(crate) fn owned(&mut self, link: LinkId, table: &wire::Table) -> Vec<(u32, u64)> {
        let before = self.slots.clone();
        self.lost(link);
        for range in &table.owned {
            for slot in range.first..=range.last.min(u32::from(SLOTS) - 1) {
                let entry = &mut self.slots[slot as usize];
                if entry.is_none_or(|(_, epoch)| epoch <= range.epoch) {
                    *entry = Some((link, range.epoch));
                }
            }
        }
        let slots = (0_u32..).zip(before.iter().zip(&self.slots));
        let changed = slots.filter(|(_, (before, now))| before != now);
        changed.map(|(slot, (_, now))| (slot, now.map_or(0, |(_, epoch)| epoch))).collect()
    }

    /// An owner's connection is gone.
    pub(crate) fn lost(&mut self, link: LinkId) {
        for entry in &mut self.slots {
            if entry.is_some_and(|(of, _)| of == link) {
                *entry = None;
            }
        }
    }

    pub(crate) fn owner(&self, slot: u32) -> Option<LinkId> {
        self.slots.get(slot as usize).copied().flatten().map(|(link, _)| link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(first: u32, last: u32, epoch: u64) -> wire::Table {
        wire::Table {
            owned: vec![wire::Slots { first, last, epoch, member: String::new() }],
            closing: Vec::new(),
        }
    }

    #[test]
    fn the_highest_epoch_owns_a_slot() {
        let mut slots = Table::new();
        slots.owned(1, &table(0, 4_095, 7));
        slots.owned(2, &table(10, 10, 8));
        slots.owned(3, &table(10, 11, 6));
        assert_eq!([9, 10, 11].map(|slot| slots.owner(slot)), [Some(1), Some(2), Some(1)]);
        slots.lost(2);
        assert_eq!([10, 11].map(|slot| slots.owner(slot)), [None, Some(1)]);
    }

    #[test]
    fn what_an_owner_does_not_name_any_more_is_nobodys() {
        let mut slots = Table::new();
        assert_eq!(slots.owned(1, &table(5, 7, 7)), [(5, 7), (6, 7), (7, 7)]);
        assert_eq!(slots.owned(1, &table(5, 7, 7)), [], "it says the same again");
        slots.owned(2, &table(7, 7, 8));
        assert_eq!(slots.owned(1, &table(5, 5, 7)), [(6, 0)]);
        assert_eq!([5, 6, 7].map(|slot| slots.owner(slot)), [Some(1), None, Some(2)]);
    }

    #[test]
    fn a_slot_there_is_not_has_no_owner() {
        let mut slots = Table::new();
        slots.owned(1, &table(4_000, 9_999, 1));
        assert_eq!(slots.owner(9_000), None);
    }
}
