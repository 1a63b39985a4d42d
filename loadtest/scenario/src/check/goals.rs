//! Goals: that each has one bound, of something that is measured.

use super::Check;
use crate::Goal;
use crate::measures::measures;
use crate::source::Place;

impl Check<'_, '_> {
    pub(super) fn goals(&mut self) {
        let scenario = self.scenario;
        let measures = measures(scenario);
        for (at, goal) in scenario.goals.iter().enumerate() {
            let place = self.top.key("goal").item(at);
            self.known(&place.key("of"), &goal.of, measures.iter().map(String::as_str));
            if let Some(phase) = &goal.phase {
                self.known(&place.key("phase"), phase, scenario.phases.iter().map(|it| it.name.as_str()));
            }
            self.bounds(goal, &place);
        }
        if self.scenario.ledger.delayed_after.is_zero() {
            self.refuse(&self.top.key("ledger").key("delayed-after"), "0s", "more than 0");
        }
    }

    fn bounds(&mut self, goal: &Goal, place: &Place) {
        let bounds = [
            ("below", goal.below.is_some()),
            ("rate-at-least", goal.rate_at_least.is_some()),
            ("failures-at-most", goal.failures_at_most.is_some()),
            ("cpu-at-most", goal.cpu_at_most.is_some()),
        ];
        let given: Vec<&str> = bounds.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.len() != 1 {
            let found = if given.is_empty() { "no bound".to_owned() } else { given.join(" and ") };
            let all = bounds.map(|(name, _)| name).join(", ");
            self.refuse(place, found, format!("exactly one of {all}"));
        }
        self.within(&place.key("percentile"), goal.percentile, 0.0, 100.0);
        if let Some(rate) = goal.rate_at_least {
            self.positive(&place.key("rate-at-least"), rate);
        }
        if let Some(share) = goal.failures_at_most {
            self.within(&place.key("failures-at-most"), share, 0.0, 1.0);
        }
    }
}
