//! Scripts: that each step can be played.

use std::collections::BTreeSet;

use super::{Check, END, words};
use crate::measures::is_taken;
use crate::source::Place;
use crate::{Condition, Pace, Partner, Population, Repeat, Scenario, Step, Value};

/// Bodies and payloads: no server takes a larger stanza.
const BODY_BYTES_MAX: u32 = 1024 * 1024;
/// Items of a page (XEP-0059).
const PAGE_ITEMS_MAX: u32 = 10_000;
/// Messages of a session under way.
const WINDOW_MAX: u32 = 100_000;

/// What a population's steps are checked against.
struct Known {
    words: BTreeSet<String>,
    variables: BTreeSet<String>,
    has_contacts: bool,
}

/// Whether a step goes to the population's own partner.
pub(super) fn needs_pairs(population: &Population) -> bool {
    let speaks_of = |step: &Step| words::texts(step).iter().any(|(_, text)| text.contains("{partner}"));
    population.steps().any(|step| step.uses_partner() || speaks_of(step))
}

impl Check<'_, '_> {
    pub(super) fn script(&mut self, population: &Population, place: &Place) {
        let known = Known {
            words: words::of_population(self.scenario, population),
            variables: words::variables(population),
            has_contacts: population.roster || population.steps().any(|step| matches!(step, Step::Roster {})),
        };
        if let Some(resource) = &population.resource {
            self.words(&place.key("resource"), resource, &known.words);
        }
        for name in population.values.keys().filter(|name| !words::is_variable(name)) {
            self.refuse(&place.key("values").key(name), format!("`{name}`"), "a name that is not taken");
        }
        self.partner(&place.key("partner"), &population.partner, &known);
        self.steps(&place.key("script"), &population.script, &known);
        let asks = population.steps().any(|step| matches!(step, Step::Chat { receipt: true, .. }));
        if asks && !self.scenario.populations.iter().any(|it| it.receipts) {
            let expected = "`receipts = true` in a population that answers";
            self.refuse(&place.key("script"), "messages that ask for receipts", expected);
        }
    }

    fn steps(&mut self, place: &Place, steps: &[Step], known: &Known) {
        for (at, step) in steps.iter().enumerate() {
            let here = place.item(at).key(step.name());
            self.step(&here, step, known);
            for (key, text) in words::texts(step) {
                self.words(&here.key(key), text, &known.words);
            }
            for (key, inner) in step.within() {
                if inner.is_empty() && key == "steps" {
                    self.refuse(&here.key(key), "no steps", "at least one step");
                }
                self.steps(&here.key(key), inner, known);
            }
        }
    }

    fn step(&mut self, place: &Place, step: &Step, known: &Known) {
        match step {
            Step::Until(phase) => self.phase(place, phase),
            Step::Barrier { name, .. } if name.is_empty() => self.refuse(place, "an empty name", "a name"),
            Step::Repeat(repeat) => self.repeat(place, repeat, known),
            Step::Chance { of, .. } => self.within(&place.key("of"), *of, 0.0, 1.0),
            Step::When { test, .. } => self.condition(&place.key("test"), test, known),
            Step::Measure { name, .. } | Step::Raw { name: Some(name), .. } => {
                self.measure(&place.key("name"), name);
            }
            Step::Set { name, to } => {
                self.variable(&place.key("name"), name);
                match to {
                    Value::Number { from, to } if from > to => {
                        self.refuse(&place.key("to"), format!("{from} to {to}"), "the smaller number first");
                    }
                    Value::Modulo(0) => self.refuse(&place.key("to"), "0", "1 or more"),
                    _ => {}
                }
            }
            Step::NextRow(table) => {
                let scenario = self.scenario;
                self.known(place, table, scenario.data.keys().map(String::as_str));
            }
            Step::Choose(partner) => self.partner(place, partner, known),
            Step::Chat { to: Some(partner), .. } | Step::Befriend { to: Some(partner) } => {
                self.partner(&place.key("to"), partner, known);
                self.pairs(&place.key("to"), partner);
            }
            Step::Page { items, .. } => self.at_most(&place.key("items"), *items, 1, PAGE_ITEMS_MAX),
            Step::Upload { file_bytes: 0 } => self.refuse(&place.key("file-bytes"), "0", "1 or more"),
            _ => {}
        }
        match step {
            Step::Chat { body, .. } | Step::Say { body, .. } => {
                self.at_most(&place.key("body"), *body, 0, BODY_BYTES_MAX);
            }
            Step::Publish { payload, .. } => self.at_most(&place.key("payload"), *payload, 0, BODY_BYTES_MAX),
            Step::Raw { keep, .. } => {
                for (name, capture) in keep {
                    self.variable(&place.key("keep").key(name), name);
                    if let Err(expected) = capture.compile() {
                        self.refuse(&place.key("keep").key(name), "a capture", expected);
                    }
                }
            }
            _ => {}
        }
    }

