//! Time within a run: microseconds since its start, which may have been elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The timer of the runtime counts in these steps.
const TICK_US: u64 = 1000;
/// How often the timer is asked to find its ticks.
const TRIALS: usize = 16;

/// The clock of a run. Intended times lie on the ticks of the runtime's timer, so that a session is not late by
/// design: half a millisecond of it would be in every latency.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// By how much this process's clock has gone ahead of the run's since then.
    drift_us: Arc<AtomicI64>,
    /// When ticks are, beyond a whole one since the start.
    phase_us: u64,
}

impl Clock {
    /// A clock that starts at that moment, which may lie ahead. Takes some milliseconds to find the timer's ticks.
    pub(crate) async fn new(start: Instant, drift_us: Arc<AtomicI64>) -> Self {
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
        Self { start, drift_us, phase_us: (earliest(&ticks) + base_us) % TICK_US }
    }

    pub(crate) fn now_us(&self) -> u64 {
        let elapsed_us = self.start.elapsed().as_micros() as u64;
        elapsed_us.saturating_add_signed(-self.drift_us())
    }

    fn drift_us(&self) -> i64 {
        self.drift_us.load(Ordering::Relaxed)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// The moment that is so long after the start.
    pub(crate) fn at(&self, us: u64) -> Instant {
        self.start + Duration::from_micros(us.saturating_add_signed(self.drift_us()))
    }

    /// The tick at or before a time.
    pub(crate) fn tick(&self, us: u64) -> u64 {
        let drift_us = self.drift_us().rem_euclid(TICK_US.cast_signed()).cast_unsigned();
        us - ((us + drift_us + TICK_US - self.phase_us) % TICK_US).min(us)
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
        let clock = Clock::new(Instant::now(), Arc::default()).await;
        for us in [0, 1, 99, 1000, 12_345, 999_999, 1_000_001] {
            let tick = clock.tick(us);
            assert!(tick <= us && us - tick <= 1000, "{us} became {tick}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_has_drifted_shows_the_time_of_the_run() {
        let drift_us = Arc::new(AtomicI64::new(0));
        let start = Instant::now();
        let clock = Clock::new(start, Arc::clone(&drift_us)).await;
        let (before_us, tick_us) = (clock.now_us(), clock.tick(5_000_500));
        drift_us.store(-7_000_300, Ordering::Relaxed);
        assert!(clock.now_us() >= before_us + 7_000_300);
        assert_eq!(clock.at(8_000_300), start + Duration::from_secs(1));
        // The timer's ticks are where they were.
        assert_eq!(clock.tick(5_000_500 + 300), tick_us + 300);
    }

    #[test]
    fn the_earliest_is_found_across_the_end_of_a_tick() {
        assert_eq!(earliest(&[20, 990, 5]), 990);
        assert_eq!(earliest(&[300, 250, 700]), 250);
    }
}
