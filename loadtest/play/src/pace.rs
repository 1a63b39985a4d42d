//! Spans of time drawn by chance, and rates that the sessions of a population share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::Rng;
use scenario::Span;

use crate::arrivals::exponential;

/// The longest that is waited by chance, as a multiple of the mean: e^-20 of all draws would be longer.
const MEANS_MAX: f64 = 20.0;

/// Microseconds, by chance if the span says so.
pub(crate) fn draw(span: Span, random: &mut impl Rng) -> u64 {
    let us = |duration: Duration| duration.as_micros() as u64;
    match span {
        Span::Fixed(fixed) => us(fixed),
        Span::Between(from, to) if from < to => random.random_range(us(from)..=us(to)),
        Span::Between(from, _) => us(from),
        Span::About(mean) => (us(mean) as f64 * exponential(random).min(MEANS_MAX)) as u64,
    }
}

/// A rate of all sessions that repeat the same steps: each has its part, exponentially spaced, so that the whole is as
/// if it came from many independent people.
#[derive(Debug)]
pub(crate) struct Rate {
    each_second: f64,
    members: AtomicU32,
}

impl Rate {
    pub(crate) fn new(each_second: f64) -> Self {
        Self { each_second, members: AtomicU32::new(0) }
    }

    pub(crate) fn join(&self) {
        self.members.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.members.fetch_sub(1, Ordering::Relaxed);
    }

    /// Microseconds up to a member's next turn, if there are at least so many others: where all begin at once, the first
    /// would take the whole rate for themselves.
    pub(crate) fn draw(&self, others: u32, random: &mut impl Rng) -> u64 {
        let members = self.members.load(Ordering::Relaxed).max(others).max(1);
        (exponential(random).min(MEANS_MAX) * f64::from(members) / self.each_second * 1e6) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn spans_stay_within_their_bounds_and_keep_their_mean() {
        let mut random = SmallRng::seed_from_u64(1);
        let second = Duration::from_secs(1);
        assert_eq!(draw(Span::Fixed(second), &mut random), 1_000_000);
        for _ in 0..1000 {
            let us = draw(Span::Between(second, 2 * second), &mut random);
            assert!((1_000_000..=2_000_000).contains(&us));
        }
        let sum: u64 = (0..20_000).map(|_| draw(Span::About(second), &mut random)).sum();
        assert!((960_000..1_040_000).contains(&(sum / 20_000)), "{}", sum / 20_000);
    }

    #[test]
    fn members_share_a_rate() {
        let mut random = SmallRng::seed_from_u64(1);
        let rate = Rate::new(100.0);
        for _ in 0..50 {
            rate.join();
        }
        let sum: u64 = (0..20_000).map(|_| rate.draw(0, &mut random)).sum();
        let mean = sum / 20_000;
        assert!(
            (480_000..520_000).contains(&mean),
            "50 members at 100 a second: each half a second, not {mean}"
        );
    }
}
