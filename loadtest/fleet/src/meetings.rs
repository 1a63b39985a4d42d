//! Barriers at which sessions of several workers meet: in the order in which they are known to have come.

/// All barriers of a run, by number.
#[derive(Debug)]
pub(crate) struct Meetings {
    workers: usize,
    barriers: Vec<Meeting>,
}

/// One barrier, that opens again and again.
#[derive(Clone, Debug)]
struct Meeting {
    /// By worker: how many have come.
    came: Vec<u64>,
    /// By worker: how many of those have been let through.
    passed: Vec<u64>,
}

impl Meetings {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, barriers: Vec::new() }
    }

    /// So many sessions of a worker have come since the start, to each barrier: `(came, needed)`. Whether one has opened.
    pub(crate) fn come(&mut self, worker: usize, barriers: impl IntoIterator<Item = (u64, u64)>) -> bool {
        let mut has_opened = false;
        for (number, (came, needed)) in barriers.into_iter().enumerate() {
            if number == self.barriers.len() {
                let none = vec![0; self.workers];
                self.barriers.push(Meeting { came: none.clone(), passed: none });
            }
            has_opened |= self.barriers[number].come(worker, came, needed.max(1));
        }
        has_opened
    }

    /// How many sessions of a worker have been let through, by barrier.
    pub(crate) fn passed(&self, worker: usize) -> Vec<u64> {
        self.barriers.iter().map(|meeting| meeting.passed.get(worker).copied().unwrap_or_default()).collect()
    }
}

impl Meeting {
    /// Whoever has come is let through once so many are there; of those who came last, some may have to wait for the next.
    fn come(&mut self, worker: usize, came: u64, needed: u64) -> bool {
        let Some(known) = self.came.get_mut(worker) else { return false };
        *known = came.max(*known);
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        let waiting = sum(&self.came) - sum(&self.passed);
        if waiting < needed {
            return false;
        }
        // The latest are the last of this worker: they are too many for the meetings that are full.
        let left = waiting % needed;
        self.passed.clone_from(&self.came);
        self.passed[worker] -= left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_opens_for_the_sessions_of_all_workers_together() {
        let mut meetings = Meetings::new(2);
        assert!(!meetings.come(0, [(3, 5)]));
        assert!(!meetings.come(1, [(1, 5)]));
        assert_eq!((meetings.passed(0), meetings.passed(1)), (vec![0], vec![0]));
        assert!(meetings.come(1, [(2, 5)]));
        assert_eq!((meetings.passed(0), meetings.passed(1)), (vec![3], vec![2]));
    }

    #[test]
    fn whoever_comes_too_late_for_one_meeting_waits_for_the_next() {
        let mut meetings = Meetings::new(2);
        assert!(!meetings.come(0, [(3, 5)]));
        assert!(meetings.come(1, [(4, 5)]), "two of the four find room");
        assert_eq!((meetings.passed(0), meetings.passed(1)), (vec![3], vec![2]));
        assert!(!meetings.come(0, [(5, 5)]));
        assert!(meetings.come(1, [(5, 5)]));
        assert_eq!((meetings.passed(0), meetings.passed(1)), (vec![5], vec![5]));
    }

    #[test]
    fn several_meetings_may_open_at_once_and_barriers_do_not_mind_each_other() {
        let mut meetings = Meetings::new(1);
        assert!(!meetings.come(0, [(0, 2), (1, 3)]));
        assert!(meetings.come(0, [(5, 2), (1, 3)]));
        assert_eq!(meetings.passed(0), [4, 0]);
    }
}
