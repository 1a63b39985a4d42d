//! Dice that fall the same way for the same seed.

use std::cell::Cell;

thread_local! {
    /// What a simulation on this thread draws instead of the system's randomness; 0: none is going on.
    static SYSTEM: Cell<u64> = const { Cell::new(0) };
}

#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From the first to below the last.
    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + (self.next() >> 8) % (range.end - range.start)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.within(0..n) == 0
    }
}

/// From now on this thread's processes draw from a seed.
pub(crate) fn seed_system(seed: u64) {
    SYSTEM.set(Random::new(seed).next() | 1);
}

/// Fills bytes with what is random to a process, if this thread simulates some.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let state = SYSTEM.get();
    if state == 0 {
        return false;
    }
    let mut random = Random(state);
    for byte in bytes {
        *byte = (random.next() >> 32) as u8;
    }
    SYSTEM.set(random.0);
    true
}
