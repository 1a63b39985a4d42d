//! A set of numbers as ranges, for few ranges of many numbers.

/// Ranges are inclusive, in order, and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// Adds a range, and hands over which parts of it are new (`true`) and which were there, in order.
    pub(crate) fn insert(&mut self, start: u32, end: u32, mut part: impl FnMut(u32, u32, bool)) {
        let first = self.0.partition_point(|&(_, known_end)| known_end.saturating_add(1) < start);
        let mut last = first;
        let mut next = u64::from(start);
        let (mut low, mut high) = (start, end);
        while let Some(&(known_start, known_end)) = self.0.get(last) {
            if known_start > end.saturating_add(1) {
                break;
            }
            if u64::from(known_start) > next && next <= u64::from(end) {
                part(next as u32, (known_start - 1).min(end), true);
            }
            let (both_start, both_end) = (known_start.max(start), known_end.min(end));
            if both_start <= both_end {
                part(both_start, both_end, false);
            }
            next = next.max(u64::from(known_end) + 1);
            (low, high) = (low.min(known_start), high.max(known_end));
            last += 1;
        }
        if next <= u64::from(end) {
            part(next as u32, end, true);
        }
        self.0.splice(first..last, [(low, high)]);
    }

    pub(crate) fn add(&mut self, start: u32, end: u32) {
        self.insert(start, end, |_, _, _| {});
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|&(start, end)| self.add(start, end));
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < number);
        self.0.get(at).is_some_and(|&(start, _)| start <= number)
    }

    /// What of `start..=end` is not in the set, in order.
    pub(crate) fn missing(&self, start: u32, end: u32) -> Vec<(u32, u32)> {
        let mut missing = Vec::new();
        let mut next = u64::from(start);
        let first = self.0.partition_point(|&(_, known_end)| known_end < start);
        for &(known_start, known_end) in self.0[first..].iter().take_while(|&&(known, _)| known <= end) {
            if u64::from(known_start) > next {
                missing.push((next as u32, known_start - 1));
            }
            next = u64::from(known_end) + 1;
        }
        if next <= u64::from(end) {
            missing.push((next as u32, end));
        }
        missing
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.0.first().map(|&(start, _)| start)
    }

    pub(crate) fn last(&self) -> Option<u32> {
        self.0.last().map(|&(_, end)| end)
    }

    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_told_apart_into_new_and_known() {
        let mut ranges = Ranges::default();
        ranges.add(3, 4);
        ranges.add(8, 8);
        let mut parts = Vec::new();
        ranges.insert(1, 10, |start, end, new| parts.push((start, end, new)));
        assert_eq!(parts, [(1, 2, true), (3, 4, false), (5, 7, true), (8, 8, false), (9, 10, true)]);
        assert_eq!(ranges.ranges(), [(1, 10)]);
    }

    proptest! {
        #[test]
        fn ranges_are_the_set_they_stand_for(spans in prop::collection::vec((0_u32..60, 0_u32..8), 0..20)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, length) in spans {
                let end = start + length;
                let (mut new, mut known) = (Vec::new(), Vec::new());
                ranges.insert(start, end, |from, to, fresh| {
                    if fresh { new.extend(from..=to) } else { known.extend(from..=to) }
                });
                prop_assert_eq!(&new, &(start..=end).filter(|n| !set.contains(n)).collect::<Vec<_>>());
                prop_assert_eq!(&known, &(start..=end).filter(|n| set.contains(n)).collect::<Vec<_>>());
                set.extend(start..=end);
            }
            prop_assert!((0..80).all(|n| ranges.contains(n) == set.contains(&n)));
            let missing: Vec<u32> = ranges.missing(5, 70).into_iter().flat_map(|(from, to)| from..=to).collect();
            prop_assert_eq!(missing, (5..=70).filter(|n| !set.contains(n)).collect::<Vec<_>>());
            prop_assert!(ranges.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert_eq!(ranges.first(), set.first().copied());
            prop_assert_eq!(ranges.last(), set.last().copied());
        }
    }
}
