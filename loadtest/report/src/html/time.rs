//! Plots over the time of the run, all of them over the same axis.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use figures::{Record, Second, Spread};

use super::plot::{Plot, Scale, Series, Unit};
use super::section;
use crate::stretch;
use crate::words;

/// More seconds than this are drawn several at a time.
const POINTS_MAX: usize = 600;
/// As many colours as can be told apart.
const COLOURS: usize = 8;

/// The run's seconds as points of an axis.
pub(super) struct Axis {
    points: Vec<Second>,
    lasted_ms: Vec<u64>,
    positions: Vec<f64>,
    labels: Vec<String>,
    ticks: Vec<(f64, String)>,
    stretches: Vec<(f64, f64, String)>,
    marks: Vec<(f64, String)>,
}

impl Axis {
    pub(super) fn new(record: &Record) -> Self {
        let each = record.seconds.len().div_ceil(POINTS_MAX).max(1);
        let points: Vec<Second> = record.seconds.chunks(each).map(merged).collect();
        let end_ms = points.last().map_or(1, |last| last.at_ms).max(1) as f64;
        let at = |ms: u64| (ms as f64 / end_ms).min(1.0);
        let before = || std::iter::once(Second::default()).chain(points.iter().cloned());
        let pairs = || before().zip(&points);
        let middle = |(before, point): (Second, &Second)| at(before.at_ms.midpoint(point.at_ms));
        let step_ms = tick_ms(end_ms);
        Self {
            lasted_ms: pairs()
                .map(|(before, point)| (point.at_ms - before.at_ms.min(point.at_ms)).max(1))
                .collect(),
            positions: pairs().map(middle).collect(),
            labels: pairs()
                .map(|(before, point)| format!("{} {}", words::clock(before.at_ms), point.phase))
                .collect(),
            ticks: (0..=8)
                .map(|n| n * step_ms)
                .filter(|&ms| ms as f64 <= end_ms)
                .map(|ms| (at(ms), words::clock(ms)))
                .collect(),
            stretches: record
                .phases
                .iter()
                .map(|phase| (at(phase.from_ms), at(phase.to_ms), phase.name.clone()))
                .collect(),
            marks: record.marks.iter().map(|mark| (at(mark.at_ms), mark.what.clone())).collect(),
            points,
        }
    }

    fn draw(&self, id: &str, series: &[Series], scale: Scale, right: Option<Scale>) -> String {
        let Self { positions, labels, ticks, stretches, marks, .. } = self;
        Plot { id, positions, labels, series, scale, right, ticks, stretches, marks }.draw()
    }

    fn each(&self, value: impl Fn(&Second) -> Option<f64>) -> Vec<Option<f64>> {
        self.points.iter().map(value).collect()
    }

    /// A count by the second.
    fn rate(&self, name: &str) -> Vec<Option<f64>> {
        let rate = |(point, &lasted_ms): (&Second, &u64)| {
            Some(*point.counts.get(name).unwrap_or(&0) as f64 * 1000.0 / lasted_ms as f64)
        };
        self.points.iter().zip(&self.lasted_ms).map(rate).collect()
    }

    /// Processors in use, from processor time in microseconds that passed between two points.
    fn cores(&self, cpu_us: impl Fn(&Second, &Second) -> Option<u64>) -> Vec<Option<f64>> {
        let pairs = self.points.windows(2).zip(self.lasted_ms.iter().skip(1));
        let cores = pairs
            .map(|(pair, &lasted_ms)| Some(cpu_us(&pair[0], &pair[1])? as f64 / (lasted_ms as f64 * 1000.0)));
        // What had been used before the first is not known.
        std::iter::once(None).chain(cores).take(self.points.len()).collect()
    }
}

/// Several seconds as one; processes and sessions as at the end.
fn merged(seconds: &[Second]) -> Second {
    let mut seconds = seconds.iter();
    let mut sum = seconds.next().cloned().unwrap_or_default();
    for second in seconds {
        let (sessions, lags) = (second.sessions, sum.generators.clone());
        sum.merge(second);
        (sum.at_ms, sum.sessions) = (second.at_ms, sessions);
        for (name, generator) in &mut sum.generators {
            let before = lags.get(name).map_or(0, |before| before.lag_max_us);
            generator.lag_max_us = generator.lag_max_us.max(before);
        }
    }
    sum
}

