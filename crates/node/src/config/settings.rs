//! The values of all options, and where each comes from.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::kind::plain;
use super::problem::nearest;
use super::{ENV_FILE, ENV_PREFIX, Opt, Origin, Problem, Section};

/// The values of all options of some sections.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) sections: &'static [Section],
    /// What was given, by section and key.
    given: BTreeMap<(&'static str, &'static str), (Value, Origin)>,
}

impl Settings {
    /// All defaults.
    pub fn new(sections: &'static [Section]) -> Self {
        Self { sections, given: BTreeMap::new() }
    }

    /// Takes what a file says; `path` is for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it; what is right has been taken.
    pub fn read(&mut self, path: &Path, text: &str) -> Result<(), Vec<Problem>> {
        let mut reader = Reader { path, text, problems: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => {
                for (name, value) in table.into_inner() {
                    self.read_section(&mut reader, &name, value);
                }
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                reader.refuse(at, "the file", error.message().replace('\n', "; "), "TOML 1.1");
            }
        }
        if reader.problems.is_empty() { Ok(()) } else { Err(reader.problems) }
    }

    fn read_section(
        &mut self,
        reader: &mut Reader,
        name: &Spanned<std::borrow::Cow<str>>,
        value: Spanned<DeValue>,
    ) {
        let (at, name) = (name.span().start, name.get_ref());
        let Some(section) = self.sections.iter().find(|section| section.name == name) else {
            let expected = nearest(name, "section", self.sections.iter().map(|section| section.name));
            return reader.refuse(at, name, "an unknown section", &expected);
        };
        let DeValue::Table(table) = value.into_inner() else {
            return reader.refuse(at, name, "a value", &format!("a section, [{name}]"));
        };
        for (key, value) in table {
            if let Some((option, value)) = reader.option(section.name, section.options, &key, value) {
                let origin = reader.origin(key.span().start);
                self.given.insert((section.name, option.name), (value, origin));
            }
        }
    }

