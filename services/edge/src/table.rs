//! Who owns which slot, as the owners say: the highest epoch wins (docs/delivery.md §7).

use std::sync::Arc;

use node::slots::SLOTS;
use proto::delivery;

use crate::link::Link;

/// Slot → owner.
pub(crate) struct Table(Vec<Entry>);

#[derive(Clone, Default)]
struct Entry {
    /// None: nobody has said so yet, or the last one has given it up.
    owner: Option<Arc<Link>>,
    /// The highest that was heard.
    epoch: u64,
    /// It is about to move: what is new waits for the next owner.
    closing: bool,
}

/// What an announcement means for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Same,
    /// It begins anew with the owner that announced it.
    Claimed,
    /// The owner that had it takes nothing new.
    Shut,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self(vec![Entry::default(); usize::from(SLOTS)])
    }

    /// All that an owner has, which replaces all that it said before. Answers the fate of each slot.
    pub(crate) fn announce(&mut self, link: &Arc<Link>, said: &delivery::Table) -> Vec<Fate> {
        let mut owned = vec![None; self.0.len()];
        for (ranges, closing) in [(&said.owned, false), (&said.closing, true)] {
            for range in ranges {
                let slots = owned.iter_mut().take(range.last as usize + 1).skip(range.first as usize);
                slots.for_each(|slot| *slot = Some((range.epoch, closing)));
            }
        }
        self.0.iter_mut().zip(owned).map(|(entry, owned)| entry.announce(link, owned)).collect()
    }

    /// The owner of a slot and since which epoch, unless the slot is about to move.
    pub(crate) fn owner(&self, slot: u16) -> Option<(&Arc<Link>, u64)> {
        let entry = self.0.get(usize::from(slot)).filter(|entry| !entry.closing)?;
        Some((entry.owner.as_ref()?, entry.epoch))
    }

    /// Whether somebody else than this one owns the slot.
    pub(crate) fn is_elsewhere(&self, slot: u16, link: &Arc<Link>) -> bool {
        let owner = self.0.get(usize::from(slot)).and_then(|entry| entry.owner.as_ref());
        owner.is_some_and(|owner| !Arc::ptr_eq(owner, link))
    }
}

impl Entry {
    fn announce(&mut self, link: &Arc<Link>, owned: Option<(u64, bool)>) -> Fate {
        let mine = self.owner.as_ref().is_some_and(|owner| owner.name() == link.name());
        let was_open = mine && !self.closing;
        match owned {
            Some((epoch, closing))
                if epoch > self.epoch || epoch == self.epoch && (mine || self.owner.is_none()) =>
            {
                let anew = !mine || epoch > self.epoch || self.closing && !closing;
                *self = Self { owner: Some(Arc::clone(link)), epoch, closing };
                match (anew, closing) {
                    (true, _) => Fate::Claimed,
                    (false, true) if was_open => Fate::Shut,
                    (false, _) => Fate::Same,
                }
            }
            None if mine => {
                self.owner = None;
                self.closing = false;
                if was_open { Fate::Shut } else { Fate::Same }
            }
            _ => Fate::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use node::wire;
    use proto::delivery::Slots;

    use super::*;

    fn link(name: &str) -> Arc<Link> {
        Link::new(name.to_owned(), wire::remote("http://127.0.0.1:1".parse().unwrap()))
    }

    fn slots(first: u32, last: u32, epoch: u64) -> Slots {
        Slots { first, last, epoch, ..Slots::default() }
    }

    fn owned(first: u32, last: u32, epoch: u64) -> delivery::Table {
        delivery::Table { owned: vec![slots(first, last, epoch)], ..delivery::Table::default() }
    }

    #[tokio::test]
    async fn the_highest_epoch_wins() {
        let (a, b) = (link("a"), link("b"));
        let mut table = Table::new();
        let fates = table.announce(&a, &owned(0, 20, 1));
        assert_eq!((fates[20], fates[21]), (Fate::Claimed, Fate::Same));
        assert_eq!(table.announce(&b, &owned(10, 20, 2))[10], Fate::Claimed);
        assert_eq!(table.announce(&a, &owned(0, 20, 1))[10], Fate::Same, "an old claim");
        assert!(table.is_elsewhere(10, &a) && !table.is_elsewhere(9, &a));
        assert_eq!(table.announce(&b, &owned(10, 20, 3))[10], Fate::Claimed, "it was away meanwhile");
        assert_eq!(table.owner(10).map(|(link, epoch)| (link.name(), epoch)), Some(("b", 3)));
    }

    #[tokio::test]
    async fn what_is_not_announced_again_is_nobodys() {
        let (a, b) = (link("a"), link("b"));
        let mut table = Table::new();
        table.announce(&a, &owned(0, 20, 5));
        assert_eq!(table.announce(&a, &owned(0, 10, 5))[20], Fate::Shut);
        assert!(table.owner(20).is_none() && !table.is_elsewhere(20, &b));
        assert_eq!(table.announce(&b, &owned(20, 20, 4))[20], Fate::Same, "epochs only grow");
        assert_eq!(table.announce(&b, &owned(20, 20, 6))[20], Fate::Claimed);
    }

    #[tokio::test]
    async fn a_slot_that_is_about_to_move_takes_nothing_new_until_it_has_or_stays() {
        let a = link("a");
        let mut table = Table::new();
        table.announce(&a, &owned(7, 7, 1));
        let closing = delivery::Table { closing: vec![slots(7, 7, 1)], ..owned(7, 7, 1) };
        assert_eq!(table.announce(&a, &closing)[7], Fate::Shut);
        assert!(table.owner(7).is_none());
        assert_eq!(table.announce(&a, &closing)[7], Fate::Same);
        assert_eq!(table.announce(&a, &owned(7, 7, 1))[7], Fate::Claimed);
    }

    #[tokio::test]
    async fn a_link_of_the_same_name_is_the_same_owner() {
        let mut table = Table::new();
        table.announce(&link("a"), &owned(7, 7, 1));
        let again = link("a");
        table.announce(&again, &owned(7, 7, 1));
        assert!(!table.is_elsewhere(7, &again));
    }
}
