//! Conditions of steps, and what a step keeps of an answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Text;

/// Compares a text. Exactly one comparison is given; `above`, `below` and the like compare numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Condition {
    /// What is compared.
    pub of: Text,
    /// Equal to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Text>,
    /// Anything but this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_not: Option<Text>,
    /// A larger number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<Text>,
    /// This number or a larger one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Text>,
    /// A smaller number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Text>,
    /// This number or a smaller one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Text>,
    /// A regular expression finds something in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// A regular expression finds nothing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches_not: Option<String>,
}

/// What is kept of an answer: all that is found, of which `{name}` is the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// The first group of a regular expression, or the whole match where it has none.
    Regex(String),
    /// A path of elements and a last attribute: `/iq/query/item/@jid`, `//nonce`. Namespaces do not matter.
    Path(String),
}