    /// Takes what the environment says; variables that do not begin with [`ENV_PREFIX`] are somebody else's.
    ///
    /// # Errors
    /// Every variable that names no option or has a value that is not allowed.
    pub fn overlay(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(ENV_PREFIX).map(str::to_lowercase) else { continue };
            if variable == ENV_FILE || is_of_kubernetes(&variable) {
                continue;
            }
            let origin = Origin::Environment(variable);
            let Some((section, option)) = self.option(&name.replacen('_', ".", 1)) else {
                let names = self.sections.iter().flat_map(|section| {
                    section.options.iter().map(move |option| format!("{}_{}", section.name, option.name))
                });
                let names: Vec<String> = names.collect();
                let expected = nearest(&name, "section_key", names.iter().map(String::as_str));
                problems.push(Problem { origin, key: name, found: "an unknown option".into(), expected });
                continue;
            };
            if let Some(value) = option.kind.read_bare(&text) {
                self.given.insert((section, option.name), (value, origin));
            } else {
                let key = format!("{section}.{}", option.name);
                problems.push(Problem {
                    origin,
                    key,
                    found: format!("{text:?}"),
                    expected: option.kind.expected(),
                });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Gives a value in the name of an argument of the command.
    ///
    /// # Panics
    /// When no option is declared by this `section.key`, or its kind is another: a mistake in code.
    pub fn set(&mut self, argument: &str, key: &str, value: impl Into<Value>) {
        let (section, option) = self.option(key).expect("an option that is declared");
        let value = value.into();
        assert!(option.kind.allows(&value), "{key}: {value} is not {}", option.kind.expected());
        self.given.insert((section, option.name), (value, Origin::Argument(argument.into())));
    }

    /// The value of `section.key`, `None` if it is unset or an empty text.
    pub fn value(&self, key: &str) -> Option<Value> {
        let (section, option) = self.option(key)?;
        let given = self.given.get(&(section, option.name)).map(|(value, _)| value.clone());
        given.or_else(|| option.kind.default()).filter(|value| value.as_str() != Some(""))
    }

    /// Where the value of `section.key` comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.option(key)
            .and_then(|(section, option)| self.given.get(&(section, option.name)))
            .map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Says what is wrong with the value of `section.key`, for checks that a type alone cannot make.
    pub fn problem(&self, key: &str, found: impl Into<String>, expected: impl Into<String>) -> Problem {
        Problem { origin: self.origin(key), key: key.into(), found: found.into(), expected: expected.into() }
    }

    /// A section as the type of whoever it configures; options that are unset are left out.
    ///
    /// # Errors
    /// The value that the type refuses.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, Problem> {
        // One line an option, so that the line of an error tells which it was.
        let options =
            self.sections.iter().filter(|section| section.name == name).flat_map(|section| section.options);
        let lines: Vec<(String, String)> = options
            .filter_map(|option| {
                let key = format!("{name}.{}", option.name);
                let value = self.value(&key)?;
                Some((key, format!("{} = {value}\n", option.name)))
            })
            .collect();
        let text: String = lines.iter().map(|(_, line)| line.as_str()).collect();
        toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| line_of(&text, span.start) - 1);
            let key = lines.get(at).map_or(name, |(key, _)| key);
            let found = self.value(key).map_or_else(|| "nothing".into(), |value| value.to_string());
            let expected =
                self.option(key).map_or_else(|| "another value".into(), |(_, option)| option.kind.expected());
            self.problem(key, format!("{found} ({})", error.message().trim()), expected)
        })
    }

    fn option(&self, key: &str) -> Option<(&'static str, &'static Opt)> {
        let (section, name) = key.split_once('.')?;
        let section = self.sections.iter().find(|known| known.name == section)?;
        Some((section.name, section.options.iter().find(|option| option.name == name)?))
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// A key and its value, if they are those of one of these options.
    fn option(
        &mut self,
        section: &str,
        options: &'static [Opt],
        key: &Spanned<std::borrow::Cow<str>>,
        value: Spanned<DeValue>,
    ) -> Option<(&'static Opt, Value)> {
        let (at, name) = (key.span().start, key.get_ref());
        let Some(option) = options.iter().find(|option| option.name == name) else {
            let expected = nearest(name, "key", options.iter().map(|option| option.name));
            self.refuse(at, &format!("{section}.{name}"), "an unknown key", &expected);
            return None;
        };
        let full_name = format!("{section}.{name}");
        let (at, found) = (value.span().start, self.text[value.span()].to_owned());
        if let (super::Kind::Tables(fields), DeValue::Array(_)) = (&option.kind, value.get_ref()) {
            let tables = self.tables(&full_name, fields, value)?;
            return Some((option, tables));
        }
        let value = plain(value.into_inner()).filter(|value| option.kind.allows(value));
        if value.is_none() {
            let first_line = found.lines().next().unwrap_or_default();
            self.refuse(at, &full_name, first_line, &option.kind.expected());
        }
        Some((option, value?))
    }

    fn tables(&mut self, key: &str, fields: &'static [Opt], list: Spanned<DeValue>) -> Option<Value> {
        let DeValue::Array(list) = list.into_inner() else { return None };
        let problems_before = self.problems.len();
        let mut tables = Vec::new();
        for item in list {
            let at = item.span().start;
            let DeValue::Table(table) = item.into_inner() else {
                self.refuse(at, key, "a value", "a table");
                continue;
            };
            let entries = table.into_iter();
            let table: toml::Table = entries
                .filter_map(|(field, value)| self.option(key, fields, &field, value))
                .map(|(option, value)| (option.name.to_owned(), value))
                .collect();
            tables.push(Value::Table(table));
        }
        (self.problems.len() == problems_before).then_some(Value::Array(tables))
    }

    fn refuse(&mut self, at: usize, key: &str, found: impl Into<String>, expected: &str) {
        let origin = self.origin(at);
        self.problems.push(Problem {
            origin,
            key: key.into(),
            found: found.into(),
            expected: expected.into(),
        });
    }

    fn origin(&self, at: usize) -> Origin {
        Origin::File(self.path.to_path_buf(), line_of(self.text, at))
    }
}

/// Whether a variable is one of those by which Kubernetes tells every pod where the service `throng` is.
fn is_of_kubernetes(variable: &str) -> bool {
    variable.contains("_SERVICE_") || variable.contains("_PORT_") || variable.ends_with("_PORT")
}

/// The line of a byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}
