//! What is wrong with a file, and where.

use std::fmt;

/// Something in a file that cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named by who asked for it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Where in the file, for example `population[0].script[2].chat.body`; empty for the file as such.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for Problem {}

/// One of `known`, in words: the one that `wrong` resembles, or all.
pub(crate) fn one_of<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let nearest = known.iter().map(|name| (distance(wrong, name), *name)).min();
    match nearest {
        Some((far, name)) if far <= (wrong.chars().count() / 3).max(1) => format!("perhaps `{name}`"),
        _ if known.is_empty() => "nothing".to_owned(),
        _ => format!("one of {}", known.join(", ")),
    }
}

/// How many letters have to be changed, added, removed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let changed = above[j] + usize::from(a[i] != b[j]);
            let mut least = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_near() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("chta", "chat"), 1);
        assert_eq!(distance("chat", "chat"), 0);
        assert_eq!(distance("wieght", "weight"), 1);
        assert_eq!(distance("roster", "poster-set"), 5);
    }

    #[test]
    fn what_resembles_nothing_gets_all_names() {
        assert_eq!(one_of("wieght", ["name", "weight"]), "perhaps `weight`");
        assert_eq!(one_of("colour", ["weight", "name"]), "one of name, weight");
    }
}
