//! What to know of a conversion, by line.

use std::fmt;

use crate::xml::Tag;

/// Something to know of a conversion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// In the `tsung.xml`, from 1; 0: the whole.
    pub line: usize,
    /// How much it matters.
    pub severity: Severity,
    /// In words.
    pub text: String,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The same is done in another way.
    Info,
    /// Something else is done, or something is left out.
    Warning,
    /// It cannot be converted.
    Error,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match self.line {
            0 => write!(f, "{severity}: {}", self.text),
            line => write!(f, "line {line}: {severity}: {}", self.text),
        }
    }
}

/// Notes as they come.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

impl Notes {
    pub(crate) fn info(&mut self, tag: Tag<'_, '_>, text: impl Into<String>) {
        self.add(tag.line(), Severity::Info, text.into());
    }

    pub(crate) fn warn(&mut self, tag: Tag<'_, '_>, text: impl Into<String>) {
        self.add(tag.line(), Severity::Warning, text.into());
    }

    pub(crate) fn error(&mut self, tag: Tag<'_, '_>, text: impl Into<String>) {
        self.add(tag.line(), Severity::Error, text.into());
    }

    /// What has been said of an earlier line is not said again, unless it is an error.
    pub(crate) fn add(&mut self, line: usize, severity: Severity, text: String) {
        let known = |note: &Note| note.text == text && note.severity == severity;
        if severity == Severity::Error || !self.0.iter().any(known) {
            self.0.push(Note { line, severity, text });
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|note| note.severity == Severity::Error)
    }

    pub(crate) fn sorted(mut self) -> Vec<Note> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}
