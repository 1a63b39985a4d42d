//! Uids of what was received and sent, so that what comes again is not handled again (docs/delivery.md §4, §6).
//!
//! While this owner lives, first arrivals of an origin are in order: the highest number stands for all before it. What
//! the owner before it had stored is known one by one, since its writes ran ahead of what it gave to sessions.

use std::mem::take;

use features::account::Origin;
use hashbrown::{HashMap, HashSet};
use store::{Direction, Row, Uid};

/// What may come again.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The highest (n, k) of each origin, for at least as long as anything of it may come again.
    young: HashMap<Origin, (u64, u32)>,
    old: HashMap<Origin, (u64, u32)>,
    /// Received under the owner before this one.
    before: HashSet<Uid>,
    /// Archive ids of stanzas sent under the owner before this one.
    sent: HashMap<(Origin, u64), u64>,
    since_ms: u64,
}

impl Marks {
    /// Nothing has come yet.
    pub(crate) fn new(now_ms: u64) -> Box<Self> {
        Box::new(Self { since_ms: now_ms, ..Self::default() })
    }

    /// From the newest rows of an archive; none if there are none.
    pub(crate) fn from_rows(rows: &[Row], now_ms: u64) -> Option<Box<Self>> {
        if rows.is_empty() {
            return None;
        }
        let mut marks = Self::new(now_ms);
        for row in rows {
            match row.direction {
                Direction::Received => marks.add(row.uid),
                Direction::Sent => drop(marks.sent.insert((row.uid.origin, row.uid.n), row.id)),
            }
        }
        Some(marks)
    }

    /// The owner before this one had received a stanza.
    pub(crate) fn add(&mut self, uid: Uid) {
        self.before.insert(uid);
    }

    /// A stanza was received.
    pub(crate) fn mark(&mut self, uid: Uid) {
        let mark = self.young.entry(uid.origin).or_default();
        *mark = (*mark).max((uid.n, uid.k));
    }

    /// Whether a stanza was received before.
    pub(crate) fn knows(&self, uid: Uid) -> bool {
        let reached = |marks: &HashMap<Origin, (u64, u32)>| {
            marks.get(&uid.origin).is_some_and(|mark| (uid.n, uid.k) <= *mark)
        };
        reached(&self.young) || reached(&self.old) || self.before.contains(&uid)
    }

    /// The archive id of a stanza that was sent before.
    pub(crate) fn sent(&self, origin: Origin, n: u64) -> Option<u64> {
        self.sent.get(&(origin, n)).copied()
    }

    /// Forgets what cannot come again: everything is remembered for one `window_ms` at least, and two at most.
    pub(crate) fn age(&mut self, now_ms: u64, window_ms: u64) {
        if now_ms.saturating_sub(self.since_ms) > window_ms {
            self.since_ms = now_ms;
            self.old = take(&mut self.young);
            self.before = HashSet::new();
            self.sent = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(origin: u8, n: u64) -> Uid {
        Uid { origin: [origin; 16], n, k: 0 }
    }

    #[test]
    fn the_highest_number_stands_for_all_before_it() {
        let mut marks = Marks::default();
        marks.mark(uid(1, 5));
        assert!(marks.knows(uid(1, 5)) && marks.knows(uid(1, 4)));
        assert!(!marks.knows(uid(1, 6)) && !marks.knows(uid(2, 1)));
    }

    #[test]
    fn what_the_last_owner_had_is_known_one_by_one() {
        let mut marks = Marks::default();
        marks.add(uid(1, 5));
        assert!(marks.knows(uid(1, 5)) && !marks.knows(uid(1, 4)));
    }

    #[test]
    fn nothing_is_remembered_for_ever_and_nothing_forgotten_early() {
        let mut marks = Marks::default();
        marks.mark(uid(1, 5));
        marks.age(101, 100);
        assert!(marks.knows(uid(1, 5)));
        marks.age(150, 100);
        assert!(marks.knows(uid(1, 5)));
        marks.age(202, 100);
        assert!(!marks.knows(uid(1, 5)));
    }
}