    fn repeat(&mut self, place: &Place, repeat: &Repeat, known: &Known) {
        if let Some(phase) = &repeat.until {
            self.phase(&place.key("until"), phase);
        }
        if let Some(condition) = &repeat.while_holds {
            self.condition(&place.key("while"), condition, known);
        }
        if let Some(each) = &repeat.each {
            self.variable(&place.key("each").key("name"), &each.name);
            self.known(&place.key("each").key("of"), &each.of, known.variables.iter().map(String::as_str));
        }
        if let Some(counter) = &repeat.counter {
            self.variable(&place.key("counter").key("name"), &counter.name);
        }
        let pace = place.key("pace");
        match repeat.pace {
            Pace::Window(size) => self.at_most(&pace.key("window"), size, 1, WINDOW_MAX),
            Pace::Rate(rate) => self.positive(&pace.key("rate"), rate),
            Pace::Every(span) if span.mean().is_zero() => {
                self.refuse(&pace.key("every"), "0s", "more than 0");
            }
            Pace::Every(_) | Pace::Closed => {}
        }
        let ends = repeat.times.is_some() || repeat.each.is_some();
        if !ends && !repeat.pace.takes_time() && !repeat.steps.iter().any(Step::takes_time) {
            let expected = "a `pace`, a `think`, or a step that is answered";
            self.refuse(place, "rounds without an end that take no time", expected);
        }
    }

    fn condition(&mut self, place: &Place, condition: &Condition, known: &Known) {
        if let Err((found, expected)) = condition.compile() {
            self.refuse(place, found, expected);
        }
        for (key, text) in condition.texts() {
            self.words(&place.key(key), text, &known.words);
        }
    }

    fn partner(&mut self, place: &Place, partner: &Partner, known: &Known) {
        match partner {
            Partner::Jid(jid) => self.words(&place.key("jid"), jid, &known.words),
            Partner::Contact if !known.has_contacts => {
                self.refuse(place, "`contact`", "`roster = true`, or a step `roster`, which loads contacts");
            }
            _ => {}
        }
    }

    fn phase(&mut self, place: &Place, name: &str) {
        let scenario: &Scenario = self.scenario;
        self.known(place, name, scenario.phases.iter().map(|phase| phase.name.as_str()).chain([END]));
    }

    fn measure(&mut self, place: &Place, name: &str) {
        if name.is_empty() || is_taken(name) {
            self.refuse(place, format!("`{name}`"), "a name that no measure has yet");
        }
    }

    fn variable(&mut self, place: &Place, name: &str) {
        if !words::is_variable(name) {
            let expected = "letters, digits, - and _, and not what every session has (n, jid, …)";
            self.refuse(place, format!("`{name}`"), expected);
        }
    }

    fn at_most(&mut self, place: &Place, number: u32, least: u32, most: u32) {
        self.within(place, f64::from(number), f64::from(least), f64::from(most));
    }
}
