//! Seconds of all workers become seconds of the run, for whoever watches it.

use std::collections::BTreeMap;

use figures::Second;

/// So many seconds later, those who have not told theirs are not waited for any more.
const LATE_MAX: usize = 5;

/// Seconds that not all workers have told.
#[derive(Debug)]
pub(crate) struct Seconds {
    workers: usize,
    /// By number: of how many workers it is, and their sum.
    told: BTreeMap<u32, (usize, Second)>,
    /// The first that has not been shown.
    next: u32,
}

impl Seconds {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, told: BTreeMap::new(), next: 0 }
    }

    /// A worker has told a second; those that are complete now, in their order.
    pub(crate) fn add(&mut self, number: u32, second: Second) -> Vec<Second> {
        // Shown already, without it: it is in the record.
        if number < self.next {
            return Vec::new();
        }
        match self.told.get_mut(&number) {
            Some((workers, sum)) => {
                *workers += 1;
                sum.merge(&second);
            }
            None => {
                self.told.insert(number, (1, second));
            }
        }
        let mut complete = Vec::new();
        while let Some(first) = self.told.first_entry()
            && (first.get().0 >= self.workers || self.told.len() > LATE_MAX)
        {
            let Some((number, (_, second))) = self.told.pop_first() else { break };
            self.next = number + 1;
            complete.push(second);
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(sessions: u64) -> Second {
        Second { sessions, ..Second::default() }
    }

    fn sessions(seconds: &[Second]) -> Vec<u64> {
        seconds.iter().map(|second| second.sessions).collect()
    }

    #[test]
    fn a_second_is_shown_once_all_have_told_it() {
        let mut seconds = Seconds::new(2);
        assert!(seconds.add(0, second(1)).is_empty());
        assert!(seconds.add(1, second(2)).is_empty());
        assert_eq!(sessions(&seconds.add(0, second(10))), [11]);
        assert_eq!(sessions(&seconds.add(1, second(20))), [22]);
    }

    #[test]
    fn who_is_late_is_not_waited_for() {
        let mut seconds = Seconds::new(2);
        for number in 0..LATE_MAX as u32 {
            assert!(seconds.add(number, second(1)).is_empty());
        }
        assert_eq!(sessions(&seconds.add(LATE_MAX as u32, second(1))), [1]);
        assert!(seconds.add(0, second(1)).is_empty(), "it has been shown");
    }
}
