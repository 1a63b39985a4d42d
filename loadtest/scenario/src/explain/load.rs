//! How much a scenario asks for, worked out from means: sessions as cohorts that arrive, play and leave.

use std::ops::AddAssign;

use crate::{Arrive, Pace, Phase, Population, Repeat, Scenario, Step};

/// Into how many cohorts a phase's arrivals are divided.
const COHORTS: u32 = 40;

/// What is expected of a phase, if the server keeps up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseLoad {
    /// Its name.
    pub phase: String,
    /// Logged in at its end.
    pub sessions: f64,
    /// First logins of sessions, on average.
    pub logins_per_second: f64,
    /// Messages and items that are sent, on average.
    pub messages_per_second: f64,
    /// Everything else that is answered, on average.
    pub requests_per_second: f64,
    /// There are rounds whose distance is the server's own.
    pub unbounded: bool,
}

/// What is expected of each phase.
pub fn expected(scenario: &Scenario) -> Vec<PhaseLoad> {
    let mut loads: Vec<Load> = scenario.phases.iter().map(|_| Load::default()).collect();
    let begins = begins(scenario);
    for population in &scenario.populations {
        let cohorts = cohorts(scenario, population, &begins);
        let of_population = cohorts.iter().map(|cohort| cohort.sessions).sum();
        for cohort in cohorts {
            let mut player =
                Player { scenario, begins: &begins, cohort, of_population, loads: &mut loads, over: false };
            player.play(population);
        }
    }
    let phases = scenario.phases.iter().zip(loads);
    let phases = phases.map(|(phase, load)| {
        let seconds = phase.lasts.as_secs_f64().max(f64::MIN_POSITIVE);
        PhaseLoad {
            phase: phase.name.clone(),
            sessions: load.sessions,
            logins_per_second: load.logins / seconds,
            messages_per_second: load.amount.messages / seconds,
            requests_per_second: load.amount.requests / seconds,
            unbounded: load.unbounded,
        }
    });
    phases.collect()
}

/// How many sessions of a population come, on average.
pub(super) fn arrivals(scenario: &Scenario, population: &Population) -> f64 {
    cohorts(scenario, population, &begins(scenario)).iter().map(|cohort| cohort.sessions).sum()
}

/// When each phase begins and the last one ends, in seconds.
fn begins(scenario: &Scenario) -> Vec<f64> {
    let mut begins = vec![0.0];
    for phase in &scenario.phases {
        begins.push(begins[begins.len() - 1] + phase.lasts.as_secs_f64());
    }
    begins
}

#[derive(Default)]
struct Load {
    sessions: f64,
    logins: f64,
    amount: Amount,
    unbounded: bool,
}

/// What is sent, as means.
#[derive(Clone, Copy, Default)]
struct Amount {
    messages: f64,
    requests: f64,
    seconds: f64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.requests += other.requests;
        self.seconds += other.seconds;
    }
}

impl Amount {
    fn times(self, often: f64) -> Self {
        Self {
            messages: self.messages * often,
            requests: self.requests * often,
            seconds: self.seconds * often,
        }
    }
}

/// Sessions that arrive together.
#[derive(Clone, Copy)]
struct Cohort {
    /// Seconds since the run's start.
    at: f64,
    sessions: f64,
}

fn cohorts(scenario: &Scenario, population: &Population, begins: &[f64]) -> Vec<Cohort> {
    let mut cohorts: Vec<Cohort> =
        population.at.iter().map(|at| Cohort { at: at.as_secs_f64(), sessions: 1.0 }).collect();
    for (phase, begin) in scenario.phases.iter().zip(begins) {
        let share = share(scenario, population, phase);
        if let Arrive::Burst(_) = phase.arrive {
            let sessions = phase.arrivals_within(phase.lasts) * share;
            cohorts.push(Cohort { at: *begin, sessions });
            continue;
        }
        for step in 0..COHORTS {
            let until = |step: u32| phase.arrivals_within(phase.lasts * step / COHORTS);
            let at = begin + (phase.lasts * step / COHORTS).as_secs_f64();
            cohorts.push(Cohort { at, sessions: (until(step + 1) - until(step)) * share });
        }
    }
    cohorts.retain(|cohort| cohort.sessions > 0.0);
    cohorts
}

/// The population's share of those who come in a phase.
fn share(scenario: &Scenario, population: &Population, phase: &Phase) -> f64 {
    let weight = |of: &Population| {
        if phase.weights.is_empty() { of.weight } else { phase.weights.get(&of.name).copied().unwrap_or(0.0) }
    };
    let whole: f64 = scenario.populations.iter().map(weight).sum();
    if whole > 0.0 { weight(population) / whole } else { 0.0 }
}

struct Player<'a> {
    scenario: &'a Scenario,
    /// Of each phase, and the end of the last, in seconds.
    begins: &'a [f64],
    cohort: Cohort,
    of_population: f64,
    loads: &'a mut [Load],
    over: bool,
}

