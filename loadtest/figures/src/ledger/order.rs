//! What one session got of one stream, in the order in which it came: which came twice, and which were moved.
//!
//! Moved are as few messages as explain the order: all but the longest ascending part of it. If one message is held back while
//! others pass, that one is named, not those that passed it; and the same for one that is ahead of its time. Where two
//! explanations are as short (two neighbours changed places), the one that came late is named.

use super::ranges::Ranges;

/// What came, each counted once.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Examined {
    pub(crate) got: Ranges,
    /// Once for each time that it came again.
    pub(crate) doubled: Vec<u32>,
    pub(crate) moved: Vec<(u32, u32)>,
}

/// Examines runs of consecutive numbers in the order in which they came.
pub(crate) fn examine(arrived: impl IntoIterator<Item = (u32, u32)>) -> Examined {
    let mut examined = Examined::default();
    let mut firsts: Vec<(u32, u32)> = Vec::new();
    let mut ordered = true;
    for (start, end) in arrived {
        examined.got.insert(start, end, |start, end, new| {
            if new {
                ordered &= firsts.last().is_none_or(|&(_, last)| last < start);
                firsts.push((start, end));
            } else {
                examined.doubled.extend(start..=end);
            }
        });
    }
    if !ordered {
        examined.moved = moved(&firsts);
    }
    examined
}

/// Those that are not in the heaviest ascending part. `runs` do not overlap.
fn moved(runs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut sorted: Vec<u32> = runs.iter().map(|&(start, _)| start).collect();
    sorted.sort_unstable();

    // By rank of its start, the best chain that ends there; a tree of maxima over prefixes of ranks (Fenwick).
    let mut tree: Vec<Option<Best>> = vec![None; runs.len() + 1];
    let mut before = Vec::with_capacity(runs.len());
    for (at, &(start, end)) in runs.iter().enumerate() {
        let rank = sorted.partition_point(|&other| other < start);
        let best = best_below(&tree, rank);
        before.push(best.map(|best| best.run));
        let weight = best.map_or(0, |best| best.weight) + u64::from(end - start) + 1;
        raise(&mut tree, rank + 1, Best { weight, start, run: at });
    }

    let mut kept = vec![false; runs.len()];
    let mut next = best_below(&tree, runs.len()).map(|best| best.run);
    while let Some(run) = next {
        kept[run] = true;
        next = before[run];
    }
    runs.iter().zip(kept).filter(|&(_, kept)| !kept).map(|(&run, _)| run).collect()
}

/// In order of preference: the heavier chain, then the one that ends with the higher number, as that came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Best {
    weight: u64,
    start: u32,
    run: usize,
}

fn best_below(tree: &[Option<Best>], ranks: usize) -> Option<Best> {
    let mut at = ranks;
    let mut best = None;
    while at > 0 {
        best = best.max(tree[at]);
        at &= at - 1;
    }
    best
}

fn raise(tree: &mut [Option<Best>], mut at: usize, best: Best) {
    while at < tree.len() {
        tree[at] = tree[at].max(Some(best));
        at += at & at.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a session would have logged.
    fn examined(order: &[u32]) -> Examined {
        examine(order.iter().map(|&n| (n, n)))
    }

    fn moved_of(order: &[u32]) -> Vec<u32> {
        examined(order).moved.into_iter().flat_map(|(start, end)| start..=end).collect()
    }

    #[test]
    fn one_that_is_held_back_is_named_and_not_those_that_passed_it() {
        assert_eq!(moved_of(&[1, 2, 4, 5, 6, 3, 7]), [3]);
        assert_eq!(moved_of(&[2, 3, 4, 1]), [1]);
    }

    #[test]
    fn one_that_is_ahead_of_its_time_is_named_and_not_those_it_passed() {
        assert_eq!(moved_of(&[1, 5, 2, 3, 4, 6]), [5]);
    }

    #[test]
    fn of_two_neighbours_the_late_one_is_named() {
        assert_eq!(moved_of(&[1, 3, 2, 4]), [2]);
        assert_eq!(moved_of(&[2, 1]), [1]);
    }

    #[test]
    fn several_that_are_held_back_are_named_each() {
        assert_eq!(moved_of(&[1, 3, 4, 2, 5, 7, 8, 6, 9]), [2, 6]);
        assert_eq!(moved_of(&[1, 4, 5, 6, 2, 3, 7]), [2, 3]);
    }

    #[test]
    fn gaps_are_no_disorder() {
        let got = examined(&[1, 2, 5, 9]);
        assert!(got.moved.is_empty() && got.doubled.is_empty());
        assert_eq!(got.got.missing(1, 9), [(3, 4), (6, 8)]);
    }

    #[test]
    fn a_second_copy_is_doubled_wherever_it_comes_and_never_moved() {
        for order in [[1, 2, 2, 3], [1, 2, 3, 2], [2, 1, 2, 3]] {
            assert_eq!(examined(&order).doubled, [2], "{order:?}");
        }
        assert!(moved_of(&[1, 2, 3, 2]).is_empty());
        assert_eq!(moved_of(&[1, 3, 4, 2, 5, 2]), [2], "late, and then again");
        assert_eq!(examined(&[1, 2, 2, 2]).doubled, [2, 2], "each further copy counts");
    }

    /// The shortest explanation by trying every subset.
    fn least_moved(order: &[u32]) -> u32 {
        let ascending = |set: u32| {
            let kept: Vec<u32> =
                (0..order.len()).filter(|at| set >> at & 1 == 1).map(|at| order[at]).collect();
            kept.windows(2).all(|pair| pair[0] < pair[1])
        };
        let longest = (0..1_u32 << order.len()).filter(|&set| ascending(set)).map(u32::count_ones).max();
        order.len() as u32 - longest.unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_explanation_is_shorter(order in Just((1..=10_u32).collect::<Vec<_>>()).prop_shuffle(), take in 0_usize..=10) {
            let order = &order[..take];
            let moved = moved_of(order);
            prop_assert_eq!(moved.len() as u32, least_moved(order));
            let rest: Vec<u32> = order.iter().copied().filter(|n| !moved.contains(n)).collect();
            prop_assert!(rest.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
