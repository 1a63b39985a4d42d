//! Phases: for how long sessions arrive, how fast; and what is done to the server and to connections meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::{Time, maybe_time, time};

/// A stretch of the run with a name of its own in every figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Phase {
    /// As figures and steps call it. `end` is taken: it is the end of the last.
    pub name: String,
    /// How long it lasts.
    #[serde(rename = "for", with = "time")]
    #[schemars(with = "Time")]
    pub lasts: Duration,
    /// How sessions come in.
    #[serde(default)]
    pub arrive: Arrive,
    /// So many come at most; the rest of the phase nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_max: Option<u64>,
    /// Weights of populations in this phase, instead of their own. A population that is not named does not come.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
}

/// How sessions come in during a phase. Populations share arrivals by their weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arrive {
    /// Nobody comes: those who are there go on.
    #[default]
    Nobody,
    /// This many sessions a second, exponentially spaced.
    Rate(f64),
    /// From one rate to another, linearly over the phase.
    Ramp {
        /// Sessions a second at the phase's beginning.
        from: f64,
        /// Sessions a second at its end.
        to: f64,
    },
    /// All of these at once.
    Burst(u64),
    /// All sessions that are logged in lose their connection at once, and come back as their `on-loss` says.
    Storm,
}

impl Phase {
    /// How many sessions come on average, within `elapsed` of this phase.
    pub fn arrivals_within(&self, elapsed: Duration) -> f64 {
        let seconds = elapsed.min(self.lasts).as_secs_f64();
        let come = match self.arrive {
            Arrive::Nobody | Arrive::Storm => 0.0,
            Arrive::Rate(rate) => rate * seconds,
            Arrive::Ramp { from, to } => {
                let whole = self.lasts.as_secs_f64().max(f64::MIN_POSITIVE);
                from * seconds + (to - from) * seconds * seconds / (2.0 * whole)
            }
            Arrive::Burst(sessions) => sessions as f64,
        };
        self.sessions_max.map_or(come, |max| come.min(max as f64))
    }
}

/// Something done at a moment of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Since the run's start.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Duration,
    /// Again and again at this distance, until the last phase ends.
    #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub every: Option<Duration>,
    /// In a file: `do.kill = "edge"`.
    #[serde(rename = "do")]
    pub kind: FaultKind,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Runs the command that the operator gave by this name (`--hook NAME=COMMAND`).
    Hook(String),
    /// Sends SIGKILL to the watched process of this name (`--watch NAME=PID`).
    Kill(String),
    /// Cuts this share of the generator's connections, without a word, 0 to 1.
    Cut(f64),
}
