//! One timer for all connections: each says when it wants to be woken, a coarse tick wakes it. Idle connections have
//! no timer of their own.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How fine time is.
pub(crate) const TICK: Duration = Duration::from_secs(1);
/// Deadlines further away than this come up early and are set again.
const SLOTS: usize = 1024;
/// Ticks until entries of whoever is gone are dropped: each keeps the memory of what it would have woken.
const SWEEP_TICKS: usize = 32;

/// Something to be woken.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

pub(crate) struct Wheel<T> {
    start: Instant,
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    now: u64,
    entries: Vec<Vec<Weak<T>>>,
}

impl<T: Wake> Wheel<T> {
    pub(crate) fn new(start: Instant) -> Self {
        let entries = (0..SLOTS).map(|_| Vec::new()).collect();
        Self { start, slots: Mutex::new(Slots { now: 0, entries }) }
    }

    /// Wakes `who` at the first tick that isn't before `at`, or early. Returns when that will be; an entry can't be
    /// taken back, so whoever is woken looks at its own deadline first.
    pub(crate) fn set(&self, at: Instant, who: Weak<T>) -> Instant {
        let mut slots = self.slots.lock();
        let due = at.saturating_duration_since(self.start).as_millis().div_ceil(TICK.as_millis()) as u64;
        let due = due.clamp(slots.now + 1, slots.now + SLOTS as u64 - 1);
        slots.entries[due as usize % SLOTS].push(who);
        self.start + TICK * due as u32
    }

    /// Wakes everyone whose time has come.
    pub(crate) fn turn(&self, now: Instant) {
        let until = (now.saturating_duration_since(self.start).as_millis() / TICK.as_millis()) as u64;
        loop {
            let (at, due) = {
                let mut slots = self.slots.lock();
                if slots.now >= until {
                    return;
                }
                slots.now += 1;
                let at = slots.now as usize % SLOTS;
                (at, std::mem::take(&mut slots.entries[at]))
            };
            for who in due.iter().filter_map(Weak::upgrade) {
                who.wake();
            }
            self.sweep(at);
        }
    }

    /// Drops, in the slots whose turn it is, entries of those that are gone: they may be due in a quarter of an hour.
    fn sweep(&self, tick: usize) {
        for at in (tick % SWEEP_TICKS..SLOTS).step_by(SWEEP_TICKS) {
            self.slots.lock().entries[at].retain(|who| who.strong_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct Sleeper(AtomicU32);

    impl Wake for Sleeper {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn sleepers_are_woken_once_and_not_early() {
        let start = Instant::now();
        let wheel = Wheel::new(start);
        let sleeper = Arc::new(Sleeper::default());
        let woken = || sleeper.0.load(Ordering::Relaxed);
        let due = wheel.set(start + Duration::from_millis(2500), Arc::downgrade(&sleeper));
        assert_eq!(due, start + Duration::from_secs(3));
        wheel.turn(start + Duration::from_millis(2999));
        assert_eq!(woken(), 0);
        wheel.turn(due);
        assert_eq!(woken(), 1);
        wheel.turn(start + TICK * 5000);
        assert_eq!(woken(), 1);
    }

    #[test]
    fn whoever_is_gone_is_let_go_of_long_before_its_time() {
        let start = Instant::now();
        let wheel = Wheel::new(start);
        let (stays, goes) = (Arc::new(Sleeper::default()), Arc::new(Sleeper::default()));
        for sleeper in [&stays, &goes] {
            wheel.set(start + TICK * 800, Arc::downgrade(sleeper));
        }
        drop(goes);
        wheel.turn(start + TICK * SWEEP_TICKS as u32);
        assert_eq!(Arc::weak_count(&stays), 1);
        assert_eq!(wheel.slots.lock().entries.iter().map(Vec::len).sum::<usize>(), 1);
        wheel.turn(start + TICK * 800);
        assert_eq!(stays.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_comes_up_early() {
        let start = Instant::now();
        let wheel = Wheel::new(start);
        let sleeper = Arc::new(Sleeper::default());
        let due = wheel.set(start + TICK * 9000, Arc::downgrade(&sleeper));
        assert!(due < start + TICK * 1100);
        wheel.turn(due);
        assert_eq!(sleeper.0.load(Ordering::Relaxed), 1);
    }
}
