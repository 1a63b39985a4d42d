//! Time within a run: microseconds since its start, which may have been elsewhere.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The timer of the runtime counts in these steps.
const TICK_US: u64 = 1000;
/// How often the timer is asked to find its ticks.
const TRIALS: usize = 16;

/// The clock of a run. Intended times lie on the ticks of the runtime's timer, so that a session is not late by
/// design: half a millisecond of it would be in every latency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// When ticks are, beyond a whole one since the start.
    phase_us: u64,
}

impl Clock {
    /// A clock that starts at that moment, which may lie ahead. Takes some milliseconds to find the timer's ticks.
    pub(crate) async fn new(start: Instant) -> Self {
        let base = Instant::now();
        let mut ticks = Vec::with_capacity(TRIALS);
        for _ in 0..TRIALS {
            tokio::time::sleep(Duration::from_micros(TICK_US)).await;
            ticks.push(base.elapsed().as_micros() as u64 % TICK_US);
        }
        let base_us = match start.checked_duration_since(base) {
            Some(ahead) => TICK_US - ahead.as_micros() as u64 % TICK_US,
            None => base.duration_since(start).as_micros() as u64 % TICK_US,
        };
        Self { start, phase_us: (earliest(&ticks) + base_us) % TICK_US }
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// The moment that is so long after the start.
    pub(crate) fn at(&self, us: u64) -> Instant {
        self.start + Duration::from_micros(us)
    }

    /// The tick at or before a time.
    pub(crate) fn tick(&self, us: u64) -> u64 {
        us - ((us + TICK_US - self.phase_us) % TICK_US).min(us)
    }

    /// Milliseconds since 1970.
    pub(crate) fn unix_ms() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    /// Milliseconds since 1970 at the start.
    pub(crate) fn started_unix_ms(&self) -> u64 {
        Self::unix_ms().saturating_sub(self.now_ms())
    }
}

/// Who is woken is late, never early: of the times that were seen within a tick, round as a clock's face, the earliest.
fn earliest(ticks: &[u64]) -> u64 {
    let first = ticks.first().copied().unwrap_or_default();
    let from_first = |tick: &u64| (tick + TICK_US - first + TICK_US / 2) % TICK_US;
    let least = ticks.iter().map(from_first).min().unwrap_or_default();
    (first + least + TICK_US / 2) % TICK_US
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tick_is_never_after_the_time_and_less_than_a_millisecond_before() {
        let clock = Clock::new(Instant::now()).await;
        for us in [0, 1, 99, 1000, 12_345, 999_999, 1_000_001] {
            let tick = clock.tick(us);
            assert!(tick <= us && us - tick <= 1000, "{us} became {tick}");
        }
    }

    #[test]
    fn the_earliest_is_found_across_the_end_of_a_tick() {
        assert_eq!(earliest(&[20, 990, 5]), 990);
        assert_eq!(earliest(&[300, 250, 700]), 250);
    }
}
