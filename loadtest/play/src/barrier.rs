//! Places where sessions wait for each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// Opens whenever so many sessions have reached it, also again and again.
#[derive(Debug)]
pub(crate) struct Barrier {
    needed: u64,
    reached: AtomicU64,
    /// How many of those who reached it may pass.
    open: AtomicU64,
}

impl Barrier {
    pub(crate) fn new(needed: u64) -> Self {
        Self { needed: needed.max(1), reached: AtomicU64::new(0), open: AtomicU64::new(0) }
    }

    pub(crate) fn needed(&self) -> u64 {
        self.needed
    }

    /// A session is here. Its place, with which it may ask whether it [may pass](Self::is_open); and whether it was the one
    /// that the others have waited for, if there are none elsewhere.
    pub(crate) fn reach(&self) -> (u64, bool) {
        let place = self.reached.fetch_add(1, Ordering::AcqRel) + 1;
        (place, place.is_multiple_of(self.needed))
    }

    /// Lets those pass who have one of the first so many places. They must be woken.
    pub(crate) fn open(&self, places: u64) {
        self.open.fetch_max(places, Ordering::AcqRel);
    }

    pub(crate) fn is_open(&self, place: u64) -> bool {
        self.open.load(Ordering::Acquire) >= place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_opens_it_and_it_closes_behind_them() {
        let barrier = Barrier::new(2);
        let (first, is_last) = barrier.reach();
        assert!(!is_last && !barrier.is_open(first));
        let (second, is_last) = barrier.reach();
        assert!(is_last);
        barrier.open(second);
        assert!(barrier.is_open(first) && barrier.is_open(second));

        let (again, is_last) = barrier.reach();
        assert!(!is_last && !barrier.is_open(again));
    }
}
