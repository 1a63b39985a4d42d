//! The figures that are compared, as samples that can be drawn again.

use std::collections::BTreeSet;
use std::rc::Rc;

use figures::{Record, Second, Spread};
use rand::Rng;
use rand::rngs::SmallRng;

use super::Better;
use crate::stretch;

/// Seconds that are drawn together at most; in a short phase fewer, so that there is something to draw from.
const BLOCK_MAX: usize = 5;
const BLOCKS_MIN: usize = 6;
/// Fewer seconds on a side do not show how steady they were.
const SECONDS_MIN: usize = 10;
/// How much memory is taken differs by run, not by second.
const MEMORY_RUNS_MIN: usize = 3;
/// Less than this many completions on a side say nothing of a percentile.
const COMPLETIONS_MIN: u64 = 100;

/// One figure of both sides.
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) better: Better,
    pub(super) unit: Unit,
    sides: [Vec<Run>; 2],
    kind: Kind,
    /// So many runs a side are needed to show a change.
    runs_min: usize,
    /// All latencies that occur, in microseconds.
    values: Rc<[u64]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Micros,
    PerSecond,
    Bytes,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The least value that this share does not exceed.
    Quantile(f64),
    /// The sum of all over the sum of all.
    Quotient,
}

/// The seconds of one run.
type Run = Vec<Sample>;

#[derive(Clone)]
enum Sample {
    /// Latencies, each by its place among all that the figure's sides have, with how often it was.
    Latencies(Rc<[(u32, u64)]>),
    /// Of a quotient.
    Parts(f64, f64),
}

/// Latencies by measure, rates, cost.
pub(super) fn of_phase(a: &[Record], b: &[Record], phase: &str) -> Vec<Figure> {
    let measures: BTreeSet<&str> =
        a.iter().flat_map(|run| run.latencies.keys().map(String::as_str)).collect();
    let mut figures = Vec::new();
    for measure in measures {
        let enough = |runs: &[Record]| {
            runs.iter().map(|run| run.spread(measure, Some(phase)).count).sum::<u64>() >= COMPLETIONS_MIN
        };
        if enough(a) && enough(b) {
            figures.extend(latencies(a, b, phase, measure));
        }
    }
    figures.extend([
        quotient(a, b, phase, "deliveries a second", |run, before, second| {
            Some((work(run, second), (second.at_ms - before.at_ms) as f64 / 1000.0))
        }),
        quotient(a, b, phase, "server CPU a delivery", |run, before, second| {
            Some((stretch::server_cpu_us(before, second)? as f64, work(run, second)))
        }),
        quotient(a, b, phase, "server memory", |_, _, second| {
            (!second.server.is_empty()).then(|| (stretch::server_memory_bytes(second) as f64, 1.0))
        }),
    ]);
    figures
}

fn quotient(
    a: &[Record],
    b: &[Record],
    phase: &str,
    what: &str,
    parts: fn(&Record, &Second, &Second) -> Option<(f64, f64)>,
) -> Figure {
    let seconds = |run: &Record| -> Run {
        let pairs = run.seconds.windows(2).filter(|pair| pair[1].phase == phase);
        let parts = pairs.filter_map(|pair| parts(run, &pair[0], &pair[1]));
        parts.map(|(of, by)| Sample::Parts(of, by)).collect()
    };
    let (better, unit, runs_min) = match what {
        "deliveries a second" => (Better::Higher, Unit::PerSecond, 1),
        "server memory" => (Better::Lower, Unit::Bytes, MEMORY_RUNS_MIN),
        _ => (Better::Lower, Unit::Micros, 1),
    };
    let sides = [a, b].map(|runs| runs.iter().map(seconds).collect());
    Figure {
        what: what.to_owned(),
        better,
        unit,
        sides,
        kind: Kind::Quotient,
        runs_min,
        values: Rc::default(),
    }
}

