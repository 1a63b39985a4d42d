//! Places where sessions wait for each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// Opens whenever so many sessions have reached it, also again and again.
#[derive(Debug)]
pub(crate) struct Barrier {
    needed: u64,
    reached: AtomicU64,
}

impl Barrier {
    pub(crate) fn new(needed: u64) -> Self {
        Self { needed: needed.max(1), reached: AtomicU64::new(0) }
    }

    /// A session is here. The number with which it may ask whether it [may pass](Self::is_open); and whether it was the one
    /// that the others have waited for, and must wake them.
    pub(crate) fn reach(&self) -> (u64, bool) {
        let before = self.reached.fetch_add(1, Ordering::AcqRel);
        let opens_at = (before / self.needed + 1) * self.needed;
        (opens_at, before + 1 == opens_at)
    }

    pub(crate) fn is_open(&self, opens_at: u64) -> bool {
        self.reached.load(Ordering::Acquire) >= opens_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_opens_it_and_it_closes_behind_them() {
        let barrier = Barrier::new(2);
        let (first, wakes) = barrier.reach();
        assert!(!wakes && !barrier.is_open(first));
        let (second, wakes) = barrier.reach();
        assert!(wakes && barrier.is_open(first) && barrier.is_open(second));

        let (again, wakes) = barrier.reach();
        assert!(!wakes && !barrier.is_open(again));
    }
}
