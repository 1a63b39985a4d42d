//! When sessions arrive, and of which population: the same for the same seed, on every worker.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scenario::{Arrive, Scenario};

/// Something that happens to the sessions as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// Microseconds since the run's start.
    pub at_us: u64,
    pub who: Who,
}

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Who {
    /// One session of the population with this index.
    Session { population: usize },
    /// All who are there lose their connection, and come back.
    Storm,
}

/// A worker's part of a scenario's arrivals, in order of time.
pub(crate) struct Arrivals<'a> {
    scenario: &'a Scenario,
    random: StdRng,
    shares: Shares,
    worker: Part,
    phase: usize,
    begins_us: u64,
    within: Within,
    /// In this phase.
    came: u64,
    /// Sessions that begin at their own moments, the latest first.
    appointed: Vec<Arrival>,
    drawn: Option<Arrival>,
    /// Of all workers.
    arrived: u64,
}

/// Which worker of how many this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: u64,
    /// How many there are.
    pub of: u64,
}

/// What was played of the current phase.
enum Within {
    Beginning,
    /// The expected number of arrivals up to the last one.
    Flow(f64),
    Left(u64),
}

impl<'a> Arrivals<'a> {
    pub(crate) fn new(scenario: &'a Scenario, seed: u64, worker: Part) -> Self {
        Self {
            scenario,
            random: StdRng::seed_from_u64(seed),
            shares: Shares::of(scenario, 0),
            worker,
            phase: 0,
            begins_us: 0,
            within: Within::Beginning,
            came: 0,
            appointed: appointed(scenario),
            drawn: None,
            arrived: 0,
        }
    }

    /// The next of all workers' arrivals.
    fn next_of_all(&mut self) -> Option<Arrival> {
        if self.drawn.is_none() {
            self.drawn = self.draw();
        }
        match (self.appointed.last(), self.drawn) {
            (Some(appointed), drawn) if drawn.is_none_or(|drawn| appointed.at_us <= drawn.at_us) => {
                self.appointed.pop()
            }
            _ => self.drawn.take(),
        }
    }

    /// The next arrival that is nobody's appointment.
    fn draw(&mut self) -> Option<Arrival> {
        loop {
            let phase = self.scenario.phases.get(self.phase)?;
            let lasts_us = phase.lasts.as_micros() as u64;
            let full = phase.sessions_max.is_some_and(|max| self.came >= max);
            let came = match phase.arrive {
                _ if full => None,
                Arrive::Nobody => None,
                Arrive::Rate(rate) => self.flow(rate, rate, lasts_us),
                Arrive::Ramp { from, to } => self.flow(from, to, lasts_us),
                Arrive::Burst(count) => self.burst(count),
                Arrive::Storm => self.storm(),
            };
            if let Some(arrival) = came {
                return Some(arrival);
            }
            self.phase += 1;
            self.begins_us += lasts_us;
            self.within = Within::Beginning;
            self.came = 0;
            self.shares = Shares::of(self.scenario, self.phase);
        }
    }

    /// Independent arrivals whose rate goes from one to another: units of expectation, exponentially spaced, are
    /// brought back to the time at which so many were to be expected.
    fn flow(&mut self, from: f64, to: f64, lasts_us: u64) -> Option<Arrival> {
        let expected = match self.within {
            Within::Flow(expected) => expected,
            _ => 0.0,
        } + exponential(&mut self.random);
        self.within = Within::Flow(expected);
        let lasts = lasts_us as f64 / 1e6;
        let slope = (to - from) / lasts;
        let root = from * from + 2.0 * slope * expected;
        let at = if slope.abs() < 1e-9 { expected / from } else { (root.sqrt() - from) / slope };
        // Not a number where the rate falls to nothing before so many have come.
        if at.is_nan() || at >= lasts {
            return None;
        }
        Some(self.session(self.begins_us + (at * 1e6) as u64))
    }

    fn burst(&mut self, count: u64) -> Option<Arrival> {
        let left = match self.within {
            Within::Left(left) => left,
            _ => count,
        };
        self.within = Within::Left(left.checked_sub(1)?);
        Some(self.session(self.begins_us))
    }

    fn storm(&mut self) -> Option<Arrival> {
        let first = matches!(self.within, Within::Beginning);
        self.within = Within::Left(0);
        first.then_some(Arrival { at_us: self.begins_us, who: Who::Storm })
    }

    fn session(&mut self, at_us: u64) -> Arrival {
        self.came += 1;
        Arrival { at_us, who: Who::Session { population: self.shares.next() } }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let arrival = self.next_of_all()?;
            if arrival.who == Who::Storm {
                return Some(arrival);
            }
            let number = self.arrived;
            self.arrived += 1;
            if self.worker.has(number) {
                return Some(arrival);
            }
        }
    }
}

impl Part {
    /// The only worker.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Whether the arrival or the account of this number is this worker's: partners, 0 and 1, are one worker's.
    pub(crate) fn has(self, number: u64) -> bool {
        number / 2 % self.of == self.index
    }
}

impl Default for Part {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// The sessions that begin at moments of their own, the latest first.
fn appointed(scenario: &Scenario) -> Vec<Arrival> {
    let all = scenario.populations.iter().enumerate();
    let mut appointed: Vec<Arrival> = all
        .flat_map(|(population, of)| of.at.iter().map(move |at| (population, at.as_micros() as u64)))
        .map(|(population, at_us)| Arrival { at_us, who: Who::Session { population } })
        .collect();
    appointed.sort_by_key(|arrival| std::cmp::Reverse(arrival.at_us));
    appointed
}

/// Gives out indexes so that each comes up in proportion to its weight, also among few.
struct Shares {
    weights: Vec<f64>,
    credits: Vec<f64>,
}

impl Shares {
    /// By the weights that populations have in a phase.
    fn of(scenario: &Scenario, phase: usize) -> Self {
        let own =
            scenario.phases.get(phase).map(|phase| &phase.weights).filter(|weights| !weights.is_empty());
        Self::new(scenario.populations.iter().map(|population| match own {
            Some(weights) => weights.get(&population.name).copied().unwrap_or_default(),
            None => population.weight,
        }))
    }