fn latencies(a: &[Record], b: &[Record], phase: &str, measure: &str) -> Vec<Figure> {
    let counted = [a, b].map(|runs| {
        let seconds = |run: &Record| {
            let seconds = run.seconds.iter().filter(|second| second.phase == phase);
            seconds.map(|second| counted(second.latencies.get(measure))).collect::<Vec<_>>()
        };
        runs.iter().map(seconds).collect::<Vec<_>>()
    });
    let occurring: BTreeSet<u64> =
        counted.iter().flatten().flatten().flatten().map(|&(value, _)| value).collect();
    let values: Rc<[u64]> = occurring.into_iter().collect();
    let place = |value: u64| values.partition_point(|&other| other < value) as u32;
    let sample = |second: Vec<(u64, u64)>| {
        Sample::Latencies(second.into_iter().map(|(value, count)| (place(value), count)).collect())
    };
    let sides = counted
        .map(|runs| runs.into_iter().map(|run| run.into_iter().map(sample).collect()).collect::<Vec<Run>>());
    let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
    let figure = |(name, quantile): (&str, f64)| Figure {
        what: format!("{measure} {name}"),
        better: Better::Lower,
        unit: Unit::Micros,
        sides: sides.clone(),
        kind: Kind::Quantile(quantile),
        runs_min: 1,
        values: Rc::clone(&values),
    };
    quantiles.map(figure).into()
}

/// Latencies in microseconds, with how often each was.
fn counted(spread: Option<&Spread>) -> Vec<(u64, u64)> {
    let histogram = spread.and_then(|spread| spread.unpack().ok());
    let recorded = histogram.iter().flat_map(hdrhistogram::Histogram::iter_recorded);
    recorded.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
}

/// Deliveries; in a run that delivers nothing, what was completed.
fn work(run: &Record, second: &Second) -> f64 {
    let completed = || second.latencies.values().map(|spread| spread.count).sum();
    let delivered = second.counts.get("delivered").copied();
    let work = if run.counts.contains_key("delivered") { delivered.unwrap_or(0) } else { completed() };
    work as f64
}

impl Figure {
    /// Of all runs of each side.
    pub(super) fn whole(&self) -> Option<[f64; 2]> {
        let of = |side: &[Run]| self.value(side.iter().flatten()).filter(|&value| value > 0.0);
        Some([of(&self.sides[0])?, of(&self.sides[1])?])
    }

    /// Of each run.
    pub(super) fn by_run(&self) -> [Vec<f64>; 2] {
        self.sides.each_ref().map(|side| side.iter().filter_map(|run| self.value(run.iter())).collect())
    }

    /// Whether there is enough of it to tell a change from chance.
    pub(super) fn is_enough(&self) -> bool {
        self.sides.iter().all(|side| {
            side.len() >= self.runs_min && side.iter().map(Vec::len).sum::<usize>() >= SECONDS_MIN
        })
    }

    /// Ratios of the sides, drawn again that often.
    pub(super) fn resampled(&self, times: usize, dice: &mut SmallRng) -> Vec<f64> {
        let ratio = |_| {
            let [a, b] = self.sides.each_ref().map(|side| self.value(drawn(side, dice).into_iter()));
            Some(b? / a?).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        };
        (0..times).filter_map(ratio).collect()
    }

    fn value<'a>(&self, samples: impl Iterator<Item = &'a Sample>) -> Option<f64> {
        let mut counts = vec![0_u64; self.values.len()];
        let (mut of, mut by) = (0.0, 0.0);
        for sample in samples {
            match sample {
                Sample::Latencies(values) => {
                    for &(place, count) in values.iter() {
                        counts[place as usize] += count;
                    }
                }
                Sample::Parts(more, each) => (of, by) = (of + more, by + each),
            }
        }
        match self.kind {
            Kind::Quantile(quantile) => self.at_quantile(&counts, quantile),
            Kind::Quotient => (by > 0.0).then(|| of / by),
        }
    }

    fn at_quantile(&self, counts: &[u64], quantile: f64) -> Option<f64> {
        let total: u64 = counts.iter().sum();
        let rank = (total as f64 * quantile).ceil();
        let mut below = 0;
        self.values.iter().zip(counts).find_map(|(&value, &count)| {
            below += count;
            (total > 0 && below as f64 >= rank).then_some(value as f64)
        })
    }
}

/// As many runs as there are, drawn with return; of each as many seconds, in blocks.
fn drawn<'a>(side: &'a [Run], dice: &mut SmallRng) -> Vec<&'a Sample> {
    let mut samples = Vec::new();
    for _ in side {
        let run = &side[dice.random_range(0..side.len())];
        if run.is_empty() {
            continue;
        }
        let block = (run.len() / BLOCKS_MIN).clamp(1, BLOCK_MAX);
        for _ in 0..run.len().div_ceil(block) {
            let start = dice.random_range(0..=run.len() - block);
            samples.extend(&run[start..start + block]);
        }
    }
    samples
}
