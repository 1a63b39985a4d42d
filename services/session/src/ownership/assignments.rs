//! The table of slots: whose each is, since which epoch, and whose it is to become.
//!
//! It is one row of the durable store, replaced as a whole if its version is the one that was read; the version is what
//! epochs are made of, so a slot's epoch grows whenever its owner changes, and no two owners get the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use node::slots::SLOTS;
use prost::Message;
use proto::cluster as wire;

/// One life of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) name: String,
    pub(crate) incarnation: u64,
}

/// A slot's owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// None: it was never given to anybody.
    pub(crate) owner: Option<Life>,
    pub(crate) epoch: u64,
    /// The epoch of the owner before, if that has let go of it in order; else 0.
    pub(crate) released: u64,
    /// Who gets it as soon as its owner lets go of it.
    pub(crate) wanted: Option<Life>,
}

/// The table, as of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignments {
    pub(crate) version: u64,
    pub(crate) slots: Vec<Assignment>,
    /// Lives that are about to end in order: they get nothing any more.
    pub(crate) leaving: Vec<Life>,
}

/// What cannot be read was written by a version that is not this one, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("the table of slots cannot be read: {0}")]
pub(crate) struct Unreadable(#[from] prost::DecodeError);

impl Assignments {
    pub(crate) fn decode(version: u64, bytes: &Bytes) -> Result<Self, Unreadable> {
        let table = wire::SlotTable::decode(bytes.clone())?;
        let mut slots = vec![Assignment::default(); usize::from(SLOTS)];
        for run in table.runs {
            let (owner, wanted) = (life(run.owner), life(run.wanted));
            let one = Assignment { owner, epoch: run.epoch, released: run.released, wanted };
            for slot in run.first..=run.last.min(u32::from(SLOTS) - 1) {
                slots[slot as usize].clone_from(&one);
            }
        }
        let leaving = table.leaving.into_iter().filter_map(|one| life(Some(one))).collect();
        Ok(Self { version, slots, leaving })
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut runs: Vec<wire::SlotRun> = Vec::new();
        for (slot, one) in (0_u32..).zip(&self.slots).filter(|(_, one)| one.owner.is_some()) {
            let (owner, wanted) = (one.owner.as_ref().map(told), one.wanted.as_ref().map(told));
            match runs.last_mut() {
                Some(run)
                    if run.last + 1 == slot
                        && (run.epoch, run.released) == (one.epoch, one.released)
                        && run.owner == owner
                        && run.wanted == wanted =>
                {
                    run.last = slot;
                }
                _ => {
                    let (epoch, released) = (one.epoch, one.released);
                    runs.push(wire::SlotRun { first: slot, last: slot, epoch, owner, wanted, released });
                }
            }
        }
        let leaving = self.leaving.iter().map(told).collect();
        wire::SlotTable { runs, leaving }.encode_to_vec().into()
    }

    /// What to write so that everything has an owner that is there, and each about as much: none, if nothing is to be
    /// changed. `there` are those who may own, ordered; `gone` says of an owner that its slots may be given away; only with
    /// `even` is anybody asked for slots that lives.
    pub(crate) fn plan(&self, there: &[Life], gone: impl Fn(&Life) -> bool, even: bool) -> Option<Self> {
        let mut next = self.clone();
        next.leaving.retain(|life| !gone(life));
        let takers: Vec<&Life> = there.iter().filter(|life| !next.leaving.contains(life)).collect();
        if takers.is_empty() {
            return None;
        }
        let mut has: BTreeMap<&Life, usize> = takers.iter().map(|life| (*life, 0)).collect();
        for one in &mut next.slots {
            one.wanted.take_if(|wanted| !takers.contains(&&*wanted) || Some(&*wanted) == one.owner.as_ref());
            if let Some(count) = one.wanted.as_ref().or(one.owner.as_ref()).and_then(|life| has.get_mut(life))
            {
                *count += 1;
            }
        }
        for one in next.slots.iter_mut().filter(|one| one.owner.as_ref().is_none_or(&gone)) {
            // Whoever was to get it gets it now; else whoever has least.
            let heir = one.wanted.take().or_else(|| {
                let (life, count) = has.iter_mut().min_by_key(|(_, count)| **count)?;
                *count += 1;
                Some((*life).clone())
            });
            one.owner = heir;
            (one.epoch, one.released) = (self.version + 1, 0);
        }
        if even {
            even_out(&mut next.slots, &mut has);
        }
        (next != *self).then_some(next)
    }

    /// Whether somebody is about to let go of slots that this life is to have.
    pub(crate) fn are_coming(&self, me: &Life) -> bool {
        self.slots.iter().any(|one| one.wanted.as_ref() == Some(me) && one.owner.as_ref() != Some(me))
    }

    /// Whether this life is to let go of slots.
    pub(crate) fn are_asked_for(&self, me: &Life) -> bool {
        self.slots.iter().any(|one| one.owner.as_ref() == Some(me) && one.wanted.is_some())
    }

    /// Lets go of slots: whoever is to have each owns it from the next version on. If whoever that was is gone by now, the
    /// slot begins anew where it was.
    pub(crate) fn release(&mut self, me: &Life, slots: &[u16]) {
        for slot in slots {
            let one = &mut self.slots[usize::from(*slot)];
            if one.owner.as_ref() == Some(me) {
                one.owner = one.wanted.take().or(one.owner.take());
                (one.epoch, one.released) = (self.version + 1, one.epoch);
            }
        }
    }

    /// Every slot of one that leaves goes to the others, evenly.
    pub(crate) fn leave(&mut self, me: &Life, others: &[Life]) {
        if !self.leaving.contains(me) {
            self.leaving.push(me.clone());
        }
        let heirs: Vec<&Life> = others.iter().filter(|life| !self.leaving.contains(life)).collect();
        let mine = self.slots.iter_mut().filter(|one| one.owner.as_ref() == Some(me));
        for (at, one) in mine.enumerate() {
            one.wanted = (!heirs.is_empty()).then(|| heirs[at % heirs.len()].clone());
        }
    }
}

/// Asks those who have more than their part for slots, for those who have less.
fn even_out(slots: &mut [Assignment], has: &mut BTreeMap<&Life, usize>) {
    let least = slots.len() / has.len();
    for one in slots.iter_mut().filter(|one| one.wanted.is_none()) {
        let Some(owner) = &one.owner else { continue };
        // One that leaves says itself who gets what.
        let Some(count) = has.get(owner).copied().filter(|count| *count > least) else { continue };
        let Some((poorest, fewest)) = has.iter().min_by_key(|(_, count)| **count).map(|(l, c)| (*l, *c))
        else {
            return;
        };
        if fewest + 1 >= count {
            continue;
        }
        one.wanted = Some(poorest.clone());
        has.entry(poorest).and_modify(|count| *count += 1);
        if let Some(count) = has.get_mut(owner) {
            *count -= 1;
        }
    }
}

fn told(life: &Life) -> wire::Life {
    wire::Life { name: life.name.clone(), incarnation: life.incarnation }
}

fn life(told: Option<wire::Life>) -> Option<Life> {
    told.map(|told| Life { name: told.name, incarnation: told.incarnation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(name: &str, incarnation: u64) -> Life {
        Life { name: name.to_owned(), incarnation }
    }

    fn empty() -> Assignments {
        Assignments::decode(0, &Bytes::new()).unwrap()
    }

    fn count(table: &Assignments, of: &Life) -> usize {
        table.slots.iter().filter(|one| one.owner.as_ref() == Some(of)).count()
    }

    /// As if it had been written.
    fn written(table: &Assignments) -> Assignments {
        Assignments::decode(table.version + 1, &table.encode()).unwrap()
    }

    #[test]
    fn the_first_member_gets_everything_and_the_second_half_of_it() {
        let (verona, mantua) = (life("verona", 1), life("mantua", 1));
        let first = written(&empty().plan(std::slice::from_ref(&verona), |_| false, true).unwrap());
        assert_eq!(count(&first, &verona), usize::from(SLOTS));
        assert!(first.slots.iter().all(|one| one.epoch == 1 && one.wanted.is_none()));
        assert_eq!(
            first.plan(std::slice::from_ref(&verona), |_| false, true),
            None,
            "nothing is to be changed"
        );

        let both = [mantua.clone(), verona.clone()];
        let mut second = written(&first.plan(&both, |_| false, true).unwrap());
        assert_eq!(count(&second, &verona), usize::from(SLOTS), "nobody has let go yet");
        assert!(second.are_coming(&mantua) && !second.are_coming(&verona));
        assert_eq!(second.plan(&both, |_| false, true), None, "it was asked for");
        let asked: Vec<u16> =
            (0..SLOTS).filter(|slot| second.slots[usize::from(*slot)].wanted.is_some()).collect();
        second.release(&verona, &asked);
        let third = written(&second);
        assert_eq!((count(&third, &verona), count(&third, &mantua)), (2_048, 2_048));
        assert!(
            third.slots.iter().all(|one| one.epoch == if one.owner == Some(mantua.clone()) { 3 } else { 1 })
        );
        assert!(third.slots.iter().all(|one| one.released == u64::from(one.epoch == 3)), "in order");
        assert_eq!(third.plan(&both, |_| false, true), None);
    }

    #[test]
    fn the_dead_are_inherited_evenly_and_under_a_new_epoch() {
        let lives = ["a", "b", "c"].map(|name| life(name, 1));
        let mut table = written(&empty().plan(&lives, |_| false, true).unwrap());
        assert!(lives.iter().all(|one| (1_365..=1_366).contains(&count(&table, one))));
        table = written(&table.plan(&lives[1..], |life| life.name == "a", true).unwrap());
        assert!(lives[1..].iter().all(|one| count(&table, one) == 2_048));
        assert_eq!(table.slots.iter().filter(|one| one.epoch == 2).count(), 1_366);
        assert!(table.slots.iter().all(|one| one.released == 0), "nobody has let go of anything");
        // It comes back in another life, and is another.
        let again = [life("a", 2), lives[1].clone(), lives[2].clone()];
        let asked = table.plan(&again, |_| false, true).unwrap();
        let wanted = asked.slots.iter().filter(|one| one.wanted.as_ref() == Some(&again[0])).count();
        assert!((1_365..=1_366).contains(&wanted), "{wanted}");
    }

    #[test]
    fn one_that_leaves_is_given_nothing_and_asks_the_others() {
        let (a, b) = (life("a", 1), life("b", 1));
        let both = [a.clone(), b.clone()];
        let mut table = written(&empty().plan(&both, |_| false, true).unwrap());
        table.leave(&a, std::slice::from_ref(&b));
        let table = written(&table);
        assert_eq!(table.plan(&both, |_| false, true), None, "it says itself who gets what");
        let mut table = table;
        table.release(&a, &(0..SLOTS).collect::<Vec<_>>());
        let table = written(&table);
        assert_eq!(count(&table, &b), usize::from(SLOTS));
        assert_eq!(table.plan(&both, |_| false, true), None, "it is leaving still");
        assert!(
            table.plan(std::slice::from_ref(&b), |life| life.name == "a", true).unwrap().leaving.is_empty()
        );
    }

    #[test]
    fn a_slot_whose_heir_has_gone_begins_anew_where_it_was() {
        let (a, b) = (life("a", 1), life("b", 1));
        let mut table = written(&empty().plan(std::slice::from_ref(&a), |_| false, true).unwrap());
        let asked = written(&table.plan(&[a.clone(), b.clone()], |_| false, true).unwrap());
        table = written(&asked.plan(std::slice::from_ref(&a), |life| life.name == "b", true).unwrap());
        assert!(!table.are_coming(&b));
        table.release(&a, &[7]);
        let table = written(&table);
        assert_eq!((count(&table, &a), table.slots[7].epoch), (usize::from(SLOTS), table.version));
        assert_eq!(table.slots[8].epoch, 1);
    }

    #[test]
    fn the_last_one_that_leaves_keeps_its_slots_for_whoever_comes() {
        let a = life("a", 1);
        let mut table = written(&empty().plan(std::slice::from_ref(&a), |_| false, true).unwrap());
        table.leave(&a, &[]);
        table.release(&a, &(0..SLOTS).collect::<Vec<_>>());
        assert_eq!(count(&table, &a), usize::from(SLOTS));
        let b = life("b", 1);
        let table = written(&table).plan(std::slice::from_ref(&b), |life| life.name == "a", true).unwrap();
        assert_eq!(count(&table, &b), usize::from(SLOTS));
    }

    proptest::proptest! {
        /// Whoever comes and goes: everything has an owner that is there, evenly, once all have let go.
        #[test]
        fn a_plan_ends_even(comings in proptest::collection::vec(proptest::collection::btree_set(0..5_u8, 1..5), 1..8)) {
            let mut table = empty();
            for there in comings {
                let lives: Vec<Life> = there.iter().map(|n| life(&n.to_string(), 1)).collect();
                for _ in 0..4 {
                    let Some(next) = table.plan(&lives, |life| !lives.contains(life), true) else { break };
                    proptest::prop_assert!(next.slots.iter().zip(&table.slots).all(|(new, old)|
                        new.owner == old.owner || new.epoch > old.epoch));
                    table = written(&next);
                    for one in &lives {
                        table.release(one, &(0..SLOTS).collect::<Vec<_>>());
                    }
                    table = written(&table);
                }
                let counts: Vec<usize> = lives.iter().map(|one| count(&table, one)).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                proptest::prop_assert!(most - least <= 1, "{:?}", counts);
                proptest::prop_assert_eq!(counts.iter().sum::<usize>(), usize::from(SLOTS));
            }
        }
    }
}