/// A round distance that gives at most eight ticks.
fn tick_ms(end_ms: f64) -> u64 {
    let rounds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800];
    rounds
        .into_iter()
        .map(|seconds| seconds * 1000)
        .find(|&ms| end_ms / ms as f64 <= 8.0)
        .unwrap_or(86_400_000)
}

/// Bands of percentiles: one plot a measure, of which one is shown.
pub(super) fn latencies(axis: &Axis, record: &Record) -> String {
    let measures = stretch::measures(record);
    if measures.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = measures.iter().map(|(name, _)| *name).collect();
    let plots = names.iter().map(|name| {
        let of =
            |value: fn(&Spread) -> u64| axis.each(|point| Some(value(point.latencies.get(*name)?) as f64));
        let (p50, p90, p99, max) =
            (of(|it| it.p50_us), of(|it| it.p90_us), of(|it| it.p99_us), of(|it| it.max_us));
        let all = [&p50, &max].into_iter().flatten().flatten().copied().collect::<Vec<_>>();
        let series = [
            Series::area("max", "b3", Unit::Micros, max).above(p99.clone()),
            Series::area("p99", "b2", Unit::Micros, p99).above(p90.clone()),
            Series::area("p90", "b1", Unit::Micros, p90).above(p50.clone()),
            Series::area("p50", "b0", Unit::Micros, p50),
        ];
        axis.draw(&format!("latency-{name}"), &series, Scale::log(all.into_iter()), None)
    });
    let about = "From when it was intended to when it was done: what waits behind a slow one counts as slow. Logarithmic.";
    section("Latency over time", about, &super::tabs(&names, plots))
}

/// What was sent and delivered, sessions, and bytes.
pub(super) fn rates(axis: &Axis, record: &Record) -> String {
    let (bytes, counts): (Vec<&str>, Vec<&str>) = record
        .counts
        .keys()
        .map(String::as_str)
        .filter(|name| stretch::failure(name).is_none())
        .partition(|name| name.contains("bytes"));
    let mut counts = counts;
    // What was sent lies, broad, below what was delivered: where they part, it is seen.
    counts.sort_by_key(|name| (*name != "sent", *name != "delivered", Reverse(record.counts[*name])));
    let mut series: Vec<Series> = counts
        .iter()
        .take(COLOURS - 1)
        .enumerate()
        .map(|(at, name)| {
            let class =
                if *name == "sent" { "c5 wide".to_owned() } else { format!("c{}", at.saturating_sub(1)) };
            Series::line(name, &class, Unit::PerSecond, axis.rate(name))
        })
        .collect();
    let left = Scale::linear(values(&series));
    let sessions =
        Series::line("sessions", "c7 thin", Unit::Count, axis.each(|point| Some(point.sessions as f64)));
    series.push(sessions.on_the_right());
    let right = Scale::linear(series.last().into_iter().flat_map(|it| it.values.iter().flatten().copied()));
    let mut plots = axis.draw("rates", &series, left, Some(right));
    if !bytes.is_empty() {
        let series: Vec<Series> = bytes
            .iter()
            .take(COLOURS)
            .enumerate()
            .map(|(at, name)| Series::line(name, &format!("c{at}"), Unit::BytesPerSecond, axis.rate(name)))
            .collect();
        plots +=
            &axis.draw("bytes", &series, Scale::bytes(values(&series).collect::<Vec<_>>().into_iter()), None);
    }
    section("Rates", "Left: each second. Right: sessions that are logged in.", &plots)
}

