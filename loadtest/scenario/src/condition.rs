//! Conditions of steps.

use regex::Regex;
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

/// How a [`Condition`] compares.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// Equal texts.
    Is,
    /// Different texts.
    IsNot,
    /// A larger number.
    Above,
    /// This number or a larger one.
    AtLeast,
    /// A smaller number.
    Below,
    /// This number or a smaller one.
    AtMost,
    /// The expression finds something.
    Matches(Regex),
    /// The expression finds nothing.
    MatchesNot(Regex),
}

impl Comparison {
    /// Whether `value` compares with `other`, both with their gaps filled; an expression has no use for `other`. What
    /// is no number is neither larger nor smaller than anything.
    pub fn holds(&self, value: &str, other: &str) -> bool {
        let numbers = || Some((value.trim().parse::<f64>().ok()?, other.trim().parse::<f64>().ok()?));
        let compare = |by: fn(f64, f64) -> bool| numbers().is_some_and(|(value, other)| by(value, other));
        match self {
            Self::Is => value == other,
            Self::IsNot => value != other,
            Self::Above => compare(|value, other| value > other),
            Self::AtLeast => compare(|value, other| value >= other),
            Self::Below => compare(|value, other| value < other),
            Self::AtMost => compare(|value, other| value <= other),
            Self::Matches(expression) => expression.is_match(value),
            Self::MatchesNot(expression) => !expression.is_match(value),
        }
    }
}

impl Condition {
    /// How it compares, and with what. `None`: not with exactly one comparison, or its expression is none, which
    /// checked scenarios do not have.
    pub fn comparison(&self) -> Option<(Comparison, &str)> {
        self.compile().ok()
    }

    /// As [`Condition::comparison`]; the error says what was found and what was expected.
    pub(crate) fn compile(&self) -> Result<(Comparison, &str), (String, String)> {
        let texts = [
            (Comparison::Is, &self.is),
            (Comparison::IsNot, &self.is_not),
            (Comparison::Above, &self.above),
            (Comparison::AtLeast, &self.at_least),
            (Comparison::Below, &self.below),
            (Comparison::AtMost, &self.at_most),
        ];
        let texts = texts.into_iter().filter_map(|(how, text)| Some(Ok((how, text.as_deref()?))));
        let expressions = [(false, &self.matches), (true, &self.matches_not)];
        let expressions = expressions.into_iter().filter_map(|(not, text)| {
            let text = text.as_deref()?;
            let bad =
                |error: regex::Error| (format!("\"{text}\""), format!("a regular expression ({error})"));
            let how = if not { Comparison::MatchesNot } else { Comparison::Matches };
            Some(Regex::new(text).map_err(bad).map(|expression| (how(expression), "")))
        });
        let mut given: Vec<_> = texts.chain(expressions).collect();
        match (given.pop(), given.len()) {
            (Some(comparison), 0) => comparison,
            (last, others) => Err((
                format!("{} comparisons", others + usize::from(last.is_some())),
                "exactly one of is, is-not, above, at-least, below, at-most, matches, matches-not".to_owned(),
            )),
        }
    }

    /// Its texts, each with its key.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let others = [
            ("is", &self.is),
            ("is-not", &self.is_not),
            ("above", &self.above),
            ("at-least", &self.at_least),
            ("below", &self.below),
            ("at-most", &self.at_most),
        ];
        let others = others.into_iter().filter_map(|(key, text)| Some((key, text.as_deref()?)));
        std::iter::once(("of", self.of.as_str())).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_compare() {
        let above = Condition { of: "{i}".to_owned(), above: Some("9".to_owned()), ..Condition::default() };
        let (comparison, other) = above.comparison().unwrap();
        assert!(
            comparison.holds("10", other) && !comparison.holds("9", other) && !comparison.holds("x", other)
        );

        let matches = Condition { matches: Some("type='error'".to_owned()), ..Condition::default() };
        let (comparison, _) = matches.comparison().unwrap();
        assert!(comparison.holds("<iq type='error'/>", "") && !comparison.holds("<iq/>", ""));
    }

    #[test]
    fn exactly_one_comparison_is_given() {
        let text = || Some("1".to_owned());
        assert!(Condition::default().comparison().is_none());
        assert!(Condition { is: text(), below: text(), ..Condition::default() }.comparison().is_none());
        assert!(Condition { matches: Some("(".to_owned()), ..Condition::default() }.comparison().is_none());
    }
}
