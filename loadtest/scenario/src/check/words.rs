//! Texts: that what stands in braces is known. Braces around anything but a name are left alone, as payloads have them.

use std::collections::BTreeSet;

use super::Check;
use crate::problem::one_of;
use crate::source::Place;
use crate::{Population, Scenario, Step};

/// What every session knows.
const OF_SESSIONS: [&str; 8] = ["n", "domain", "username", "jid", "partner", "seq", "now", "uuid"];
/// What a `raw` leaves behind.
const ANSWER: &str = "answer";

impl Check<'_, '_> {
    /// Every name in a text's braces is one of `known`, or a column.
    pub(super) fn words(&mut self, place: &Place, text: &str, known: &BTreeSet<String>) {
        for name in names(text) {
            let found = format!("{{{name}}}");
            match name
                .split_once('.')
                .and_then(|(table, column)| Some((self.scenario.data.get(table)?, column)))
            {
                // The columns of a file that has not been read are not known.
                Some((table, column)) => {
                    if !table.columns.is_empty() && !table.columns.iter().any(|it| it == column) {
                        self.refuse(place, found, one_of(column, table.columns.iter().map(String::as_str)));
                    }
                }
                None if known.contains(name) => {}
                None => {
                    let tables = self.scenario.data.keys().map(|table| format!("{table}.…"));
                    let all: Vec<String> = known.iter().cloned().chain(tables).collect();
                    self.refuse(place, found, one_of(name, all.iter().map(String::as_str)));
                }
            }
        }
    }
}

/// The names in a text's braces.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).filter(is_name)
}

/// What may stand in the braces of an account's name and password.
pub(super) fn of_accounts(scenario: &Scenario) -> BTreeSet<String> {
    let known = ["n", "domain"].into_iter().map(str::to_owned);
    known.chain(scenario.parameters.keys().cloned()).collect()
}

/// What may stand in the braces of a population's texts.
pub(super) fn of_population(scenario: &Scenario, population: &Population) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = OF_SESSIONS.into_iter().chain([ANSWER]).map(str::to_owned).collect();
    known.extend(scenario.parameters.keys().cloned());
    known.extend(population.values.keys().cloned());
    known.extend(variables(population));
    known
}

/// The variables that the script sets.
pub(super) fn variables(population: &Population) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for step in population.steps() {
        match step {
            Step::Set { name, .. } => known.extend([name.clone()]),
            Step::Raw { keep, expect, .. } => {
                known.extend(keep.keys().cloned());
                known.extend(expect.iter().flat_map(|expect| names(expect)).map(str::to_owned));
            }
            Step::Repeat(repeat) => {
                known.extend(repeat.counter.iter().map(|counter| counter.name.clone()));
                known.extend(repeat.each.iter().map(|each| each.name.clone()));
            }
            _ => {}
        }
    }
    known
}

/// The name of a variable, as braces take it.
pub(super) fn is_variable(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    letters && !name.is_empty() && !OF_SESSIONS.contains(&name) && name != ANSWER
}

/// A step's texts, each with its key.
pub(super) fn texts(step: &Step) -> Vec<(&'static str, &str)> {
    let some = |key, text: &'_ Option<String>| text.as_ref().map(|_| key);
    let mut found: Vec<(&'static str, &str)> = match step {
        Step::RosterSet { jid, .. } | Step::RosterRemove { jid } => vec![("jid", jid)],
        Step::Join { room, .. } | Step::Say { room, .. } | Step::Leave { room } => vec![("room", room)],
        Step::CreateNode { service, node }
        | Step::Subscribe { service, node }
        | Step::Unsubscribe { service, node }
        | Step::Publish { service, node, .. } => vec![("service", service), ("node", node)],
        Step::Raw { xml, .. } => vec![("xml", xml)],
        Step::Set { to: crate::Value::Text(text), .. } => vec![("to", text)],
        _ => Vec::new(),
    };
    let optional: &[(&'static str, &Option<String>)] = match step {
        Step::Chat { text, .. } => &[("text", text)],
        Step::Presence { show, status, .. } => &[("show", show), ("status", status)],
        Step::RosterSet { name, group, .. } => &[("name", name), ("group", group)],
        Step::Ping { to } => &[("to", to)],
        Step::Join { nick, .. } => &[("nick", nick)],
        _ => &[],
    };
    found.extend(optional.iter().filter_map(|(key, text)| Some((some(*key, text)?, text.as_deref()?))));
    found
}
