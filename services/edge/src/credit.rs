//! Room for items at an owner. Whoever finds none sleeps until there is some.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    task::{Context, Waker},
};

use parking_lot::Mutex;

/// What an owner still takes. Until it has said anything it takes all.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    metered: AtomicBool,
    items: AtomicI64,
    bytes: AtomicI64,
    waiting: Mutex<Vec<Waker>>,
}

impl Credit {
    /// Whether there is room; if not, the task is woken when there is. What is read at once may overdraw it.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        if self.is_open() {
            return true;
        }
        let mut waiting = self.waiting.lock();
        // Credit may have come before the lock was had.
        if self.is_open() {
            return true;
        }
        waiting.push(cx.waker().clone());
        false
    }

    fn is_open(&self) -> bool {
        !self.metered.load(Ordering::Acquire)
            || self.items.load(Ordering::Acquire) > 0 && self.bytes.load(Ordering::Acquire) > 0
    }

    pub(crate) fn spend(&self, items: i64, bytes: u64) {
        self.items.fetch_sub(items, Ordering::AcqRel);
        self.bytes.fetch_sub(signed(bytes), Ordering::AcqRel);
    }

    /// More room.
    pub(crate) fn add(&self, items: u64, bytes: u64) {
        if !self.metered.swap(true, Ordering::AcqRel) {
            // What was spent before counting began is not counted.
            self.items.store(0, Ordering::Release);
            self.bytes.store(0, Ordering::Release);
        }
        self.items.fetch_add(signed(items), Ordering::AcqRel);
        self.bytes.fetch_add(signed(bytes), Ordering::AcqRel);
        self.wake();
    }

    /// A new link: nothing is counted until the owner begins to.
    pub(crate) fn reset(&self) {
        self.metered.store(false, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_unmetered_until_it_is_given_and_then_spent() {
        let credit = Credit::default();
        let cx = Context::from_waker(Waker::noop());
        credit.spend(10, 10);
        assert!(credit.has_room(&cx));
        credit.add(2, 100);
        credit.spend(1, 99);
        assert!(credit.has_room(&cx));
        credit.spend(1, 1);
        assert!(!credit.has_room(&cx));
        credit.add(1, 1);
        assert!(credit.has_room(&cx));
        credit.spend(5, 5);
        credit.reset();
        assert!(credit.has_room(&cx));
    }
}