/// Failures by condition, one upon the other.
pub(super) fn failures(axis: &Axis, record: &Record) -> String {
    let mut by_condition: BTreeMap<&str, (u64, Vec<Option<f64>>)> = BTreeMap::new();
    for (name, n) in &record.counts {
        let Some((_, condition)) = stretch::failure(name) else { continue };
        let (sum, rates) = by_condition.entry(condition).or_default();
        *sum += n;
        let more = axis.rate(name);
        *rates = if rates.is_empty() { more } else { added(rates, &more) };
    }
    if by_condition.is_empty() {
        return String::new();
    }
    let mut conditions: Vec<_> = by_condition.into_iter().collect();
    conditions.sort_by_key(|(_, (sum, _))| Reverse(*sum));
    let mut below: Option<Vec<Option<f64>>> = None;
    let mut series = Vec::new();
    for (at, (condition, (_, rates))) in conditions.into_iter().take(COLOURS).enumerate() {
        let top = below.as_ref().map_or_else(|| rates.clone(), |below| added(below, &rates));
        // Nothing is drawn where nothing failed.
        let drawn =
            top.iter().zip(&rates).map(|(top, rate)| top.filter(|_| rate.is_some_and(|rate| rate > 0.0)));
        let area = Series::area(condition, &format!("c{at}"), Unit::PerSecond, drawn.collect());
        series.push(Series { base: below.replace(top), said: Some(rates), ..area });
    }
    let plot = axis.draw("failures", &series, Scale::linear(values(&series)), None);
    section("Failures by condition", "Each second, one upon the other.", &plot)
}

/// The server's processor time and memory, of all that was watched; if that was several, processor time of each too.
pub(super) fn server(axis: &Axis) -> String {
    let all = axis.cores(stretch::server_cpu_us);
    if all.iter().all(Option::is_none) {
        return String::new();
    }
    let mut series = vec![Series::area("CPU, cores", "c0", Unit::Cores, all)];
    let names: BTreeSet<&String> = axis.points.iter().flat_map(|point| point.server.keys()).collect();
    if names.len() > 1 {
        for (name, colour) in names.into_iter().zip([1, 2, 3, 5, 6, 7]) {
            let cores = axis.cores(|before, point| {
                point.server.get(name)?.cpu_us.checked_sub(before.server.get(name)?.cpu_us)
            });
            series.push(Series::line(name, &format!("c{colour}"), Unit::Cores, cores));
        }
    }
    let memory =
        axis.each(|point| (!point.server.is_empty()).then(|| stretch::server_memory_bytes(point) as f64));
    series.push(Series::line("memory", "c4", Unit::Bytes, memory).on_the_right());
    section("Server", "Left: processors in use. Right: memory.", &processes(axis, "server", &series))
}

/// The generator's own, and its lag.
pub(super) fn generator(axis: &Axis) -> String {
    if axis.points.iter().all(|point| point.generators.is_empty()) {
        return String::new();
    }
    let lag = axis.each(|point| point.generators.values().map(|it| it.lag_max_us).max().map(|us| us as f64));
    let about = "Left: processors in use by all workers. Right: how much later than intended anything was done, at most. \
                 Where this is large, latencies are the generator's own.";
    let cores = axis.cores(|before, point| Some(stretch::generator_cpu_us(before, point)));
    let series = [
        Series::area("CPU, cores", "c0", Unit::Cores, cores),
        Series::line("lag", "c3", Unit::Micros, lag).on_the_right(),
    ];
    section("Generator", about, &processes(axis, "generator", &series))
}

/// Processors on the left; the last series on the right.
fn processes(axis: &Axis, id: &str, series: &[Series]) -> String {
    let right = series.last().map(|other| {
        let all = other.values.iter().flatten().copied();
        if other.unit == Unit::Bytes { Scale::bytes(all) } else { Scale::linear(all) }
    });
    axis.draw(id, series, Scale::linear(values(series)), right)
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> {
    series.iter().filter(|series| !series.right).flat_map(|series| series.values.iter().flatten().copied())
}

fn added(one: &[Option<f64>], other: &[Option<f64>]) -> Vec<Option<f64>> {
    one.iter().zip(other).map(|(one, other)| Some(one.unwrap_or(0.0) + other.unwrap_or(0.0))).collect()
}
