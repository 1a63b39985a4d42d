//! A file that is read: where in it everything stands, and what is wrong with it so far.

use std::collections::BTreeMap;
use std::fmt;

use crate::problem::Problem;

/// Where a value stands: its keys from the top.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Key(String),
    Item(usize),
}

impl Place {
    /// The value of a key in this table.
    pub(crate) fn key(&self, name: &str) -> Self {
        self.with(Part::Key(name.to_owned()))
    }

    /// An item of this list, from 0.
    pub(crate) fn item(&self, at: usize) -> Self {
        self.with(Part::Item(at))
    }

    fn with(&self, part: Part) -> Self {
        Self(self.0.iter().cloned().chain([part]).collect())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Key(name) if at > 0 => write!(f, ".{name}")?,
                Part::Key(name) => f.write_str(name)?,
                Part::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// A file that is read.
pub(crate) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// Offsets in bytes.
    places: BTreeMap<Place, usize>,
    problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, places: BTreeMap::new(), problems: Vec::new() }
    }

    /// Notes at which byte a value stands, unless that is known.
    pub(crate) fn remember(&mut self, place: &Place, offset: usize) {
        self.places.entry(place.clone()).or_insert(offset);
    }

    /// Something is wrong with what stands there.
    pub(crate) fn refuse(&mut self, place: &Place, found: impl Into<String>, expected: impl Into<String>) {
        let offset = self.offset(place);
        self.problem(offset, place.to_string(), found.into(), expected.into());
    }

    /// Something is wrong at this byte, whatever it belongs to.
    pub(crate) fn refuse_at(&mut self, offset: usize, found: impl Into<String>, expected: impl Into<String>) {
        self.problem(offset, String::new(), found.into(), expected.into());
    }

    /// Whether something is wrong so far.
    pub(crate) fn is_refused(&self) -> bool {
        !self.problems.is_empty()
    }

    /// All that is wrong, from the top.
    pub(crate) fn problems(mut self) -> Vec<Problem> {
        self.problems.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        self.problems.dedup();
        self.problems
    }

    /// Where it stands, or what it would stand in.
    fn offset(&self, place: &Place) -> usize {
        let outwards = (0..=place.0.len()).rev().map(|length| Place(place.0[..length].to_vec()));
        outwards.into_iter().find_map(|place| self.places.get(&place).copied()).unwrap_or(0)
    }

    fn problem(&mut self, offset: usize, key: String, found: String, expected: String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        self.problems.push(Problem { file: self.name.to_owned(), line, key, found, expected });
    }
}
