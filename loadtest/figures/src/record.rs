//! The record of a run: what reports, comparisons and goals are made from. It is written as JSON beside each report.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Spread, Verdict};

/// A whole run, of one worker or merged from many.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The version of this form.
    pub form: u32,
    pub scenario: String,
    pub about: String,
    pub parameters: BTreeMap<String, f64>,
    /// Who was loaded, as the operator called it.
    pub target: String,
    /// Milliseconds since 1970.
    pub started_unix_ms: u64,
    pub phases: Vec<PhaseSpan>,
    /// One for each second since the start.
    pub seconds: Vec<Second>,
    /// By measure and phase.
    pub latencies: BTreeMap<String, BTreeMap<String, Spread>>,
    /// By name, of the whole run: `sent`, `bytes-in`, `failed.chat.service-unavailable`, …
    pub counts: BTreeMap<String, u64>,
    pub ledger: Verdict,
    pub goals: Vec<GoalOutcome>,
    pub machine: Machine,
    /// What the reader should know: the generator was the bottleneck, a figure is missing.
    pub warnings: Vec<String>,
}

/// When a phase was, in milliseconds since the run's start.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSpan {
    pub name: String,
    pub from_ms: u64,
    pub to_ms: u64,
}

/// What happened within one second.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Its end, in milliseconds since the run's start.
    pub at_ms: u64,
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
    pub reached: bool,
}

/// Where the run was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    pub cpus: u32,
    pub cpu_model: String,
    pub memory_bytes: u64,
    pub kernel: String,
    /// Of the harness.
    pub version: String,
}
