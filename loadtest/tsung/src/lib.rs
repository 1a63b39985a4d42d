//! Tsung's XMPP scenarios as scenarios of this harness.
//!
//! [`convert`] reads a `tsung.xml`, says by line what becomes something else and what cannot be converted, and writes the
//! scenario as TOML, which people go on with. What is meant by which element is that of Tsung 1.8's documentation.

mod control;
mod load;
mod names;
mod notes;
mod options;
mod request;
mod session;
mod toml;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roxmltree::{Document, ParsingOptions};
use scenario::{Accounts, LedgerRules, Population, Scenario, Target, expected};

pub use notes::{Note, Severity};

use notes::Notes;
use options::Options;
use xml::Tag;

/// Elements and texts of a file.
const NODES_MAX: u32 = 1_000_000;

/// A scenario, and what to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The scenario as a file, the notes on top.
    pub toml: String,
    /// What has become something else, by line.
    pub notes: Vec<Note>,
}

/// Converts a `tsung.xml`. `name` is the scenario's, with or without the ending of the file.
///
/// # Errors
/// All notes, if at least one of them is an error: something in the file cannot be converted.
pub fn convert(xml: &str, name: &str) -> Result<Converted, Vec<Note>> {
    let name = name.trim_end_matches(".in").trim_end_matches(".xml");
    let mut notes = Notes::default();
    let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(xml, options) {
        Ok(document) => document,
        Err(error) => {
            notes.add(error.pos().row as usize, Severity::Error, format!("no XML: {error}"));
            return Err(notes.sorted());
        }
    };
    let root = Tag::new(document.root_element());
    if root.name() != "tsung" {
        notes.error(root, format!("<{}> is not <tsung>", root.name()));
        return Err(notes.sorted());
    }
    let scenario = scenario(root, name, &mut notes);
    if notes.has_errors() {
        return Err(notes.sorted());
    }
    note_crowd(&scenario, &mut notes);
    let body = toml::write(&scenario);
    // Whatever has been overlooked must not reach a run.
    if let Err(problems) = Scenario::parse(&body, name, &BTreeMap::new()) {
        for problem in problems {
            notes.add(0, Severity::Error, format!("cannot be played: {problem}"));
        }
        return Err(notes.sorted());
    }
    let notes = notes.sorted();
    let mut toml = format!("# Converted from Tsung's {name}.xml.\n");
    for note in &notes {
        toml.extend(["# ", &note.to_string().replace('\n', " "), "\n"]);
    }
    toml.push_str(&body);
    Ok(Converted { toml, notes })
}

fn scenario(root: Tag<'_, '_>, name: &str, notes: &mut Notes) -> Scenario {
    let options = Options::read(root, notes);
    let populations = populations(root, &options, notes);
    let used = used_tables(&populations, &options);
    let longest = populations.iter().map(|population| session::lasts(&population.script)).max();
    let mut populations = populations;
    let phases = load::phases(root, longest.unwrap_or(Duration::ZERO), &mut populations, notes);
    let data = options.tables.borrow();
    let data = data.iter().filter(|(name, _)| used.contains(*name));
    Scenario {
        name: name.to_owned(),
        about: about(root, name),
        parameters: BTreeMap::new(),
        target: target(root, &options),
        accounts: Accounts {
            count: options.accounts,
            first: 1,
            username: options.username(),
            password: options.password(),
        },
        data: data.map(|(name, table)| (name.clone(), table.clone())).collect(),
        phases,
        populations,
        faults: Vec::new(),
        ledger: LedgerRules::default(),
        goals: Vec::new(),
    }
}

/// Says so if there are more sessions at a time than accounts.
fn note_crowd(scenario: &Scenario, notes: &mut Notes) {
    let most = expected(scenario).iter().map(|load| load.sessions).fold(0.0, f64::max).round();
    let count = u32::try_from(scenario.accounts.count).unwrap_or(u32::MAX);
    if most > f64::from(count) {
        let text = format!(
            "{most} sessions at a time for {count} accounts (`userid_max`): the others fail, as in Tsung"
        );
        notes.add(0, Severity::Warning, text);
    }
}

fn populations(root: Tag<'_, '_>, options: &Options, notes: &mut Notes) -> Vec<Population> {
    let transport = options::transport(root, notes);
    let Some(sessions) = root.child("sessions") else {
        notes.error(root, "there are no <sessions>");
        return Vec::new();
    };
    sessions.children().map(|it| session::population(it, transport, options, notes)).collect()
}

/// The tables that something takes values from.
fn used_tables(populations: &[Population], options: &Options) -> BTreeSet<String> {
    let texts = format!("{populations:?} {} {}", options.username(), options.password());
    let tables = options.tables.borrow();
    let used = tables.keys().filter(|name| {
        texts.contains(&format!("{{{name}.")) || texts.contains(&format!("NextRow(\"{name}\")"))
    });
    used.cloned().collect()
}

fn target(root: Tag<'_, '_>, options: &Options) -> Target {
    Target { domain: Some(options.domain.clone()), addresses: options::addresses(root, options) }
}

fn about(root: Tag<'_, '_>, name: &str) -> String {
    let information = root.child("information");
    let description = information.and_then(|it| it.child("description")).map(Tag::text);
    description
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| format!("Converted from Tsung's {name}.xml"))
}
