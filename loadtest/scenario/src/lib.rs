//! What is played against a server: a scenario as a file.
//!
//! A scenario has accounts, phases in which sessions arrive, populations of sessions that each play a script, rules of the
//! ledger, and goals that decide how the run ends. [`Scenario`] exists only checked.

// Counts and sizes are far below 2^52, and signs are looked at before.
#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]

mod capture;
mod check;
mod condition;
mod data;
mod explain;
mod expression;
mod goal;
mod measures;
mod partner;
mod phase;
mod population;
mod problem;
mod read;
mod repeat;
mod schema;
mod shape;
mod source;
mod span;
mod step;
mod walk;

pub use capture::{Capture, Finder};
pub use condition::{Comparison, Condition};
pub use explain::{PhaseLoad, expected, explain};
pub use goal::{Goal, LedgerRules};
pub use measures::measures;
pub use partner::Partner;
pub use phase::{Arrive, Fault, FaultKind, Phase};
pub use population::{Management, Mechanism, OnLoss, Population, Transport};
pub use problem::Problem;
pub use repeat::{Counter, Each, Pace, Repeat};
pub use span::Span;
pub use step::{Step, Text, Value};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A whole scenario. Numbers and times of the file may be written as `"$name"` or `"$name * 2"`, from `parameters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// As it is called in reports, for example `p2p`.
    pub name: String,
    /// What it is good for, in a sentence.
    pub about: String,
    /// The numbers that may be set from outside, each with its default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, f64>,
    /// Whom it is played against, where the operator says nothing else.
    #[serde(default)]
    pub target: Target,
    /// Who logs in.
    pub accounts: Accounts,
    /// Tables of values, by name: `{name.column}` in a text takes the column of a row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, DataFile>,
    /// In the order in which they are played.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
    /// Sessions that are alike.
    #[serde(rename = "population")]
    pub populations: Vec<Population>,
    /// What is done to server and connections meanwhile.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What the ledger holds against a run.
    #[serde(default)]
    pub ledger: LedgerRules,
    /// What decides the exit code beside the ledger.
    #[serde(default, rename = "goal", skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Goal>,
}

impl Scenario {
    /// How long all phases last.
    pub fn lasts(&self) -> Duration {
        self.phases.iter().map(|phase| phase.lasts).sum()
    }

    /// The phase of a moment since the run's start; `None` after the last.
    pub fn phase_at(&self, elapsed: Duration) -> Option<&Phase> {
        let mut ends = Duration::ZERO;
        self.phases.iter().find(|phase| {
            ends += phase.lasts;
            elapsed < ends
        })
    }
}

/// Whom a scenario is played against, where the operator says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The domain of the accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `host:port`, or the address of a WebSocket or BOSH endpoint; sessions are spread over them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// Who logs in: accounts `first..first + count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// How many there are.
    pub count: u64,
    /// The number of the first.
    #[serde(default)]
    pub first: u64,
    /// A text in which `{n}` is the account's number, and `{table.column}` is of the row with that number, counted
    /// from `first` and from the beginning again after the last.
    #[serde(default = "default_username")]
    pub username: Text,
    /// As `username`.
    #[serde(default = "default_password")]
    pub password: Text,
}

/// A table of values: in a file, or written out as `columns` and `rows`. Once read, both are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Relative to the scenario's file. The names of the columns are in the first line, unless `columns` has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What is between the columns of a file.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// The names of the columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The rows, instead of a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Vec<String>>,
    /// Rows are taken by chance, not in turn.
    #[serde(default)]
    pub shuffled: bool,
}

fn default_username() -> Text {
    "user{n}".to_owned()
}

fn default_password() -> Text {
    "secret{n}".to_owned()
}

fn comma() -> char {
    ','
}
