//! Holds a run against its scenario: the ledger's rules, then the goals.

use figures::{GoalOutcome, Record};
use scenario::{Goal, Scenario};

use crate::stretch::Stretch;
use crate::words;

/// What the ledger asks of every run, and each goal of the scenario. The run has reached its goals if all are reached; a goal
/// of which nothing was measured is not.
pub fn judge(record: &Record, scenario: &Scenario) -> Vec<GoalOutcome> {
    let mut outcomes = ledger(record, scenario);
    outcomes.extend(scenario.goals.iter().map(|goal| outcome(record, goal)));
    outcomes
}

fn ledger(record: &Record, scenario: &Scenario) -> Vec<GoalOutcome> {
    let (found, rules) = (&record.ledger, &scenario.ledger);
    let wrong = found.lost + found.doubled + found.reordered + found.astray;
    let mut outcomes = vec![GoalOutcome {
        goal: "no message lost, doubled, reordered or astray".to_owned(),
        measured: match wrong {
            0 => format!("none of {}", words::count(found.owed)),
            _ => format!(
                "{} lost, {} doubled, {} reordered, {} astray",
                found.lost, found.doubled, found.reordered, found.astray
            ),
        },
        reached: wrong == 0,
    }];
    let at_most = |what: &str, max: u64, n: u64| GoalOutcome {
        goal: format!("at most {} {what}", words::count(max)),
        measured: words::count(n),
        reached: n <= max,
    };
    outcomes.extend(rules.delayed_max.map(|max| at_most("delayed", max, found.delayed)));
    outcomes.extend(rules.unknown_max.map(|max| at_most("unknown", max, found.unknown)));
    if rules.archive {
        outcomes.push(GoalOutcome {
            goal: "archives hold what was delivered".to_owned(),
            measured: format!(
                "{} differences among {}",
                words::count(found.archive_differences),
                words::count(found.archived)
            ),
            reached: found.archive_differences == 0,
        });
    }
    outcomes
}

fn outcome(record: &Record, goal: &Goal) -> GoalOutcome {
    let phase = goal.phase.as_deref();
    let spread = record.spread(&goal.of, phase);
    let stretch = Stretch::of(record, phase);
    let place = phase.map(|phase| format!(" in {phase}")).unwrap_or_default();
    let of = &goal.of;
    let (words, measured) = if let Some(below) = goal.below {
        let bound_us = below.as_micros() as f64;
        let words = format!("p{} of {of} below {}{place}", goal.percentile, words::micros(bound_us));
        let histogram = spread.unpack().ok().filter(|histogram| !histogram.is_empty());
        let at = histogram.map(|histogram| histogram.value_at_quantile(goal.percentile / 100.0) as f64);
        (words, at.map(|at| (words::micros(at), at < bound_us)))
    } else if let Some(least) = goal.rate_at_least {
        let rate = stretch.rate(spread.count);
        let words = format!("at least {} {of} a second{place}", words::short(least));
        (words, (stretch.lasted_ms > 0).then(|| (format!("{}/s", words::short(rate)), rate >= least)))
    } else if let Some(most) = goal.failures_at_most {
        let failures = stretch.failures(Some(of));
        let attempts = failures + spread.count;
        let share = failures as f64 / attempts as f64;
        let words = format!("at most {} of {of} fail{place}", words::percent(most));
        (words, (attempts > 0).then(|| (words::percent(share), share <= most)))
    } else if let Some(most) = goal.cpu_at_most {
        let bound_us = most.as_micros() as f64;
        let words = format!("at most {} of the server's CPU for each {of}{place}", words::micros(bound_us));
        let each = stretch.server_cpu_us.filter(|_| spread.count > 0);
        let each = each.map(|cpu_us| cpu_us as f64 / spread.count as f64);
        (words, each.map(|each| (words::micros(each), each <= bound_us)))
    } else {
        (format!("{of}{place}"), None)
    };
    let (measured, reached) = measured.unwrap_or_else(|| ("nothing was measured".to_owned(), false));
    GoalOutcome { goal: words, measured, reached }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample;

    fn goal(of: &str) -> Goal {
        Goal {
            of: of.to_owned(),
            phase: Some("steady".to_owned()),
            percentile: 99.0,
            below: None,
            rate_at_least: None,
            failures_at_most: None,
            cpu_at_most: None,
        }
    }

    fn judged(goal: &Goal) -> (String, bool) {
        let outcome = outcome(&sample::record(), goal);
        assert!(!outcome.measured.is_empty());
        (outcome.goal, outcome.reached)
    }

    #[test]
    fn a_percentile_is_below_or_it_is_not() {
        let below = |bound| judged(&Goal { below: Some(Duration::from_millis(bound)), ..goal("chat") });
        assert_eq!(below(900), ("p99 of chat below 900 ms in steady".to_owned(), true));
        assert!(!below(10).1);
    }

    #[test]
    fn rates_failures_and_cpu_have_bounds() {
        assert!(judged(&Goal { rate_at_least: Some(100.0), ..goal("chat") }).1);
        assert!(!judged(&Goal { rate_at_least: Some(50_000.0), ..goal("chat") }).1);
        assert!(judged(&Goal { failures_at_most: Some(0.05), ..goal("chat") }).1);
        let storm =
            Goal { failures_at_most: Some(0.000_01), phase: Some("storm".to_owned()), ..goal("chat") };
        assert!(!judged(&storm).1);
        assert!(judged(&Goal { cpu_at_most: Some(Duration::from_millis(2)), ..goal("chat") }).1);
        assert!(!judged(&Goal { cpu_at_most: Some(Duration::from_nanos(10)), ..goal("chat") }).1);
    }

    #[test]
    fn what_was_not_measured_is_not_reached() {
        let outcome =
            outcome(&sample::record(), &Goal { below: Some(Duration::from_secs(9)), ..goal("upload") });
        assert_eq!((outcome.measured.as_str(), outcome.reached), ("nothing was measured", false));
    }
}
