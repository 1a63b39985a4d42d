//! The record of a run: what reports, comparisons and goals are made from. It is written as JSON beside each report.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Spread, Verdict};

/// The form that records of this version have.
pub const FORM: u32 = 1;

/// A whole run, of one worker or merged from many.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The version of this form.
    pub form: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What the scenario is good for.
    pub about: String,
    /// With which it was run.
    pub parameters: BTreeMap<String, f64>,
    /// Who was loaded, as the operator called it.
    pub target: String,
    /// Milliseconds since 1970.
    pub started_unix_ms: u64,
    /// In their order.
    pub phases: Vec<PhaseSpan>,
    /// What was done to the server or to connections, for plots.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// One for each second since the start.
    pub seconds: Vec<Second>,
    /// By measure and phase.
    pub latencies: BTreeMap<String, BTreeMap<String, Spread>>,
    /// By name, of the whole run: `sent`, `bytes-in`, `failed.chat.service-unavailable`, …
    pub counts: BTreeMap<String, u64>,
    /// What became of every message.
    pub ledger: Verdict,
    /// The scenario's goals, and whether they were reached.
    pub goals: Vec<GoalOutcome>,
    /// Where the generator ran.
    pub machine: Machine,
    /// What the reader should know: the generator was the bottleneck, a figure is missing.
    pub warnings: Vec<String>,
}

/// When a phase was, in milliseconds since the run's start.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSpan {
    /// As the scenario calls it.
    pub name: String,
    /// Its first.
    pub from_ms: u64,
    /// The first that is not in it any more.
    pub to_ms: u64,
}

/// Something that was done at a moment of the run: a fault, a hook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// Since the run's start.
    pub at_ms: u64,
    /// In words: `kill edge`, `cut 10 %`.
    pub what: String,
}

/// What happened within one second.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Its end, in milliseconds since the run's start.
    pub at_ms: u64,
    /// The phase at its end.
    pub phase: String,
    /// Logged in at its end.
    pub sessions: u64,
    /// Counts of this second, by the names of [`Record::counts`].
    pub counts: BTreeMap<String, u64>,
    /// By measure: what completed in this second.
    pub latencies: BTreeMap<String, Spread>,
    /// Watched processes, by the operator's name for each.
    pub server: BTreeMap<String, ProcessSample>,
    /// By worker.
    pub generators: BTreeMap<String, Generator>,
}

/// A watched process at a second's end.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSample {
    /// User and system time since the process began, in microseconds.
    pub cpu_us: u64,
    /// Proportional set size; resident set size where the former cannot be had. Bytes.
    pub memory_bytes: u64,
}

/// A generator at a second's end.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Of its process, since it began, in microseconds.
    pub cpu_us: u64,
    /// As of [`ProcessSample::memory_bytes`].
    pub memory_bytes: u64,
    /// The longest that anything was done later than intended within this second, in microseconds.
    pub lag_max_us: u64,
}

/// Whether a goal was reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GoalOutcome {
    /// In words, `p99 of chat below 250 ms in steady`.
    pub goal: String,
    /// In words, `183 ms`.
    pub measured: String,
    /// Whether it holds.
    pub reached: bool,
}

/// Where the run was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Usable ones.
    pub cpus: u32,
    /// Of the first.
    pub cpu_model: String,
    /// In all.
    pub memory_bytes: u64,
    /// Its release.
    pub kernel: String,
    /// Of the harness.
    pub version: String,
}

impl Record {
    /// Adds what another worker of the same run has: everything but the ledger's verdict and the goals, which are of the whole.
    pub fn merge(&mut self, other: &Self) {
        for (at, second) in other.seconds.iter().enumerate() {
            match self.seconds.get_mut(at) {
                Some(own) => own.merge(second),
                None => self.seconds.push(second.clone()),
            }
        }
        for (measure, phases) in &other.latencies {
            let own = self.latencies.entry(measure.clone()).or_default();
            for (phase, spread) in phases {
                own.entry(phase.clone()).or_default().merge(spread);
            }
        }
        add(&mut self.counts, &other.counts);
        for mark in &other.marks {
            if !self.marks.contains(mark) {
                self.marks.push(mark.clone());
            }
        }
        for warning in &other.warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
    }

    /// Of one measure: what was intended in this phase, or in the whole run.
    pub fn spread(&self, measure: &str, phase: Option<&str>) -> Spread {
        let phases = self.latencies.get(measure).into_iter().flatten();
        let mut sum = Spread::default();
        for (_, spread) in phases.filter(|(name, _)| phase.is_none_or(|phase| phase == *name)) {
            sum.merge(spread);
        }
        sum
    }
}

impl Second {
    /// Adds what another worker has measured in the same second.
    pub fn merge(&mut self, other: &Self) {
        self.sessions += other.sessions;
        add(&mut self.counts, &other.counts);
        for (measure, spread) in &other.latencies {
            self.latencies.entry(measure.clone()).or_default().merge(spread);
        }
        self.server.extend(other.server.clone());
        self.generators.extend(other.generators.clone());
    }
}

fn add(sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (name, n) in more {
        *sums.entry(name.clone()).or_default() += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recorder;

    fn record_of(chats: u64) -> Record {
        let recorder = Recorder::new(vec![PhaseSpan { name: "all".to_owned(), from_ms: 0, to_ms: 2000 }]);
        let chat = recorder.measure("chat");
        let mut record = Record::default();
        for second in 1..=2 {
            (0..chats).for_each(|n| recorder.record(chat, 0, 1000 * n));
            recorder.count("sent", chats);
            record.seconds.push(recorder.cut(1000 * second));
        }
        (record.latencies, record.counts) = (recorder.latencies(), recorder.counts());
        record
    }

    #[test]
    fn records_of_two_workers_are_one() {
        let (mut here, there) = (record_of(3), record_of(4));
        here.merge(&there);
        assert_eq!((here.counts["sent"], here.seconds[1].counts["sent"]), (14, 7));
        assert_eq!((here.spread("chat", None).count, here.seconds[0].latencies["chat"].count), (14, 7));
        assert_eq!(here.spread("chat", Some("none")).count, 0);
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let record = record_of(2);
        let text = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
