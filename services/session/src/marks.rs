//! Uids of what was received and sent, so that what comes again is not handled again (docs/delivery.md §4, §6).
//!
//! While this owner lives, first arrivals of an origin are in order: what comes for the first time behind a higher number
//! was given up meanwhile by its sender's owner, and comes too late. What the owner before this one had stored is known one
//! by one, since its writes ran ahead of what it gave to sessions.

use std::collections::VecDeque;
use std::mem::take;

use bytes::Bytes;
use features::account::Origin;
use hashbrown::{HashMap, HashSet};
use proto::cluster as wire;
use store::{Direction, Row, Uid};

/// Stanzas in no archive, acknowledged by their addressee, that the next owner is told of; of more the oldest are forgotten.
/// One whose sender has not heard in time that it is finished is sent again to the next owner, which knows it only so.
const ACKNOWLEDGED_MAX: usize = 64;

/// Numbers of one origin are kept as ranges, and so many of them: then the lowest gap counts as received.
const RANGES_MAX: usize = 128;

/// What may come again.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// What came of each origin, for at least as long as anything of it may come again.
    young: HashMap<Origin, Ranges>,
    old: HashMap<Origin, Ranges>,
    /// Received under the owner before this one.
    before: HashSet<Uid>,
    /// The same, of one that has let go in order.
    inherited: HashMap<Origin, Ranges>,
    /// Streams of the account, and up to which number their stanzas were finished under that one.
    finished: HashMap<Origin, u64>,
    /// The highest of each origin among those that the owner before this one has let pass: they are in the archive, or a session
    /// was given them.
    passed: HashMap<Origin, Number>,
    /// Archive ids of stanzas sent under the owner before this one.
    sent: HashMap<(Origin, u64), u64>,
    /// The latest that were in no archive and that a client has.
    acknowledged: VecDeque<Uid>,
    since_ms: u64,
}

/// What is known of a stanza that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    New,
    /// It was received.
    Known,
    /// It was not, and what its sender sent behind it was.
    Late,
}

/// Numbers (n, k) of one origin: the first and the last of each range, ascending.
#[derive(Debug, Default)]
struct Ranges(Vec<(Number, Number)>);

type Number = (u64, u32);

impl Ranges {
    /// Of ranges in any order, which may overlap.
    fn of(mut ranges: Vec<(Number, Number)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|(first, last), (_, before)| {
            let joins = *first <= *before;
            *before = if joins { (*before).max(*last) } else { *before };
            joins
        });
        Self(ranges)
    }

    fn put(&mut self, at: Number) {
        match self.0.last_mut() {
            Some((_, last)) if follows(*last, at) => *last = at,
            Some((_, last)) if *last >= at => {}
            _ => self.0.push((at, at)),
        }
        if self.0.len() > RANGES_MAX {
            let (first, _) = self.0.remove(0);
            self.0[0].0 = first;
        }
    }

    fn take(&mut self, at: Number) {
        let Some(of) = self.0.iter().position(|(first, last)| (*first..=*last).contains(&at)) else { return };
        let ((first, last), (n, k)) = (self.0[of], at);
        let before = if k == 0 { (n.saturating_sub(1), 0) } else { (n, k - 1) };
        let after = if k == 0 { (n + 1, 0) } else { (n, k + 1) };
        let parts = [(first, before), (after, last)];
        let rest = parts.into_iter().filter(|(from, to)| from <= to && *from != at && *to != at);
        self.0.splice(of..=of, rest.collect::<Vec<_>>());
    }

    fn has(&self, at: Number) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= at);
        behind > 0 && self.0[behind - 1].1 >= at
    }

    fn highest(&self) -> Number {
        self.0.last().map_or((0, 0), |(_, last)| *last)
    }
}

