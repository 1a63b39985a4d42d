//! What is wrong with a configuration, told so that it can be put right without reading code.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// An argument of the command.
    Argument(String),
    /// Nobody gave one.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Argument(name) => write!(f, "argument {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One mistake: `throng.toml:12: log.level: found "loud", expected one of error, warn, info, debug, trace`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key}: found {found}, expected {expected}")]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// `section.key`, or less where that is all there is.
    pub key: String,
    /// What was found there.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

/// The expectation in place of an unknown name: the nearest known one if it is near, else all of them.
pub(super) fn nearest<'a>(found: &str, what: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known.clone().map(|name| (distance(found, name), name)).min();
    match near {
        Some((steps, name)) if steps <= 2.max(found.len() / 3) => {
            format!("a known {what}; did you mean `{name}`?")
        }
        _ => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// How many letters must be added, dropped or changed to make `a` of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not() {
        let known = ["listen", "level", "format"];

        assert_eq!(nearest("levle", "key", known.into_iter()), "a known key; did you mean `level`?");
        assert_eq!(nearest("banana", "key", known.into_iter()), "one of listen, level, format");
    }
}
