//! Times of a scenario: `500ms`, `10s`, `2m`, `1h`; `1s..3s` is evenly spread, `~2s` exponentially with that mean.
//! A bare number is seconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a time looks like, for people.
pub(crate) const TIME_FORM: &str = "a time such as 500ms, 10s, 1.5m, 2h";
/// What a span looks like, for people.
pub(crate) const SPAN_FORM: &str =
    "a time such as 2s, 1s..3s (evenly spread), ~2s (exponential with that mean)";

/// Longest units first, so that `ms` is not read as `m`.
const UNITS: [(&str, f64); 5] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
/// A year: what is longer is a slip of the pen, and would overflow sums.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// How long something takes, fixed or by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Span {
    /// Always this long.
    Fixed(Duration),
    /// Evenly between both, `1s..3s`.
    Between(Duration, Duration),
    /// Exponentially distributed with this mean, `~2s`: what independent people do.
    About(Duration),
}

impl Span {
    /// What it is on average.
    pub fn mean(self) -> Duration {
        match self {
            Self::Fixed(time) | Self::About(time) => time,
            Self::Between(low, high) => (low + high) / 2,
        }
    }
}

impl Default for Span {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(mean) = text.strip_prefix('~') {
            return parse_time(mean).map(Self::About);
        }
        let Some((low, high)) = text.split_once("..") else {
            return parse_time(text).map(Self::Fixed).map_err(|_| SPAN_FORM.to_owned());
        };
        let (low, high) = (parse_time(low)?, parse_time(high)?);
        if low > high { Err(format!("{SPAN_FORM}, the shorter first")) } else { Ok(Self::Between(low, high)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(time) => f.write_str(&write_time(*time)),
            Self::Between(low, high) => write!(f, "{}..{}", write_time(*low), write_time(*high)),
            Self::About(mean) => write!(f, "~{}", write_time(*mean)),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => seconds_to_time(seconds).map(Self::Fixed),
            Written::Text(text) => text.parse(),
        }
        .map_err(|expected| de::Error::custom(format_args!("expected {expected}")))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "2s, 1s..3s (evenly spread) or ~2s (exponential with that mean); a number is seconds.",
            "type": ["string", "number"],
            "format": "span",
        })
    }
}

/// A fixed time as the schema knows it; Rust has it as a [`Duration`].
pub(crate) struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time such as 500us, 500ms, 10s, 1.5m, 2h; a number is seconds.",
            "type": ["string", "number"],
            "format": "time",
        })
    }
}

/// A [`Duration`] in a file, for `#[serde(with)]`.
pub(crate) mod time {
    use super::{Deserialize, Deserializer, Duration, Serializer, Written, de, write_time};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_time(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let written = Written::deserialize(deserializer)?;
        written.time().map_err(|expected| de::Error::custom(format_args!("expected {expected}")))
    }
}

/// A [`Duration`] that may be absent.
pub(crate) mod maybe_time {
    use super::{Deserialize, Deserializer, Duration, Serializer, Written, de, write_time};

    // The reference is serde's, which hands a field over as it is.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&write_time(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let written = Option::<Written>::deserialize(deserializer)?;
        let time = written.map(|written| written.time()).transpose();
        time.map_err(|expected| de::Error::custom(format_args!("expected {expected}")))
    }
}

/// Many [`Duration`]s.
pub(crate) mod times {
    use super::{Deserialize, Deserializer, Duration, Serializer, Written, de, write_time};

    pub(crate) fn serialize<S: Serializer>(times: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(times.iter().map(|time| write_time(*time)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
        let written = Vec::<Written>::deserialize(deserializer)?;
        let times: Result<_, _> = written.iter().map(Written::time).collect();
        times.map_err(|expected: String| de::Error::custom(format_args!("expected {expected}")))
    }
}

/// A time as it stands in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Seconds(f64),
    Text(String),
}

impl Written {
    fn time(&self) -> Result<Duration, String> {
        match self {
            Self::Seconds(seconds) => seconds_to_time(*seconds),
            Self::Text(text) => parse_time(text),
        }
    }
}

/// Reads `10s`; the error says what was expected.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or(TIME_FORM)?;
    let number = text[..text.len() - unit.0.len()].trim_end();
    seconds_to_time(number.parse::<f64>().map_err(|_| TIME_FORM)? * unit.1)
}

fn seconds_to_time(seconds: f64) -> Result<Duration, String> {
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        // Whole nanoseconds, so that 0.1 is what it says.
        Ok(Duration::from_nanos((seconds * 1e9).round() as u64))
    } else {
        Err(format!("{TIME_FORM}, a year at most"))
    }
}

/// In the largest unit in which it is a whole number.
pub(crate) fn write_time(time: Duration) -> String {
    let nanos = time.as_nanos();
    let units = [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)];
    match units.iter().find(|(_, size)| nanos >= *size && nanos.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", nanos / size),
        None if nanos == 0 => "0s".to_owned(),
        None => format!("{}us", nanos as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for text in ["0s", "500us", "1.5us", "20ms", "90s", "2m", "1h", "1s..3s", "~2s"] {
            assert_eq!(text.parse::<Span>().map(|span| span.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("1.5m".parse(), Ok(Span::Fixed(Duration::from_secs(90))));
        assert_eq!("1 s .. 3 s".parse::<Span>().map(Span::mean), Ok(Duration::from_secs(2)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "s", "10", "-1s", "3s..1s", "~", "1d", "1s..", "NaNs", "inf s", "1e9h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
