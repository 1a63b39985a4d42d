//! A stretch of a run, a phase or the whole: what was done in it and what that cost.

use std::collections::BTreeMap;

use figures::{Record, Second, Spread};

/// Sums over seconds.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    pub(crate) lasted_ms: u64,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Of all watched processes; `None` if none was watched.
    pub(crate) server_cpu_us: Option<u64>,
    pub(crate) server_memory_bytes_max: u64,
    pub(crate) generator_cpu_us: u64,
}

impl Stretch {
    /// The seconds of this phase, or of the whole run.
    pub(crate) fn of(record: &Record, phase: Option<&str>) -> Self {
        let mut stretch = Self::default();
        let none = Second::default();
        let mut before = &none;
        for second in &record.seconds {
            if phase.is_none_or(|phase| phase == second.phase) {
                stretch.add(before, second);
            }
            before = second;
        }
        stretch
    }

    fn add(&mut self, before: &Second, second: &Second) {
        self.lasted_ms += second.at_ms.saturating_sub(before.at_ms);
        for (name, n) in &second.counts {
            *self.counts.entry(name.clone()).or_default() += n;
        }
        if let Some(cpu_us) = server_cpu_us(before, second) {
            *self.server_cpu_us.get_or_insert(0) += cpu_us;
        }
        self.server_memory_bytes_max = self.server_memory_bytes_max.max(server_memory_bytes(second));
        self.generator_cpu_us += generator_cpu_us(before, second);
    }

    pub(crate) fn rate(&self, n: u64) -> f64 {
        n as f64 * 1000.0 / self.lasted_ms.max(1) as f64
    }

    /// Units of work: deliveries; where nothing is delivered, what was completed.
    pub(crate) fn work(&self, completed: u64) -> u64 {
        self.counts.get("delivered").copied().filter(|&n| n > 0).unwrap_or(completed)
    }

    /// Failures of one measure, or of all.
    pub(crate) fn failures(&self, measure: Option<&str>) -> u64 {
        let of = |name: &str| {
            failure(name).is_some_and(|(failed, _)| measure.is_none_or(|measure| measure == failed))
        };
        self.counts.iter().filter(|(name, _)| of(name)).map(|(_, n)| n).sum()
    }
}

/// The measure and the condition of a count that is called `failed.<measure>.<condition>`. A measure may have points in it.
pub(crate) fn failure(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("failed.")?.rsplit_once('.')
}

/// What the watched processes used between both; `None` if none was there in both.
pub(crate) fn server_cpu_us(before: &Second, second: &Second) -> Option<u64> {
    let used = second
        .server
        .iter()
        .filter_map(|(name, sample)| sample.cpu_us.checked_sub(before.server.get(name)?.cpu_us));
    used.reduce(|sum, more| sum + more)
}

pub(crate) fn server_memory_bytes(second: &Second) -> u64 {
    second.server.values().map(|sample| sample.memory_bytes).sum()
}

/// What all generators used between both.
pub(crate) fn generator_cpu_us(before: &Second, second: &Second) -> u64 {
    let used = second
        .generators
        .iter()
        .filter_map(|(name, sample)| sample.cpu_us.checked_sub(before.generators.get(name)?.cpu_us));
    used.sum()
}

/// The measures of a run, the one that most was done of first; times to connect and log in last.
pub(crate) fn measures(record: &Record) -> Vec<(&str, Spread)> {
    const SETUP: [&str; 6] = ["connect", "tls", "auth", "bind", "login", "register"];
    let mut measures: Vec<(&str, Spread)> =
        record.latencies.keys().map(|name| (name.as_str(), record.spread(name, None))).collect();
    measures.retain(|(_, spread)| spread.count > 0);
    measures.sort_by_key(|(name, spread)| (SETUP.contains(name), std::cmp::Reverse(spread.count)));
    // What people ask for first.
    if let Some(at) = measures.iter().position(|(name, _)| *name == "chat") {
        measures[..=at].rotate_right(1);
    }
    measures
}
