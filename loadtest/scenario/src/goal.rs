//! What a run must reach: the ledger's rules and the goals. They decide the exit code.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::{Time, maybe_time, time, write_time};

/// A bound of a figure. Exactly one of the bounds is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Goal {
    /// A measure (`chat`, `login`, …).
    pub of: String,
    /// Only what was intended in this phase; else in the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// 0 to 100, for `below`.
    #[serde(default = "median")]
    pub percentile: f64,
    /// That percentile's upper bound.
    #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub below: Option<Duration>,
    /// Completions a second, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_at_least: Option<f64>,
    /// Share of failures among attempts, 0 to 1, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_at_most: Option<f64>,
    /// The watched processes' CPU time for each completion, at most.
    #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub cpu_at_most: Option<Duration>,
}

/// In words: `p99 of chat below 250ms in steady`.
impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = &self.of;
        if let Some(bound) = self.below {
            write!(f, "p{} of {of} below {}", self.percentile, write_time(bound))?;
        } else if let Some(rate) = self.rate_at_least {
            write!(f, "at least {rate} {of} a second")?;
        } else if self.failures_at_most == Some(0.0) {
            write!(f, "no {of} fails")?;
        } else if let Some(share) = self.failures_at_most {
            write!(f, "at most {} % of {of} fail", share * 100.0)?;
        } else if let Some(time) = self.cpu_at_most {
            write!(f, "at most {} of the server's CPU for each {of}", write_time(time))?;
        }
        self.phase.as_ref().map_or(Ok(()), |phase| write!(f, " in {phase}"))
    }
}

/// What the ledger holds against a run. Lost, doubled and reordered messages always do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LedgerRules {
    /// A message that takes longer is delayed: named, and counted.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub delayed_after: Duration,
    /// Delayed messages at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delayed_max: Option<u64>,
    /// Messages of which the server has said that it did not take them, or nothing at all before the connection
    /// was lost: at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_max: Option<u64>,
    /// At the end, how long what is under way may still take.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub settle: Duration,
    /// Reads every archive at the end, and compares it with what was delivered.
    pub archive: bool,
}

impl Default for LedgerRules {
    fn default() -> Self {
        Self {
            delayed_after: Duration::from_secs(5),
            delayed_max: None,
            unknown_max: None,
            settle: Duration::from_secs(10),
            archive: false,
        }
    }
}

fn median() -> f64 {
    50.0
}
