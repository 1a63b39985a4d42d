//! Clocks of several processes: each counts from a moment of its own; round trips tell how far one is ahead of another.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Round trips that are kept: about a minute of them while a run is on.
const TRIPS_MAX: usize = 64;
/// What two clocks may drift apart, in parts of a million: NTP's PHI (RFC 5905 §7.2).
const DRIFT_PPM: i64 = 15;

/// The clock of one process, in microseconds since a moment of its own.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Instant,
    ahead_us: i64,
}

impl Clock {
    /// Begins to count.
    pub fn new() -> Self {
        Self { base: Instant::now(), ahead_us: 0 }
    }

    /// A clock that is this much ahead, as another machine's would be.
    pub fn ahead_by(ahead: Duration) -> Self {
        Self { ahead_us: ahead.as_micros() as i64, ..Self::new() }
    }

    pub(crate) fn now_us(self) -> i64 {
        self.base.elapsed().as_micros() as i64 + self.ahead_us
    }

    /// The moment at which this clock shows that time; its beginning if it lies before.
    pub(crate) fn moment(self, at_us: i64) -> Instant {
        self.base + Duration::from_micros(u64::try_from(at_us - self.ahead_us).unwrap_or_default())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// A question and its answer: two times of the one who asks around two of the one who answers.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit is theirs, not the trip's")]
pub(crate) struct Trip {
    pub sent_us: i64,
    pub received_us: i64,
    pub answered_us: i64,
    pub back_us: i64,
}

/// How far the other clock is ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub by_us: i64,
    /// It is no more off than this.
    pub error_us: i64,
}

/// What round trips have told of another clock.
#[derive(Debug, Default)]
pub(crate) struct Trips {
    trips: VecDeque<Trip>,
}

impl Trips {
    /// Adds a round trip. One that came back before it went tells nothing.
    pub(crate) fn add(&mut self, trip: Trip) {
        if trip.delay_us() < 0 {
            return;
        }
        if self.trips.len() == TRIPS_MAX {
            self.trips.pop_front();
        }
        self.trips.push_back(trip);
    }

    pub(crate) fn count(&self) -> usize {
        self.trips.len()
    }

    /// The best estimate at a time of the own clock: that of the shortest trip, as its ways can differ least (RFC 5905 §8,
    /// §10), where older ones may have drifted since.
    pub(crate) fn ahead(&self, now_us: i64) -> Option<Ahead> {
        let estimates = self.trips.iter().map(|trip| Ahead {
            by_us: i64::midpoint(trip.received_us - trip.sent_us, trip.answered_us - trip.back_us),
            error_us: (trip.delay_us() + 1) / 2 + (now_us - trip.back_us).max(0) * DRIFT_PPM / 1_000_000,
        });
        estimates.min_by_key(|estimate| estimate.error_us)
    }
}

impl Trip {
    /// Both ways together.
    fn delay_us(&self) -> i64 {
        (self.back_us - self.sent_us) - (self.answered_us - self.received_us)
    }
}

impl Ahead {
    /// Whether both cannot be true of clocks that have not drifted.
    pub(crate) fn contradicts(self, other: Self) -> bool {
        (self.by_us - other.by_us).abs() > self.error_us + other.error_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round trip at that time with these ways, when the other clock is ahead by that.
    fn trip(at_us: i64, there_us: i64, back_us: i64, ahead_us: i64) -> Trip {
        let received_us = at_us + there_us + ahead_us;
        let answered_us = received_us + 70;
        Trip { sent_us: at_us, received_us, answered_us, back_us: answered_us - ahead_us + back_us }
    }

    #[test]
    fn the_shortest_trip_is_believed_and_its_error_bound_holds() {
        let ahead_us = -3_600_000_000;
        let mut trips = Trips::default();
        let ways = [(900, 5000), (40_000, 100), (120, 80), (300, 2000)];
        for (at, (there_us, back_us)) in (0_i64..).zip(ways) {
            trips.add(trip(10_000 * at, there_us, back_us, ahead_us));
        }
        let estimate = trips.ahead(40_000).unwrap();
        assert!((estimate.by_us - ahead_us).abs() <= estimate.error_us, "{estimate:?}");
        assert_eq!(estimate, Ahead { by_us: ahead_us + 20, error_us: 100 });
    }

    #[test]
    fn an_old_trip_is_believed_less_and_less() {
        let mut trips = Trips::default();
        trips.add(trip(0, 100, 100, 0));
        // A minute later the clock has gained two milliseconds, and trips take a little longer.
        let minute_us = 60_000_000;
        trips.add(trip(minute_us, 300, 300, 2000));
        let (then, now) = (trips.ahead(1000).unwrap(), trips.ahead(minute_us + 1000).unwrap());
        assert_eq!((then.by_us, now.by_us), (0, 2000));
        assert!(now.contradicts(then), "{then:?}, {now:?}");
    }

    #[test]
    fn what_lies_within_the_errors_is_no_drift() {
        let (before, after) = (Ahead { by_us: 100, error_us: 30 }, Ahead { by_us: 150, error_us: 20 });
        assert!(!after.contradicts(before));
        assert!(Ahead { by_us: 151, ..after }.contradicts(before));
    }

    #[test]
    fn an_impossible_trip_tells_nothing() {
        let mut trips = Trips::default();
        trips.add(Trip { sent_us: 100, received_us: 0, answered_us: 500, back_us: 110 });
        assert_eq!((trips.count(), trips.ahead(0)), (0, None));
    }

    #[tokio::test]
    async fn a_clock_finds_its_moments() {
        let clock = Clock::ahead_by(Duration::from_secs(5));
        let now_us = clock.now_us();
        assert!((5_000_000..6_000_000).contains(&now_us), "{now_us}");
        let off = clock.moment(now_us).elapsed();
        assert!(off < Duration::from_secs(1), "{off:?}");
    }
}