impl Player<'_> {
    fn play(&mut self, population: &Population) {
        let connects =
            self.cohort.at + population.connect_after.map_or(0.0, |span| span.mean().as_secs_f64());
        let login = Amount { requests: if population.roster { 1.0 } else { 0.0 }, ..Amount::default() };
        self.spread(connects, connects, login);
        if let Some(at) = self.phase_of(connects) {
            self.loads[at].logins += self.cohort.sessions;
        }
        let ends = self.steps(&population.script, connects);
        for (load, end) in self.loads.iter_mut().zip(&self.begins[1..]) {
            if connects < *end && (ends >= *end || ends >= self.begins[self.begins.len() - 1]) {
                load.sessions += self.cohort.sessions;
            }
        }
    }

    /// Plays the steps from a moment; when they end.
    fn steps(&mut self, steps: &[Step], mut now: f64) -> f64 {
        for step in steps {
            if self.over || now >= self.begins[self.begins.len() - 1] {
                break;
            }
            now = match step {
                Step::Until(phase) => now.max(self.begin(phase)),
                Step::Repeat(repeat) => self.repeat(repeat, now),
                Step::Measure { steps, .. } => self.steps(steps, now),
                Step::Quit {} | Step::Abort {} => {
                    self.over = true;
                    now
                }
                _ => {
                    let amount = self.amount(step);
                    self.spread(now, now + amount.seconds, amount);
                    now + amount.seconds
                }
            };
        }
        now
    }

    fn repeat(&mut self, repeat: &Repeat, now: f64) -> f64 {
        let round = self.round(&repeat.steps);
        let distance = match repeat.pace {
            Pace::Every(span) => span.mean().as_secs_f64(),
            Pace::Rate(rate) => self.of_population / rate,
            Pace::Closed => round.seconds,
            Pace::Window(size) => round.seconds / f64::from(size),
        };
        let last = self.begins[self.begins.len() - 1];
        let end = repeat.until.as_deref().map_or(last, |phase| self.begin(phase));
        let guessed = repeat.each.is_some() || repeat.while_holds.is_some();
        let times = repeat.times.map_or(if guessed { 1.0 } else { f64::INFINITY }, |times| times as f64);
        if distance <= 0.0 {
            if times.is_finite() {
                self.spread(now, now, round.times(times));
                return now;
            }
            for (load, begin) in self.loads.iter_mut().zip(self.begins) {
                load.unbounded |= *begin < end && *begin + f64::EPSILON >= now.min(end);
            }
            return end.max(now);
        }
        let rounds = times.min((end - now).max(0.0) / distance);
        self.spread(now, now + rounds * distance, round.times(rounds));
        now + rounds * distance
    }

    /// One round of steps, wherever it is played.
    fn round(&self, steps: &[Step]) -> Amount {
        let mut sum = Amount::default();
        for step in steps {
            sum += self.amount(step);
        }
        sum
    }

    fn amount(&self, step: &Step) -> Amount {
        let (messages, requests, seconds) = match step {
            Step::Think(span) => (0.0, 0.0, span.mean().as_secs_f64()),
            Step::Chat { .. } | Step::Say { .. } | Step::Publish { .. } => (1.0, 0.0, 0.0),
            Step::Chance { of, steps } => return self.round(steps).times(*of),
            // Whether it holds cannot be told.
            Step::When { steps, .. } | Step::Measure { steps, .. } => return self.round(steps),
            Step::Repeat(repeat) => {
                let times = repeat.times.map_or(1.0, |times| times as f64);
                let mut all = self.round(&repeat.steps).times(times);
                if let Pace::Every(span) = repeat.pace {
                    all.seconds = span.mean().as_secs_f64() * times;
                }
                return all;
            }
            Step::Set { .. }
            | Step::NextRow(_)
            | Step::Choose(_)
            | Step::Until(_)
            | Step::Barrier { .. }
            | Step::Presence { .. }
            | Step::Active {}
            | Step::Inactive {}
            | Step::Drop {}
            | Step::Quit {}
            | Step::Abort {} => (0.0, 0.0, 0.0),
            _ => (0.0, 1.0, 0.0),
        };
        Amount { messages, requests, seconds }
    }

    /// Adds what every session of the cohort sends, evenly between two moments, to the phases it falls into.
    fn spread(&mut self, from: f64, to: f64, each: Amount) {
        let all = each.times(self.cohort.sessions);
        if to <= from {
            if let Some(at) = self.phase_of(from) {
                self.loads[at].amount += all;
            }
            return;
        }
        for (load, bounds) in self.loads.iter_mut().zip(self.begins.windows(2)) {
            let overlap = (to.min(bounds[1]) - from.max(bounds[0])).max(0.0);
            load.amount += all.times(overlap / (to - from));
        }
    }

    fn phase_of(&self, moment: f64) -> Option<usize> {
        self.begins.windows(2).position(|bounds| (bounds[0]..bounds[1]).contains(&moment))
    }

    /// When the phase of this name begins; `end` is the end of the last.
    fn begin(&self, phase: &str) -> f64 {
        let at = self.scenario.phases.iter().position(|it| it.name == phase);
        self.begins[at.unwrap_or(self.begins.len() - 1)]
    }
}
