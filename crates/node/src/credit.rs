//! What the other side of a wire still takes (docs/delivery.md §5), as it said.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Room in items and in bytes. Until the other side has said anything it takes all.
#[derive(Debug, Default)]
pub struct Credit {
    metered: AtomicBool,
    items: AtomicI64,
    bytes: AtomicI64,
}

impl Credit {
    /// Whether there is room for one more; whoever finds some may overdraw it by that one.
    pub fn is_open(&self) -> bool {
        !self.metered.load(Ordering::Acquire)
            || self.items.load(Ordering::Acquire) > 0 && self.bytes.load(Ordering::Acquire) > 0
    }

    /// Something is on its way.
    pub fn spend(&self, items: i64, bytes: u64) {
        self.items.fetch_sub(items, Ordering::AcqRel);
        self.bytes.fetch_sub(signed(bytes), Ordering::AcqRel);
    }

    /// More room.
    pub fn add(&self, items: u64, bytes: u64) {
        if !self.metered.swap(true, Ordering::AcqRel) {
            // What was spent before counting began is not counted.
            self.items.store(0, Ordering::Release);
            self.bytes.store(0, Ordering::Release);
        }
        self.items.fetch_add(signed(items), Ordering::AcqRel);
        self.bytes.fetch_add(signed(bytes), Ordering::AcqRel);
    }

    /// A new wire: nothing is counted until the other side begins to.
    pub fn reset(&self) {
        self.metered.store(false, Ordering::Release);
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_unmetered_until_it_is_given_and_then_spent() {
        let credit = Credit::default();
        credit.spend(10, 10);
        assert!(credit.is_open());
        credit.add(2, 100);
        credit.spend(1, 99);
        assert!(credit.is_open());
        credit.spend(1, 1);
        assert!(!credit.is_open());
        credit.add(1, 1);
        assert!(credit.is_open());
        credit.spend(5, 5);
        credit.reset();
        assert!(credit.is_open());
    }
}
