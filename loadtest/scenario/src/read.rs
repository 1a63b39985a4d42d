//! From a file to a [`Scenario`]: its form as TOML, its shape, its tables, and what only the whole can tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;

use crate::source::{Place, Source};
use crate::{Problem, Scenario, check, data, shape};

impl Scenario {
    /// Reads a scenario and the tables that it names. `overrides` are values of its parameters.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub fn read(path: &Path, overrides: &BTreeMap<String, f64>) -> Result<Self, Vec<Problem>> {
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => read(&text, &name, overrides, Some(path.parent().unwrap_or(Path::new("")))),
            Err(error) => {
                let mut source = Source::new(&name, "");
                source.refuse_at(0, format!("no text that can be read ({error})"), "a scenario's file");
                Err(source.problems())
            }
        }
    }

    /// Reads a scenario from a text; the files of its tables are left alone. `name` stands in what is found wrong.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub fn parse(text: &str, name: &str, overrides: &BTreeMap<String, f64>) -> Result<Self, Vec<Problem>> {
        read(text, name, overrides, None)
    }
}

fn read(
    text: &str,
    name: &str,
    overrides: &BTreeMap<String, f64>,
    folder: Option<&Path>,
) -> Result<Scenario, Vec<Problem>> {
    let mut source = Source::new(name, text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        source.refuse_at(error.span().map_or(0, |span| span.start), "no TOML", error.message());
    }
    if source.is_refused() {
        return Err(source.problems());
    }
    let value = shape::check(&tree, overrides, &mut source);
    if source.is_refused() {
        return Err(source.problems());
    }
    let mut scenario = match Scenario::deserialize(value) {
        Ok(scenario) => scenario,
        Err(error) => {
            source.refuse(&Place::default(), error.to_string(), "what the schema says");
            return Err(source.problems());
        }
    };
    if let Some(folder) = folder {
        data::load(&mut scenario.data, folder, &mut source);
    }
    check::check(&scenario, &mut source);
    if source.is_refused() { Err(source.problems()) } else { Ok(scenario) }
}
