//! What only the whole file can tell: that names are known, and numbers make sense beside each other.

mod goals;
mod phases;
mod script;
mod words;

use std::collections::BTreeSet;

use crate::population::Mechanism;
use crate::problem::one_of;
use crate::source::{Place, Source};
use crate::{FaultKind, Partner, Population, Scenario};

/// The name of the end of the last phase.
pub(crate) const END: &str = "end";

/// Notes everything that is wrong with a scenario whose shape is right.
pub(crate) fn check(scenario: &Scenario, source: &mut Source<'_>) {
    let mut check = Check { scenario, source, top: Place::default() };
    check.accounts();
    check.data();
    check.phases();
    check.populations();
    check.faults();
    check.goals();
}

struct Check<'a, 's> {
    scenario: &'a Scenario,
    source: &'a mut Source<'s>,
    top: Place,
}

impl Check<'_, '_> {
    fn refuse(&mut self, place: &Place, found: impl Into<String>, expected: impl Into<String>) {
        self.source.refuse(place, found, expected);
    }

    /// A name that something refers to.
    fn known<'n>(&mut self, place: &Place, name: &str, known: impl Iterator<Item = &'n str> + Clone) {
        if !known.clone().any(|it| it == name) {
            self.refuse(place, format!("`{name}`"), one_of(name, known));
        }
    }

    /// A name that something is referred to by.
    fn fresh<'n>(&mut self, place: &Place, name: &'n str, taken: &mut BTreeSet<&'n str>) {
        if name.is_empty() {
            self.refuse(place, "an empty name", "a name");
        } else if !taken.insert(name) {
            self.refuse(place, format!("`{name}` again"), "a name that no other has");
        }
    }

    fn within(&mut self, place: &Place, number: f64, least: f64, most: f64) {
        if !(least..=most).contains(&number) {
            self.refuse(place, number.to_string(), format!("{least} to {most}"));
        }
    }

    fn positive(&mut self, place: &Place, number: f64) {
        if number <= 0.0 || !number.is_finite() {
            self.refuse(place, number.to_string(), "more than 0");
        }
    }

    fn accounts(&mut self) {
        let accounts = &self.scenario.accounts;
        let place = self.top.key("accounts");
        if accounts.count == 0 {
            self.refuse(&place.key("count"), "0", "at least one account");
        }
        let tells_apart = |text: &str| words::names(text).any(|name| name == "n" || name.contains('.'));
        let anonymous = self.scenario.populations.iter().all(|it| it.sasl == Mechanism::Anonymous);
        if accounts.count > 1 && !anonymous && !tells_apart(&accounts.username) {
            let found = format!("\"{}\" for {} accounts", accounts.username, accounts.count);
            self.refuse(&place.key("username"), found, "{n} in it, or a column of a table");
        }
        for name in
            words::names(&accounts.username).filter_map(|name| name.split_once('.')).map(|(table, _)| table)
        {
            let rows = self.scenario.data.get(name).map_or(0, |table| table.rows.len() as u64);
            if rows > 0 && accounts.count > rows {
                let expected = format!("at most {rows}, the rows of `{name}`");
                self.refuse(&place.key("count"), accounts.count.to_string(), expected);
            }
        }
        for (key, text) in [("username", &accounts.username), ("password", &accounts.password)] {
            self.words(&place.key(key), text, &words::of_accounts(self.scenario));
        }
    }

    fn data(&mut self) {
        for (name, table) in &self.scenario.data {
            let place = self.top.key("data").key(name);
            if table.file.is_none() && (table.rows.is_empty() || table.columns.is_empty()) {
                self.refuse(&place, "no values", "a `file`, or `columns` and `rows`");
            }
            for (at, row) in table.rows.iter().enumerate().filter(|_| table.file.is_none()) {
                if row.len() != table.columns.len() {
                    let expected = format!("{}: {}", table.columns.len(), table.columns.join(", "));
                    self.refuse(&place.key("rows").item(at), format!("{} values", row.len()), expected);
                }
            }
            let mut taken = BTreeSet::new();
            for (at, column) in table.columns.iter().enumerate() {
                self.fresh(&place.key("columns").item(at), column, &mut taken);
            }
        }
    }

    fn populations(&mut self) {
        let scenario = self.scenario;
        if scenario.populations.is_empty() {
            self.refuse(&self.top.key("population"), "none", "at least one population");
        }
        let mut taken = BTreeSet::new();
        for (at, population) in scenario.populations.iter().enumerate() {
            let place = self.top.key("population").item(at);
            self.fresh(&place.key("name"), &population.name, &mut taken);
            self.population(population, &place);
        }
    }

    fn population(&mut self, population: &Population, place: &Place) {
        if population.weight < 0.0 || !population.weight.is_finite() {
            self.refuse(&place.key("weight"), population.weight.to_string(), "0 or more");
        }
        let lasts: std::time::Duration = self.scenario.phases.iter().map(|phase| phase.lasts).sum();
        for (at, moment) in population.at.iter().enumerate().filter(|(_, moment)| **moment >= lasts) {
            let expected = format!("before the last phase ends, {}", crate::span::write_time(lasts));
            self.refuse(&place.key("at").item(at), crate::span::write_time(*moment), expected);
        }
        if population.management.as_ref().is_some_and(|management| management.request_every == 0) {
            self.refuse(&place.key("management").key("request-every"), "0", "1 or more");
        }
        if population.sasl == Mechanism::Anonymous && population.register {
            self.refuse(&place.key("register"), "true", "false: ANONYMOUS has no account");
        }
        if script::needs_pairs(population) {
            self.pairs(&place.key("partner"), &population.partner);
        }
        self.script(population, place);
    }

    /// Accounts are enough for a partner.
    fn pairs(&mut self, place: &Place, partner: &Partner) {
        let count = self.scenario.accounts.count;
        if matches!(partner, Partner::Pair) && count % 2 == 1 {
            self.refuse(place, format!("pairs among {count} accounts"), "an even count of accounts");
        }
        if matches!(partner, Partner::Ring | Partner::Online) && count < 2 {
            self.refuse(place, format!("a partner among {count} accounts"), "at least two accounts");
        }
    }

    fn faults(&mut self) {
        let lasts: std::time::Duration = self.scenario.phases.iter().map(|phase| phase.lasts).sum();
        for (at, fault) in self.scenario.faults.iter().enumerate() {
            let place = self.top.key("fault").item(at);
            if fault.at >= lasts {
                let expected = format!("before the last phase ends, {}", crate::span::write_time(lasts));
                self.refuse(&place.key("at"), crate::span::write_time(fault.at), expected);
            }
            if fault.every.is_some_and(|every| every.is_zero()) {
                self.refuse(&place.key("every"), "0s", "more than 0");
            }
            match &fault.kind {
                FaultKind::Cut(share) => self.within(&place.key("do").key("cut"), *share, 0.0, 1.0),
                FaultKind::Hook(name) | FaultKind::Kill(name) if name.is_empty() => {
                    self.refuse(&place.key("do"), "an empty name", "a name");
                }
                FaultKind::Hook(_) | FaultKind::Kill(_) => {}
            }
        }
    }
}
