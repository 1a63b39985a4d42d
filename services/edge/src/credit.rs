//! Room for items at an owner. Whoever finds none sleeps until there is some.

use std::task::{Context, Waker};

use parking_lot::Mutex;

/// What an owner still takes.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    room: node::Credit,
    waiting: Mutex<Vec<Waker>>,
}

impl Credit {
    /// Whether there is room; if not, the task is woken when there is. What is read at once may overdraw it.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        if self.room.is_open() {
            return true;
        }
        let mut waiting = self.waiting.lock();
        // Credit may have come before the lock was had.
        if self.room.is_open() {
            return true;
        }
        waiting.push(cx.waker().clone());
        false
    }

    pub(crate) fn spend(&self, items: i64, bytes: u64) {
        self.room.spend(items, bytes);
    }

    /// More room.
    pub(crate) fn add(&self, items: u64, bytes: u64) {
        self.room.add(items, bytes);
        self.wake();
    }

    /// A new link: nothing is counted until the owner begins to.
    pub(crate) fn reset(&self) {
        self.room.reset();
        self.wake();
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}
