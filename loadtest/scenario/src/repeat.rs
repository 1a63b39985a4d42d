//! Rounds: steps that are played again and again, and what decides when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Condition, Span, Step};

/// Steps that are played again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Repeat {
    /// This often; with neither `times`, `each` nor `until`: to the end of the last phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Until the phase of this name begins; `end` is the end of the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Asked after each round: if it does not hold, the round was the last.
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    pub while_holds: Option<Condition>,
    /// One round for each value that a variable has (a `keep` keeps all that it finds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// A variable that counts rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<Counter>,
    /// When the next round begins.
    #[serde(default)]
    pub pace: Pace,
    /// What is played.
    pub steps: Vec<Step>,
}

/// One round for each value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The variable that holds the round's value.
    pub name: String,
    /// The variable with all values.
    pub of: String,
}

/// A variable that counts rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// The variable.
    pub name: String,
    /// Its value in the first round.
    #[serde(default = "one")]
    pub from: i64,
    /// What each round adds.
    #[serde(default = "one")]
    pub by: i64,
}

/// What decides when the steps are played again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// Closed: as soon as they have been played, and what they measure has ended (a message delivered, an IQ
    /// answered).
    #[default]
    Closed,
    /// Closed, with this many under way.
    Window(u32),
    /// Open: at this distance, whatever became of the ones before. Latency counts from the intended time.
    Every(Span),
    /// Open: this many a second over the whole population, exponentially spaced. Latency counts from the intended
    /// time.
    Rate(f64),
}

fn one() -> i64 {
    1
}
