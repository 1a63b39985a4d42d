//! What may be given for an option.

use toml::Value;
use toml::de::DeValue;

use super::Opt;

/// What may be given for an option, and its default.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number {
        /// Without a value given.
        default: i64,
        /// The smallest allowed.
        min: i64,
        /// The largest allowed.
        max: i64,
        /// What is counted: `bytes`, `milliseconds`; empty if the name says it all.
        unit: &'static str,
    },
    /// Any text; the type that takes it may ask for more.
    Text {
        /// Without a value given; empty: unset.
        default: &'static str,
        /// What the text is.
        form: &'static str,
    },
    /// A list of texts.
    Texts {
        /// Without a value given.
        default: &'static [&'static str],
        /// What each text is.
        form: &'static str,
    },
    /// One of some words.
    Choice {
        /// Without a value given.
        default: &'static str,
        /// All of them.
        words: &'static [&'static str],
    },
    /// A list of tables with these keys.
    Tables(&'static [Opt]),
}

impl Kind {
    /// The default, `None` if the option is then unset.
    pub(super) fn default(&self) -> Option<Value> {
        match self {
            Self::Flag(value) => Some(Value::Boolean(*value)),
            Self::Number { default, .. } => Some(Value::Integer(*default)),
            Self::Text { default: "", .. } | Self::Tables(_) => None,
            Self::Text { default, .. } | Self::Choice { default, .. } => Some(Value::from(*default)),
            Self::Texts { default, .. } => {
                Some(Value::Array(default.iter().copied().map(Value::from).collect()))
            }
        }
    }

    /// In words, for people.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Flag(_) => "true or false".into(),
            Self::Number { min, max, unit: "", .. } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max, unit, .. } => format!("a whole number of {unit} from {min} to {max}"),
            Self::Text { form, .. } => format!("{form}, in quotes"),
            Self::Texts { form, .. } => format!("a list in brackets, each of it {form} in quotes"),
            Self::Choice { words, .. } => format!("one of {}", words.join(", ")),
            Self::Tables(_) => "a list of tables".into(),
        }
    }

    /// Whether a value may be given here; what tables contain is not looked at.
    pub(super) fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Flag(_), Value::Boolean(_)) | (Self::Text { .. }, Value::String(_)) => true,
            (Self::Number { min, max, .. }, Value::Integer(number)) => (*min..=*max).contains(number),
            (Self::Choice { words, .. }, Value::String(word)) => words.contains(&word.as_str()),
            (Self::Texts { .. }, Value::Array(list)) => list.iter().all(Value::is_str),
            (Self::Tables(_), Value::Array(list)) => list.iter().all(Value::is_table),
            _ => false,
        }
    }

    /// Reads what stands in an environment variable: as in the file, but quotes and brackets may be left out.
    pub(super) fn read_bare(&self, text: &str) -> Option<Value> {
        let parsed = || format!("x={text}").parse::<toml::Table>().ok()?.remove("x");
        let value = match self {
            Self::Text { .. } | Self::Choice { .. } => Value::from(text),
            Self::Texts { .. } if !text.trim_start().starts_with('[') => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(Value::from).collect())
            }
            _ => parsed()?,
        };
        self.allows(&value).then_some(value)
    }
}

/// A parsed value without its places.
pub(super) fn plain(value: DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(flag) => Value::Boolean(flag),
        DeValue::Datetime(time) => Value::Datetime(time),
        DeValue::Array(list) => {
            Value::Array(list.into_iter().map(|item| plain(item.into_inner())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            let entries = table.into_iter();
            let entries =
                entries.map(|(key, value)| Some((key.into_inner().into_owned(), plain(value.into_inner())?)));
            Value::Table(entries.collect::<Option<_>>()?)
        }
    })
}
