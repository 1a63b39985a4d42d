//! A histogram of latencies that can be kept, sent and merged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use hdrhistogram::{Counter, Histogram};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest latency that is told from longer ones: an hour.
pub const LATENCY_US_MAX: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of latencies in microseconds, three significant digits, up to an hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The histogram as base64 of its V2 form with compression, which other tools of `HdrHistogram` read. Empty: nothing was recorded.
    pub histogram: String,
    /// How many were recorded.
    pub count: u64,
    /// The arithmetic mean.
    pub mean_us: f64,
    /// The shortest.
    pub min_us: u64,
    /// The median.
    pub p50_us: u64,
    /// 90 % took no longer.
    pub p90_us: u64,
    /// 95 % took no longer.
    pub p95_us: u64,
    /// 99 % took no longer.
    pub p99_us: u64,
    /// 99.9 % took no longer.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// Bytes that were not written by us, or were cut.
#[derive(Debug, thiserror::Error)]
#[error("cannot be read: {0}")]
pub struct Malformed(pub(crate) String);

impl Spread {
    /// The histogram itself; empty for the default.
    pub fn unpack(&self) -> Result<Histogram<u64>, Malformed> {
        if self.histogram.is_empty() {
            return Ok(empty());
        }
        let bytes = STANDARD.decode(&self.histogram).map_err(|error| Malformed(error.to_string()))?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| Malformed(error.to_string()))
    }

    /// Adds what another worker, second or phase has recorded. What cannot be read adds nothing.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other.clone();
            return;
        }
        if let (Ok(mut sum), Ok(more)) = (self.unpack(), other.unpack())
            && sum.add(more).is_ok()
        {
            *self = Self::from(&sum);
        }
    }
}

impl<C: Counter> From<&Histogram<C>> for Spread {
    fn from(histogram: &Histogram<C>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let mut bytes = Vec::new();
        // Writing into memory fails for counts beyond 2^63 only.
        let packed = match V2DeflateSerializer::new().serialize(histogram, &mut bytes) {
            Ok(_) => STANDARD.encode(&bytes),
            Err(_) => String::new(),
        };
        Self {
            histogram: packed,
            count: histogram.len(),
            mean_us: histogram.mean(),
            min_us: histogram.min(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p95_us: histogram.value_at_quantile(0.95),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        }
    }
}

/// A histogram of the one form that all of ours have, so that any two can be added.
pub(crate) fn empty<C: Counter>() -> Histogram<C> {
    let mut histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
        .unwrap_or_else(|error| unreachable!("constant bounds are valid: {error}"));
    histogram.auto(false);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_of(values: impl IntoIterator<Item = u64>) -> Spread {
        let mut histogram = empty::<u32>();
        values.into_iter().for_each(|value| histogram.saturating_record(value));
        Spread::from(&histogram)
    }

    #[test]
    fn a_spread_survives_packing_and_merging() {
        let mut low = spread_of(1..=1000);
        let high = spread_of(1001..=2000);
        low.merge(&high);

        assert_eq!(low.count, 2000);
        assert_eq!((low.min_us, low.max_us), (1, 2000));
        assert!((995..=1005).contains(&low.p50_us), "{}", low.p50_us);
        assert_eq!(low.unpack().unwrap().len(), 2000);
    }

    #[test]
    fn nothing_is_merged_with_nothing() {
        let mut none = Spread::default();
        none.merge(&Spread::default());
        assert_eq!(none, Spread::default());

        none.merge(&spread_of([7]));
        assert_eq!(none.count, 1);
    }

    #[test]
    fn a_broken_histogram_is_an_error_and_adds_nothing() {
        let broken = Spread { histogram: "bm90IGE=".to_owned(), count: 5, ..Spread::default() };
        assert!(broken.unpack().is_err());

        let mut one = spread_of([7]);
        one.merge(&broken);
        assert_eq!(one.count, 1);
    }
}