/// Whether nothing is between two numbers: of stanzas themselves, or of what was made of one.
fn follows(last: Number, at: Number) -> bool {
    let ((n, k), (next_n, next_k)) = (last, at);
    (n + 1, 0, 0) == (next_n, next_k, k) || n == next_n && k + 1 == next_k
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
                Direction::Received => {
                    marks.add_passed(row.uid);
                }
                Direction::Sent => drop(marks.sent.insert((row.uid.origin, row.uid.n), row.id)),
            }
        }
        Some(marks)
    }

    /// From what an owner has said that let go of the account in order: all it had received, and to which number the account's
    /// own streams were finished.
    pub(crate) fn inherit(
        received: &[wire::Received],
        finished: &[wire::Finished],
        now_ms: u64,
    ) -> Box<Self> {
        let mut marks = Self::new(now_ms);
        for one in received {
            let Ok(origin) = Origin::try_from(&one.origin[..]) else { continue };
            let (numbers, _) = one.ranges.as_chunks::<4>();
            let number = |n: u64, k: u64| (n, u32::try_from(k).unwrap_or(u32::MAX));
            let ranges =
                numbers.iter().map(|[n, k, last_n, last_k]| (number(*n, *k), number(*last_n, *last_k)));
            let ranges = Ranges::of(ranges.collect());
            marks.passed.insert(origin, ranges.highest());
            marks.inherited.insert(origin, ranges);
        }
        let streams =
            finished.iter().filter_map(|one| Some((Origin::try_from(&one.stream[..]).ok()?, one.h)));
        marks.finished = streams.collect();
        marks
    }

    /// All that was received and not `refused`, for the next owner: whose refusal its sender has not heard may come again there.
    pub(crate) fn received(&self, refused: &[Uid]) -> Vec<wire::Received> {
        let mut all: HashMap<Origin, Vec<(Number, Number)>> = HashMap::new();
        for (origin, ranges) in self.inherited.iter().chain(&self.old).chain(&self.young) {
            all.entry(*origin).or_default().extend(&ranges.0);
        }
        for uid in &self.before {
            let at = (uid.n, uid.k);
            all.entry(uid.origin).or_default().push((at, at));
        }
        let told = |(origin, ranges): (Origin, Vec<(Number, Number)>)| {
            let mut ranges = Ranges::of(ranges);
            refused.iter().filter(|uid| uid.origin == origin).for_each(|uid| ranges.take((uid.n, uid.k)));
            let numbers = ranges
                .0
                .into_iter()
                .flat_map(|((n, k), (last_n, last_k))| [n, k.into(), last_n, last_k.into()]);
            wire::Received { origin: Bytes::copy_from_slice(&origin), ranges: numbers.collect() }
        };
        all.into_iter().map(told).collect()
    }

    /// Up to which number the stanzas of a stream of the account are known to be finished.
    pub(crate) fn finished(&self, stream: Origin) -> u64 {
        self.finished.get(&stream).copied().unwrap_or_default()
    }

    /// The owner before this one had received a stanza.
    pub(crate) fn add(&mut self, uid: Uid) {
        self.before.insert(uid);
    }

    /// It had received a stanza, and stored it or given it to a session.
    pub(crate) fn add_passed(&mut self, uid: Uid) {
        self.add(uid);
        let highest = self.passed.entry(uid.origin).or_default();
        *highest = (*highest).max((uid.n, uid.k));
    }

    /// A stanza was received.
    pub(crate) fn mark(&mut self, uid: Uid) {
        self.young.entry(uid.origin).or_default().put((uid.n, uid.k));
    }

    /// A client has a stanza that is in no archive.
    pub(crate) fn acknowledged(&mut self, uid: Uid) {
        if self.acknowledged.back() == Some(&uid) {
            // To two sessions at once.
            return;
        }
        if self.acknowledged.len() == ACKNOWLEDGED_MAX {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(uid);
    }

    /// The latest stanzas that are in no archive and that a client has.
    pub(crate) fn latest(&self) -> impl Iterator<Item = Uid> {
        self.acknowledged.iter().copied()
    }

    /// Whether a stanza was received before.
    pub(crate) fn of(&self, uid: Uid) -> Mark {
        let at = (uid.n, uid.k);
        let all = || [&self.young, &self.old].into_iter().filter_map(|marks| marks.get(&uid.origin));
        let inherited = self.inherited.get(&uid.origin);
        if self.before.contains(&uid) || all().chain(inherited).any(|ranges| ranges.has(at)) {
            return Mark::Known;
        }
        if all().any(|ranges| ranges.highest() > at) { Mark::Late } else { Mark::New }
    }

    /// Whether the owner before this one has let something pass that was sent behind a stanza which would be stored: then it
    /// could not store that one, and has refused it or died before it could.
    pub(crate) fn is_overtaken(&self, uid: Uid) -> bool {
        self.passed.get(&uid.origin).is_some_and(|highest| *highest > (uid.n, uid.k))
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
            self.inherited = HashMap::new();
            self.finished = HashMap::new();
            self.passed = HashMap::new();
            self.acknowledged = VecDeque::new();
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
    fn what_was_jumped_over_is_late_and_not_known() {
        let mut marks = Marks::default();
        for n in [3, 4, 5, 9] {
            marks.mark(uid(1, n));
        }
        assert!([3, 4, 5, 9].iter().all(|n| marks.of(uid(1, *n)) == Mark::Known));
        assert!([2, 6, 8].iter().all(|n| marks.of(uid(1, *n)) == Mark::Late));
        assert_eq!((marks.of(uid(1, 10)), marks.of(uid(2, 1))), (Mark::New, Mark::New));
    }

    #[test]
    fn what_the_last_owner_had_is_known_one_by_one() {
        let mut marks = Marks::default();
        marks.add(uid(1, 5));
        assert_eq!((marks.of(uid(1, 5)), marks.of(uid(1, 4))), (Mark::Known, Mark::New));
    }

    #[test]
    fn what_the_last_owner_stored_overtakes_what_it_did_not() {
        let row = Row { uid: uid(1, 5), ..crate::testing::row(7) };
        let marks = Marks::from_rows(&[row], 0).unwrap();
        assert!(
            marks.is_overtaken(uid(1, 4)) && !marks.is_overtaken(uid(1, 6)) && !marks.is_overtaken(uid(2, 4))
        );
        assert_eq!((marks.of(uid(1, 5)), marks.of(uid(1, 4))), (Mark::Known, Mark::New));
    }

    #[test]
    fn what_a_session_was_given_overtakes_what_was_not_stored() {
        let mut marks = Marks::default();
        marks.add_passed(uid(1, 5));
        assert!(marks.is_overtaken(uid(1, 4)) && !marks.is_overtaken(uid(1, 6)));
    }

    #[test]
    fn what_was_refused_is_not_handed_on() {
        let mut marks = Marks::default();
        (3..=6).for_each(|n| marks.mark(uid(1, n)));
        (1..=3).for_each(|k| marks.mark(Uid { k, ..uid(2, 7) }));
        marks.mark(uid(3, 1));
        let refused = [uid(1, 3), uid(1, 5), uid(1, 9), Uid { k: 2, ..uid(2, 7) }, uid(3, 1)];
        let heir = Marks::inherit(&marks.received(&refused), &[], 0);
        let is_known = |one: &Uid| heir.of(*one) == Mark::Known;
        assert!(
            [uid(1, 4), uid(1, 6), Uid { k: 1, ..uid(2, 7) }, Uid { k: 3, ..uid(2, 7) }].iter().all(is_known)
        );
        assert!(!refused.iter().any(is_known));
    }

    #[test]
    fn what_was_received_is_handed_on() {
        let mut marks = Marks::default();
        for n in [3, 4, 5, 9] {
            marks.mark(uid(1, n));
        }
        marks.add(uid(1, 1));
        marks.add(uid(1, 4));
        marks.mark(Uid { k: 2, ..uid(2, 7) });
        let finished = [wire::Finished { stream: vec![8; 16].into(), h: 6 }];
        let heir = Marks::inherit(&marks.received(&[]), &finished, 0);
        assert!([1, 3, 4, 5, 9].iter().all(|n| heir.of(uid(1, *n)) == Mark::Known));
        assert!([2, 6, 10].iter().all(|n| heir.of(uid(1, *n)) == Mark::New));
        assert!(heir.is_overtaken(uid(1, 6)) && !heir.is_overtaken(uid(1, 10)));
        assert_eq!((heir.of(Uid { k: 2, ..uid(2, 7) }), heir.of(uid(2, 7))), (Mark::Known, Mark::New));
        assert_eq!((heir.finished([8; 16]), heir.finished([9; 16])), (6, 0));
        let mut next = Marks::inherit(&heir.received(&[]), &[], 0);
        next.mark(uid(1, 10));
        assert_eq!(
            (next.of(uid(1, 9)), next.of(uid(1, 10)), next.of(uid(1, 2))),
            (Mark::Known, Mark::Known, Mark::Late)
        );
    }

    #[test]
    fn products_are_known_one_by_one() {
        let mut marks = Marks::default();
        let product = |n, k| Uid { k, ..uid(1, n) };
        for (n, k) in [(4, 1), (4, 2), (5, 1)] {
            marks.mark(product(n, k));
        }
        assert_eq!((marks.of(product(4, 2)), marks.of(product(4, 3))), (Mark::Known, Mark::Late));
        assert_eq!((marks.of(product(5, 1)), marks.of(product(5, 2))), (Mark::Known, Mark::New));
    }

    #[test]
    fn the_memory_of_an_origin_is_bounded() {
        let mut marks = Marks::default();
        (0..3 * RANGES_MAX as u64).for_each(|n| marks.mark(uid(1, 2 * n)));
        assert_eq!(marks.young[&[1; 16]].0.len(), RANGES_MAX);
        assert_eq!(marks.of(uid(1, 1)), Mark::Known, "rather lost than twice: it is this old");
    }

    #[test]
    fn nothing_is_remembered_for_ever_and_nothing_forgotten_early() {
        let mut marks = Marks::default();
        marks.mark(uid(1, 5));
        marks.age(101, 100);
        assert_eq!(marks.of(uid(1, 5)), Mark::Known);
        marks.age(150, 100);
        assert_eq!(marks.of(uid(1, 5)), Mark::Known);
        marks.age(202, 100);
        assert_eq!(marks.of(uid(1, 5)), Mark::New);
    }
}