    fn new(weights: impl Iterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.collect();
        Self { credits: vec![0.0; weights.len()], weights }
    }

    fn next(&mut self) -> usize {
        let total: f64 = self.weights.iter().sum();
        for (credit, weight) in self.credits.iter_mut().zip(&self.weights) {
            *credit += weight;
        }
        let most = (0..self.credits.len())
            .reduce(|best, other| if self.credits[other] > self.credits[best] + 1e-9 { other } else { best })
            .unwrap_or_default();
        if let Some(credit) = self.credits.get_mut(most) {
            *credit -= total;
        }
        most
    }
}

/// Exponentially distributed, with a mean of 1.
pub(crate) fn exponential(random: &mut impl Rng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn scenario(phases: &str, populations: &[(&str, f64)]) -> Scenario {
        let mut text = format!("name = 'test'\nabout = 'of arrivals'\n[accounts]\ncount = 10\n{phases}\n");
        for (name, weight) in populations {
            text.extend([
                "[[population]]\nname = '",
                name,
                "'\nscript = []\nweight = ",
                &weight.to_string(),
                "\n",
            ]);
        }
        Scenario::parse(&text, "test.toml", &BTreeMap::new()).unwrap()
    }

    fn all(scenario: &Scenario, seed: u64, worker: Part) -> Vec<Arrival> {
        Arrivals::new(scenario, seed, worker).collect()
    }

    #[test]
    fn a_rate_brings_as_many_as_it_says_and_the_same_for_the_same_seed() {
        let scenario = scenario("[[phase]]\nname = 'a'\nfor = '100s'\narrive = { rate = 50 }", &[("p", 1.0)]);
        let arrivals = all(&scenario, 1, Part::WHOLE);
        assert!((4500..5500).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_us));
        assert_eq!(arrivals, all(&scenario, 1, Part::WHOLE));
        assert_ne!(arrivals, all(&scenario, 2, Part::WHOLE));
    }

    #[test]
    fn a_ramp_grows() {
        let scenario = scenario(
            "[[phase]]\nname = 'a'\nfor = '100s'\narrive = { ramp = { from = 0, to = 100 } }",
            &[("p", 1.0)],
        );
        let arrivals = all(&scenario, 1, Part::WHOLE);
        let early = arrivals.iter().filter(|arrival| arrival.at_us < 50_000_000).count();
        assert!((4600..5400).contains(&arrivals.len()), "{}", arrivals.len());
        assert!((1050..1450).contains(&early), "a quarter comes in the first half: {early}");
    }

    #[test]
    fn a_ramp_to_nothing_ends() {
        let scenario = scenario(
            "[[phase]]\nname = 'a'\nfor = '10s'\narrive = { ramp = { from = 100, to = 0 } }",
            &[("p", 1.0)],
        );
        assert!((400..600).contains(&all(&scenario, 1, Part::WHOLE).len()));
    }

    #[test]
    fn populations_have_their_shares_exactly() {
        let scenario = scenario(
            "[[phase]]\nname = 'a'\nfor = '1s'\narrive = { burst = 8 }\n[[phase]]\nname = 'b'\nfor = '1s'\narrive = 'storm'",
            &[("one", 1.0), ("three", 3.0)],
        );
        let arrivals = all(&scenario, 1, Part::WHOLE);
        let of = |index| {
            arrivals.iter().filter(|arrival| arrival.who == Who::Session { population: index }).count()
        };
        assert_eq!((of(0), of(1)), (2, 6));
        assert_eq!(arrivals.last(), Some(&Arrival { at_us: 1_000_000, who: Who::Storm }));
    }

    #[test]
    fn a_phase_may_have_weights_and_a_bound_of_its_own_and_populations_appointments() {
        let text = "name = 't'\nabout = 'a'\n[accounts]\ncount = 9\n\
            [[phase]]\nname = 'a'\nfor = '9s'\narrive = { rate = 50 }\nsessions-max = 5\nweights = { b = 1 }\n\
            [[population]]\nname = 'a'\nat = ['8s', '1ms']\nscript = []\n\
            [[population]]\nname = 'b'\nscript = []\n";
        let scenario = Scenario::parse(text, "t.toml", &BTreeMap::new()).unwrap();
        let arrivals = all(&scenario, 1, Part::WHOLE);
        let of =
            |index| arrivals.iter().filter(move |arrival| arrival.who == Who::Session { population: index });
        assert_eq!(of(1).count(), 5);
        assert_eq!(of(0).map(|arrival| arrival.at_us).collect::<Vec<_>>(), [1000, 8_000_000]);
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_us));
    }

    #[test]
    fn workers_share_the_arrivals_pair_by_pair_and_all_have_the_storm() {
        let scenario = scenario("[[phase]]\nname = 'a'\nfor = '1s'\narrive = { burst = 10 }", &[("p", 1.0)]);
        assert_eq!(all(&scenario, 1, Part { index: 0, of: 2 }).len(), 6);
        assert_eq!(all(&scenario, 1, Part { index: 1, of: 2 }).len(), 4);
    }
}
