//! Phases: that each lasts, and that somebody comes.

use std::collections::BTreeSet;

use super::{Check, END};
use crate::source::Place;
use crate::{Arrive, Phase};

impl Check<'_, '_> {
    pub(super) fn phases(&mut self) {
        let scenario = self.scenario;
        let top = self.top.key("phase");
        let mut taken = BTreeSet::from([END]);
        for (at, phase) in scenario.phases.iter().enumerate() {
            let place = top.item(at);
            self.fresh(&place.key("name"), &phase.name, &mut taken);
            if phase.lasts.is_zero() {
                self.refuse(&place.key("for"), "0s", "more than 0");
            }
            self.arrivals(phase, &place);
        }
        let comes = |phase: &Phase| phase.arrivals_within(phase.lasts) > 0.0;
        if !scenario.phases.iter().any(comes) && scenario.populations.iter().all(|it| it.at.is_empty()) {
            self.refuse(&top, "nobody who comes", "a phase whose `arrive` brings sessions");
        }
    }

    fn arrivals(&mut self, phase: &Phase, place: &Place) {
        let arrive = place.key("arrive");
        match phase.arrive {
            Arrive::Rate(rate) => self.positive(&arrive.key("rate"), rate),
            Arrive::Ramp { from, to } => {
                for (key, rate) in [("from", from), ("to", to)] {
                    if rate < 0.0 {
                        self.refuse(&arrive.key("ramp").key(key), rate.to_string(), "0 or more");
                    }
                }
                if from <= 0.0 && to <= 0.0 {
                    self.refuse(&arrive.key("ramp"), "a ramp from 0 to 0", "at least one rate above 0");
                }
            }
            Arrive::Burst(0) => self.refuse(&arrive.key("burst"), "0", "at least one session"),
            Arrive::Nobody | Arrive::Burst(_) | Arrive::Storm => {}
        }
        let populations = || self.scenario.populations.iter();
        let weighs = if phase.weights.is_empty() {
            populations().any(|population| population.weight > 0.0)
        } else {
            phase.weights.values().any(|weight| *weight > 0.0)
        };
        if phase.arrivals_within(phase.lasts) > 0.0 && !weighs {
            self.refuse(&arrive, "arrivals, and no population with a weight", "a weight above 0");
        }
        let weights = place.key("weights");
        for (name, weight) in &phase.weights {
            let scenario = self.scenario;
            self.known(&weights.key(name), name, scenario.populations.iter().map(|it| it.name.as_str()));
            if *weight < 0.0 {
                self.refuse(&weights.key(name), weight.to_string(), "0 or more");
            }
        }
    }
}
